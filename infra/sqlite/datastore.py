"""Both files of the embedded log are opened like this, and the faults of SQLite told in the words of the ports."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

from eventsourcing.persistence import ConnectionPoolClosedError, InterfaceError, PersistenceError
from eventsourcing.sqlite import (
    SQLITE3_DEFAULT_LOCK_TIMEOUT,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
)

from infra.sqlite.identity import is_damage
from projections.stores import StoreUnavailable
from streams.ports import LogDamaged, LogFull, LogUnavailable

_STATEMENTS = 32  # prepared for each connection, up to 100 kB each: batches of one size find theirs again


class DurableDatastore(SQLiteDatastore):
    """The library's datastore, with every commit on the disk before it returns."""

    synchronous: ClassVar = "FULL"  # not every build's default in WAL mode, and an answered command survives power loss

    def __init__(self, db_name: str, *, originator_id_type: Literal["uuid", "text"] = "text", **kwargs: Any) -> None:
        super().__init__(db_name, originator_id_type=originator_id_type, **kwargs)
        self.pool.close()
        self.pool = _Pool(self.synchronous, db_name=db_name, **kwargs)

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        with self.get_connection(commit=commit) as connection:
            try:
                with connection.transaction(commit=commit) as cursor:
                    yield cursor
            finally:
                # a commit that failed (full disk) leaves the transaction open, and the pool would hand it out again
                connection.rollback()

    def number(self, query: str) -> int:
        """Return the one number that a query gives. Raises: LogUnavailable; LogDamaged."""
        with log_errors(), self.transaction(commit=False) as c:
            c.execute(query)
            return int(c.fetchone()[0])


class _Pool(SQLiteConnectionPool):
    def __init__(self, synchronous: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._synchronous = synchronous

    def _create_connection(self) -> SQLiteConnection:
        # not the library's: each of its connections keeps one prepared statement (`cached_statements=True`)
        try:
            connection = sqlite3.connect(
                self.db_name,
                uri=True,
                check_same_thread=False,
                isolation_level=None,
                cached_statements=_STATEMENTS,
                timeout=self.lock_timeout or SQLITE3_DEFAULT_LOCK_TIMEOUT,
            )
        except sqlite3.Error as error:
            raise InterfaceError(error) from error
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={self._synchronous}")
        return SQLiteConnection(connection, self.max_age)


@contextmanager
def log_errors() -> Iterator[None]:
    try:
        yield
    except ConnectionPoolClosedError as error:
        raise LogUnavailable("the log was closed; open it again") from error
    except (sqlite3.Error, PersistenceError) as error:
        if is_damage(error):
            raise LogDamaged(f"the log is damaged ({error}); stop the server and restore a backup") from error
        if "full" in str(error):
            raise LogFull("the disk under the log is full; free some space and send it again") from error
        raise LogUnavailable(f"the log did not answer: {error}") from error


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path}: {error}") from error
