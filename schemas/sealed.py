"""Personal fields, their keys, and commands with personal data are encrypted and opened in this one format."""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32

_VERSION = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16


class Tampered(ValueError):  # noqa: N818
    """The bytes are not what was sealed with this key for this place; a retry gives the same answer."""


def new_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def seal(key: bytes, plain: bytes, place: bytes) -> bytes:
    """Return the sealed bytes, other ones each time; they are opened only with the same key and for the same place.

    Shape: a version byte, a random nonce, the encrypted bytes, the tag; `place` is authenticated and not kept.
    Source: AES-256-GCM, NIST SP 800-38D; with random nonces of 96 bits a key is good for 2**32 times.
    """
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _VERSION + nonce + _cipher(key).encrypt(nonce, plain, place)


def unseal(key: bytes, sealed: bytes, place: bytes) -> bytes:
    """Return what was sealed. Raises: Tampered."""
    version, nonce, rest = sealed[:1], sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    if version != _VERSION or len(rest) < _TAG_BYTES:
        raise Tampered("the sealed bytes have a version that is not known, or are cut off")
    try:
        return _cipher(key).decrypt(nonce, rest, place)
    except InvalidTag:
        raise Tampered("the sealed bytes were changed or moved, or the key is another one") from None


def _cipher(key: bytes) -> AESGCM:
    # the library takes shorter keys too, for AES-128 and AES-192
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
    return AESGCM(key)
