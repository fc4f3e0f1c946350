"""Workers and gateways keep here what stands beside the events of the log: answers, keys and credentials."""

import sqlite3
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from infra.sqlite.bulk import insert_many, parts, question_marks
from infra.sqlite.datastore import store_errors
from streams.topics import Beside

_CREATE = """
CREATE TABLE IF NOT EXISTS beside (
    kind TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID
"""
_CREATE_ENDS = """
CREATE TABLE IF NOT EXISTS beside_ends (
    kind TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (kind, partition)
) STRICT, WITHOUT ROWID
"""


class Noted(NamedTuple):
    """A record of one of these topics: of several with the same key the last one counts."""

    key: bytes
    value: bytes
    at_ms: int


class BesideEvents:
    """The records of partitions of these topics, each up to an offset. Whoever uses it begins and commits.

    Used by one thread at a time.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        for statement in (_CREATE, _CREATE_ENDS):
            db.execute(statement)

    def next_offset(self, kind: Beside, partition: int) -> int:
        of = "SELECT next FROM beside_ends WHERE (kind, partition) = (?, ?)"
        found = self._db.execute(of, (kind.value, partition)).fetchone()
        return found[0] if found else 0

    def keep(self, kind: Beside, partition: int, records: Sequence[Noted], next_offset: int) -> None:
        """Keep what a partition has up to before an offset."""
        last = {record.key: record for record in records}
        insert_many(self._db, "INSERT OR REPLACE INTO beside", [(kind.value, *last[key]) for key in sorted(last)])
        self._db.execute("INSERT OR REPLACE INTO beside_ends VALUES (?, ?, ?)", (kind.value, partition, next_offset))

    def find(self, kind: Beside, keys: Collection[bytes]) -> Mapping[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        for part in parts(list(keys)):
            of = f"SELECT key, value FROM beside WHERE kind = ? AND key IN ({question_marks(part)})"
            found.update(self._db.execute(of, (kind.value, *part)))
        return found

    def between(self, kind: Beside, first: bytes, end: bytes) -> Mapping[bytes, bytes]:
        """Return what has a key from `first` on and before `end`."""
        of = "SELECT key, value FROM beside WHERE kind = ? AND key >= ? AND key < ?"
        return dict(self._db.execute(of, (kind.value, first, end)))

    def forget_before(self, kind: Beside, at_ms: int) -> None:
        self._db.execute("DELETE FROM beside WHERE kind = ? AND at_ms < ?", (kind.value, at_ms))


class BesideFile:
    """The records of all partitions in a file of their own; any thread may ask.

    Shape: kept without waiting for the disk: all of it can be read again.
    Raises: StoreUnavailable, the disk failed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._using = threading.Lock()
        with store_errors(self._path):
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON"):
                self._db.execute(f"PRAGMA {pragma}")
            self._kept = BesideEvents(self._db)

    def close(self) -> None:
        with self._using:
            self._db.close()

    def next_offset(self, kind: Beside, partition: int) -> int:
        with self._using, store_errors(self._path):
            return self._kept.next_offset(kind, partition)

    def keep(self, kind: Beside, records: Mapping[int, Sequence[Noted]], next_offsets: Mapping[int, int]) -> None:
        """Keep what partitions have up to before their offsets."""
        with self._using, store_errors(self._path):
            self._db.execute("BEGIN")
            try:
                for partition, offset in next_offsets.items():
                    self._kept.keep(kind, partition, records.get(partition, ()), offset)
                self._db.execute("COMMIT")
            finally:
                # also after a commit that failed; a full disk may have rolled back already
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def find(self, kind: Beside, keys: Collection[bytes]) -> Mapping[bytes, bytes]:
        with self._using, store_errors(self._path):
            return self._kept.find(kind, keys)

    def between(self, kind: Beside, first: bytes, end: bytes) -> Mapping[bytes, bytes]:
        with self._using, store_errors(self._path):
            return self._kept.between(kind, first, end)
