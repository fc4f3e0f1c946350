"""The master key of a deployment stands in a file of its own; all other keys are wrapped with it or made from it."""

import os
import secrets
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from projections.keys import KeysUnusable
from schemas.avro import encode_text
from schemas.envelope import TenantId
from schemas.personal import Subject
from schemas.sealed import KEY_BYTES, new_key, seal, unseal

FINGERPRINTS = "fingerprints of commands"
SIGN_INS = "sign-ins through providers"
"""What the key of commands' fingerprints is derived for."""

_PROOF = b"factline master key"
_TENANTS = 1_024


class MasterKey:
    """Wraps the keys of subjects, and gives other keys of the deployment."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._of_tenant = lru_cache(_TENANTS)(lambda tenant_id: self.derived(f"tenant {tenant_id}"))

    def derived(self, purpose: str) -> bytes:
        """Return a key that is made from the master key. Source: RFC 5869, HKDF with SHA-256."""
        info = f"factline keys 1: {purpose}".encode()
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._raw)

    def wrap(self, subject: Subject, key: bytes) -> bytes:
        return seal(self._wrapping(subject[0]), key, _place(subject))

    def unwrap(self, subject: Subject, wrapped: bytes) -> bytes:
        """Return the key of a subject. Raises: Tampered, it was changed or moved, or another master key wrapped it."""
        return unseal(self._wrapping(subject[0]), wrapped, _place(subject))

    def proof(self) -> bytes:
        """Return bytes that only this master key opens, to be kept beside what it wraps."""
        return seal(self.derived("proof"), _PROOF, b"")

    def check(self, proof: bytes) -> None:
        """Do nothing where this master key made the proof. Raises: Tampered."""
        unseal(self.derived("proof"), proof, b"")

    def _wrapping(self, tenant_id: TenantId) -> bytes:
        return self._of_tenant(tenant_id)


def _place(subject: Subject) -> bytes:
    return b"".join(map(encode_text, subject))


def make_master_key(file: Path) -> None:
    """Make the file whole or not at all; one that is there stays. Raises: KeysUnusable."""
    new = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
            out.write(new_key().hex() + "\n")
            out.flush()
            os.fsync(out.fileno())
        with suppress(FileExistsError):
            file.hardlink_to(new)
        new.unlink()
        folder = os.open(file.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except OSError as error:
        raise KeysUnusable(f"the master key {file} cannot be made: {error.strerror}") from error


def read_master_key(file: Path) -> MasterKey:
    """Return the master key of a file. Raises: KeysUnusable."""
    try:
        if file.stat().st_mode & 0o077:
            raise KeysUnusable(f"the master key {file} may be read by others; run `chmod 600` on it")
        raw = bytes.fromhex(file.read_text(encoding="ascii"))
    except OSError as error:
        raise KeysUnusable(
            f"the master key {file} cannot be read: {error.strerror}; put it back, no personal field opens without it"
        ) from error
    except ValueError:
        raw = b""
    if len(raw) != KEY_BYTES:
        raise KeysUnusable(f"{file} does not hold a master key, {KEY_BYTES * 2} hex digits; put the right file back")
    return MasterKey(raw)
