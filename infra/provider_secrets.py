"""Secrets of providers are encrypted here, each with a key of its own that is made from the master key."""

import base64
import secrets
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from infra.master_key import MasterKey
from schemas.avro import encode_text
from schemas.envelope import TenantId
from schemas.sealed import KEY_BYTES, Tampered

_VERSION = b"\x01"
_SALT_BYTES, _IV_BYTES, _TAG_BYTES = 32, 16, 16
_COST, _BLOCKS, _AT_ONCE = 2**14, 8, 1
_REMEMBERED = 256


def stretched(password: bytes, salt: bytes, *, cost: int, blocks: int, at_once: int, length: int) -> bytes:
    """Return a key that is made from a password. Source: RFC 7914, scrypt."""
    return Scrypt(salt=salt, length=length, n=cost, r=blocks, p=at_once).derive(password)


def encrypted(key: bytes, iv: bytes, plain: bytes, place: bytes) -> tuple[bytes, bytes]:
    """Return the encrypted bytes and their tag. Source: AES-GCM, NIST SP 800-38D."""
    both = AESGCM(key).encrypt(iv, plain, place)
    return both[:-_TAG_BYTES], both[-_TAG_BYTES:]


def decrypted(key: bytes, iv: bytes, hidden: bytes, tag: bytes, place: bytes) -> bytes:
    """Return what was encrypted. Raises: Tampered."""
    try:
        return AESGCM(key).decrypt(iv, hidden + tag, place)
    except (InvalidTag, ValueError) as error:
        raise Tampered("the secret was changed or moved, or the master key is another one") from error


class ProviderSecrets:
    """Seals secrets and opens them, for one tenant and one id each.

    Shape: what is kept is base64 of a version byte, a salt of 32 bytes, an IV of 16, a tag of 16, and the encrypted
    bytes. The key is made by scrypt from a key of the deployment and the salt.
    """

    def __init__(self, master: MasterKey) -> None:
        password = master.derived("secrets of providers")

        def key_of(salt: bytes) -> bytes:
            return stretched(password, salt, cost=_COST, blocks=_BLOCKS, at_once=_AT_ONCE, length=KEY_BYTES)

        # scrypt takes 50 ms, and the same secret is opened for each of its tasks
        self._key_of = lru_cache(_REMEMBERED)(key_of)

    def seal(self, tenant_id: TenantId, key_id: str, secret: str) -> str:
        salt, iv = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_IV_BYTES)
        hidden, tag = encrypted(self._key_of(salt), iv, secret.encode(), _place(tenant_id, key_id))
        return base64.b64encode(_VERSION + salt + iv + tag + hidden).decode()

    def open(self, tenant_id: TenantId, key_id: str, sealed: str) -> str:
        """Return the secret. Raises: Tampered."""
        try:
            raw = base64.b64decode(sealed, validate=True)
        except ValueError as error:
            raise Tampered("the secret is no base64") from error
        if raw[:1] != _VERSION or len(raw) < 1 + _SALT_BYTES + _IV_BYTES + _TAG_BYTES:
            raise Tampered("the secret has a version that is not known, or is cut off")
        salt, iv, tag, hidden = _parts(raw[1:])
        return decrypted(self._key_of(salt), iv, hidden, tag, _place(tenant_id, key_id)).decode()


def _parts(raw: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    iv_at, tag_at, rest_at = _SALT_BYTES, _SALT_BYTES + _IV_BYTES, _SALT_BYTES + _IV_BYTES + _TAG_BYTES
    return raw[:iv_at], raw[iv_at:tag_at], raw[tag_at:rest_at], raw[rest_at:]


def _place(tenant_id: TenantId, key_id: str) -> bytes:
    return encode_text(tenant_id) + encode_text(key_id)
