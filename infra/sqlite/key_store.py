"""This keeps in SQLite the keys of personal fields, each wrapped with a master key that stands in a file of its own."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Literal

from infra.master_key import make_master_key, read_master_key
from infra.sqlite.identity import claim, is_damage
from projections.keys import KeysUnusable
from projections.stores import StoreUnavailable
from schemas.personal import Keys, Subject
from schemas.sealed import Tampered, new_key
from streams.ports import LogIdentity

BUSY_TIMEOUT_S = 5.0

_KEYS = """
CREATE TABLE IF NOT EXISTS keys (
    tenant_id TEXT NOT NULL, subject TEXT NOT NULL, wrapped BLOB, PRIMARY KEY (tenant_id, subject)
) STRICT, WITHOUT ROWID
"""
"""`wrapped` is NULL for a key that was destroyed."""

_MASTER = "CREATE TABLE IF NOT EXISTS master (id INTEGER PRIMARY KEY CHECK (id = 1), proof BLOB NOT NULL) STRICT"
"""`proof` is what only the right master key opens."""


class SqliteKeyStore:
    """KeyStore of the embedded profile. Other processes may have the same file open."""

    def __init__(
        self, path: Path | str, master_file: Path, of: LogIdentity | None = None, *, made: bool = False
    ) -> None:
        """Make the table, and the master key if there was no table.

        Shape: `of` is the log whose keys these are, None where that is not looked at; a file that was `made` has to be
        there.
        Raises: StoreUnavailable; KeysUnusable; LogDamaged, the file belongs to another log.
        """
        if made and not Path(path).exists():
            raise KeysUnusable(f"{path} is missing, and without it no personal field opens; put it back")
        self._path = path
        self._of = of
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
            if self._of is not None:
                claim(connection, self._of, Path(self._path).name)
            found = connection.execute("SELECT proof FROM master").fetchone()
            if found is None:
                make_master_key(master_file)
            self.master = read_master_key(master_file)
            if found is None:
                connection.execute("INSERT INTO master VALUES (1, ?)", (self.master.proof(),))
                return
        try:
            self.master.check(found[0])
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
        wrapped = self.master.wrap(subject, new_key())
        connection.execute("INSERT INTO keys VALUES (?, ?, ?)", (*subject, wrapped))
        return (wrapped,)

    def _unwrap(self, subject: Subject, wrapped: bytes) -> bytes:
        try:
            return self.master.unwrap(subject, wrapped)
        except Tampered:
            raise KeysUnusable(f"a key in {self._path} was changed or moved; restore that file") from None

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
