"""This keeps in SQLite the keys of personal fields, each wrapped with a master key that stands in a file of its own.

Nothing in production uses it yet: no data directory has such a table or such a master key.
"""

import os
import secrets
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Literal

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from infra.sqlite.identity import is_damage
from projections.keys import KeysUnusable
from projections.stores import StoreUnavailable
from schemas.avro import encode_text
from schemas.personal import Keys, Subject
from schemas.sealed import KEY_BYTES, Tampered, new_key, seal, unseal

BUSY_TIMEOUT_S = 5.0

_KEYS = """
CREATE TABLE IF NOT EXISTS keys (
    tenant_id TEXT NOT NULL, subject TEXT NOT NULL, wrapped BLOB, PRIMARY KEY (tenant_id, subject)
) STRICT, WITHOUT ROWID
"""
"""`wrapped` is NULL for a key that was destroyed."""

_MASTER = "CREATE TABLE IF NOT EXISTS master (id INTEGER PRIMARY KEY CHECK (id = 1), proof BLOB NOT NULL) STRICT"
"""`proof` is what only the right master key opens."""

_PROOF = b"factline master key"


class SqliteKeyStore:
    """KeyStore of the embedded profile. Other processes may have the same file open."""

    def __init__(self, path: Path | str, master_file: Path) -> None:
        """Make the table, and the master key if there was no table. Raises: StoreUnavailable; KeysUnusable."""
        self._path = path
        self._using = Lock()
        try:
            self._connection = sqlite3.connect(
                path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{path}: {error}") from error
        try:
            self._prepare(master_file)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self, master_file: Path) -> None:
        with self._errors():
            # a destroyed key is overwritten, and no log beside the file keeps it; EXTRA, so that power loss takes no
            # commit back
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.execute("PRAGMA synchronous = EXTRA")
        with self._transaction() as connection:
            connection.execute(_KEYS)
            connection.execute(_MASTER)
            found = connection.execute("SELECT proof FROM master").fetchone()
            if found is None:
                _make_master(master_file)
            self._master = _read_master(master_file)
            if found is None:
                connection.execute("INSERT INTO master VALUES (1, ?)", (seal(self._derived("proof"), _PROOF, b""),))
                return
        try:
            unseal(self._derived("proof"), found[0], b"")
        except Tampered:
            raise KeysUnusable(
                f"{master_file} is not the master key that {self._path} was made with; put the right one back"
            ) from None

    def close(self) -> None:
        with self._using:
            self._connection.close()

    def find(self, subjects: Collection[Subject]) -> Mapping[Subject, bytes]:
        with self._transaction("DEFERRED") as connection:
            found = {subject: _kept(connection, subject) for subject in subjects}
        return {subject: self._unwrap(subject, kept[0]) for subject, kept in found.items() if kept and kept[0]}

    def make(self, subjects: Collection[Subject]) -> Keys:
        with self._transaction() as connection:
            found = {subject: _kept(connection, subject) or self._made(connection, subject) for subject in subjects}
        return {subject: self._unwrap(subject, wrapped) if wrapped else None for subject, (wrapped,) in found.items()}

    def destroy(self, subject: Subject) -> None:
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO keys VALUES (?, ?, NULL) ON CONFLICT (tenant_id, subject) DO UPDATE SET wrapped = NULL",
                subject,
            )

    def _made(self, connection: sqlite3.Connection, subject: Subject) -> tuple[bytes]:
        wrapped = seal(self._wrapping_key(subject), new_key(), _place(subject))
        connection.execute("INSERT INTO keys VALUES (?, ?, ?)", (*subject, wrapped))
        return (wrapped,)

    def _unwrap(self, subject: Subject, wrapped: bytes) -> bytes:
        try:
            return unseal(self._wrapping_key(subject), wrapped, _place(subject))
        except Tampered:
            raise KeysUnusable(f"a key in {self._path} was changed or moved; restore that file") from None

    def _wrapping_key(self, subject: Subject) -> bytes:
        return self._derived(f"tenant {subject[0]}")

    def _derived(self, purpose: str) -> bytes:
        """Return a key that is made from the master key. Source: RFC 5869, HKDF with SHA-256."""
        info = f"factline keys 1: {purpose}".encode()
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._master)

    @contextmanager
    def _transaction(self, kind: Literal["DEFERRED", "IMMEDIATE"] = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """Commit what the block writes, or keep nothing of it. Raises: StoreUnavailable; KeysUnusable."""
        with self._using, self._errors():
            try:
                self._connection.execute(f"BEGIN {kind}")
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                # a full disk has rolled back already
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if is_damage(error):
                raise KeysUnusable(f"{self._path} is damaged ({error}); restore that file") from error
            raise StoreUnavailable(f"{self._path}: {error}") from error


def _kept(connection: sqlite3.Connection, subject: Subject) -> tuple[bytes | None] | None:
    """Return (wrapped key), (None) where it was destroyed, None where there never was one."""
    found = connection.execute("SELECT wrapped FROM keys WHERE tenant_id = ? AND subject = ?", subject).fetchone()
    return (found[0],) if found else None


def _place(subject: Subject) -> bytes:
    return b"".join(map(encode_text, subject))


def _make_master(file: Path) -> None:
    """Make the master key whole or not at all; one that is there stays."""
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


def _read_master(file: Path) -> bytes:
    try:
        if file.stat().st_mode & 0o077:
            raise KeysUnusable(f"the master key {file} may be read by others; run `chmod 600` on it")
        master = bytes.fromhex(file.read_text(encoding="ascii"))
    except OSError as error:
        raise KeysUnusable(
            f"the master key {file} cannot be read: {error.strerror}; put it back, no personal field opens without it"
        ) from error
    except ValueError:
        master = b""
    if len(master) != KEY_BYTES:
        raise KeysUnusable(f"{file} does not hold a master key, {KEY_BYTES * 2} hex digits; put the right file back")
    return master
