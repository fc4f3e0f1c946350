"""A recorder on Kafka reads from this copy of its log, which is in the eventsourcing library's own tables."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal

from eventsourcing.persistence import IntegrityError, StoredEvent, Tracking
from eventsourcing.sqlite import SQLiteCursor, SQLiteProcessRecorder

from infra.sqlite.datastore import DurableDatastore

OriginatorIdType = Literal["uuid", "text"]


class _Datastore(DurableDatastore):
    synchronous: ClassVar = "NORMAL"  # what power loss takes from a copy is read again


class RecorderCopy(SQLiteProcessRecorder):
    """Events and tracking up to before `offset` of the log; all of it can be read again.

    Shape: a notification id is an event's position in the log.
    """

    def __init__(self, path: Path, log_id: str, originator_id_type: OriginatorIdType) -> None:
        """Shape: `log_id` names the log that the file belongs to; one of another log is thrown away."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if _log_id(path) != log_id:
            for old in (path, *path.parent.glob(f"{path.name}-*")):
                old.unlink(missing_ok=True)
        super().__init__(_Datastore(str(path), originator_id_type=originator_id_type))
        self.create_table()
        with self.datastore.transaction(commit=True) as c:
            c.execute("INSERT INTO log SELECT ?, 0 WHERE NOT EXISTS (SELECT 1 FROM log)", (log_id,))

    def construct_create_table_statements(self) -> list[str]:
        return [*super().construct_create_table_statements(), "CREATE TABLE IF NOT EXISTS log (id TEXT, next INTEGER)"]

    def close(self) -> None:
        self.datastore.close()

    def offset(self) -> int:
        with self.datastore.transaction(commit=False) as c:
            c.execute("SELECT next FROM log")
            return int(c.fetchone()[0])

    @contextmanager
    def change(self) -> Iterator["Change"]:
        """Keep what is added within, all of it, when the block ends without an error; nobody reads it before."""
        with self.datastore.transaction(commit=True) as c:
            yield Change(self, c)

    def add(self, c: SQLiteCursor, events: Sequence[StoredEvent], tracking: Tracking | None) -> Sequence[int]:
        return self._insert_events(c, events, tracking=tracking) or ()


class Change:
    """A transaction on the copy."""

    def __init__(self, copy: RecorderCopy, cursor: SQLiteCursor) -> None:
        self._copy = copy
        self._cursor = cursor

    def add(self, events: Sequence[StoredEvent], tracking: Tracking | None) -> Sequence[int]:
        """Add all of it and return the notification ids, dense and in order.

        Raises: IntegrityError, a stream has one of the versions, or the tracking is not ahead; nothing is added.
        """
        self._cursor.execute("SAVEPOINT one")
        try:
            return self._copy.add(self._cursor, events, tracking)
        except (sqlite3.IntegrityError, IntegrityError) as error:
            self._cursor.execute("ROLLBACK TO one")
            raise IntegrityError(f"the log has a version of these already: {error}") from error
        finally:
            self._cursor.execute("RELEASE one")

    def end(self) -> int:
        self._cursor.execute("SELECT COALESCE(MAX(rowid), 0) FROM stored_events")
        return int(self._cursor.fetchone()[0])

    def go_on_at(self, offset: int) -> None:
        self._cursor.execute("UPDATE log SET next = ?", (offset,))


def _log_id(path: Path) -> str | None:
    if not path.exists():
        return None
    db = sqlite3.connect(path)
    try:
        row = db.execute("SELECT id FROM log").fetchone()
    except sqlite3.DatabaseError:
        # not a copy, or one that was never finished
        return None
    finally:
        db.close()
    return None if row is None else str(row[0])
