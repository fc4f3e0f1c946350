"""The embedded stores share this: connections to one SQLite file, which build is live, and checkpoints."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from infra.sqlite.identity import claim, is_damage
from projections.instants import from_microseconds, to_microseconds
from projections.projection import Projection
from projections.rows import Checkpoint, Row, StoredRow, View
from projections.stores import Holder, Overview, StoreUnavailable, WriteRefused
from schemas.envelope import TenantId, Topic
from streams.ports import LogDamaged, LogIdentity

BUSY_TIMEOUT_MS = 5_000
# 64 MB: a page that many batches touch is copied into the main file once for all of them
WAL_PAGES = 16_000
WRITER_CACHE_KIB = 64_000

_REFUSALS = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    OverflowError,
    TypeError,
    UnicodeEncodeError,
)

_REGISTRY = """
CREATE TABLE IF NOT EXISTS views (
    name TEXT NOT NULL, build INTEGER NOT NULL, live INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (name, build)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoints (
    name TEXT NOT NULL, build INTEGER NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
    position INTEGER NOT NULL, recorded_at INTEGER NOT NULL, log TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (name, build, topic, partition)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holders (
    name TEXT NOT NULL PRIMARY KEY, who TEXT NOT NULL, until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

_CHECKPOINT = ", ".join(Checkpoint._fields)


def marks(count: int) -> str:
    return ", ".join("?" * count)


class Database:
    """One SQLite file: one connection that writes, guarded by a lock, and as many that read as read at once."""

    def __init__(
        self,
        path: Path | str,
        schema: str,
        *,
        synchronous: Literal["NORMAL", "FULL"],
        belongs_to: LogIdentity | None = None,
    ) -> None:
        """Shape: `belongs_to` is the log that the file is made from, None where that is all the same.

        Raises: StoreUnavailable; LogDamaged, the file is made from another log.
        """
        self._path = path
        self._synchronous = synchronous
        self._writing = Lock()
        self._pool = Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        try:
            self._writer = self._connect()
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{path}: {error}") from error
        try:
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
            self._writer.executescript(schema)
            if belongs_to is not None:
                claim(self._writer, belongs_to, Path(path).name)
        except LogDamaged:
            self._writer.close()
            raise
        except sqlite3.Error as error:
            self._writer.close()
            raise StoreUnavailable(f"{path}: {error}") from error

    def close(self) -> None:
        with self._writing, self._pool:
            self._closed = True
            while self._idle:
                self._idle.pop().close()
            self._writer.close()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Commit what the block writes, or keep nothing of it. Raises: StoreUnavailable."""
        with self._writing:
            self._check_open()
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                self._writer.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._failed(error) from error
            finally:
                # a full disk has rolled back already
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Show the block one unchanging state of the file. Raises: StoreUnavailable."""
        connection: sqlite3.Connection | None = None
        try:
            connection = self._take()
            connection.execute("BEGIN")
            yield connection
        except sqlite3.Error as error:
            raise self._failed(error) from error
        finally:
            if connection is not None:
                self._give_back(connection)

    def _take(self) -> sqlite3.Connection:
        with self._pool:
            self._check_open()
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        with self._pool:
            if self._closed:
                connection.close()
            else:
                self._idle.append(connection)

    def _failed(self, error: sqlite3.Error) -> StoreUnavailable:
        if not is_damage(error):
            return StoreUnavailable(f"{self._path}: {error}")
        # waiting does not mend it
        folder = Path(self._path).parent
        return StoreUnavailable(
            f"{self._path} is damaged ({error}); stop the server and remove the folder {folder}, the next start makes"
            " it from the log"
        )

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"{self._path} was closed")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        # Python's lower() and not SQLite's, which knows ASCII only
        connection.create_function("folded", 1, str.casefold, deterministic=True)
        return connection


class SqliteViews(ABC):
    """The ViewWriter of one SQLite file; a subclass knows what the tables look like."""

    def __init__(
        self, path: Path | str, projections: Sequence[Projection], belongs_to: LogIdentity | None = None
    ) -> None:
        # NORMAL: a commit survives `kill -9`. Power loss may take the last ones back, rows and checkpoint together
        # because they are in one file, and then the worker reads on from that older checkpoint.
        self._database = Database(path, _REGISTRY, synchronous="NORMAL", belongs_to=belongs_to)
        with self._database.write() as connection:
            if "log" not in [row[1] for row in connection.execute("PRAGMA table_info(checkpoints)")]:
                # a file of an earlier version
                connection.execute("ALTER TABLE checkpoints ADD COLUMN log TEXT NOT NULL DEFAULT ''")
        self._projections = {projection.name: projection for projection in projections}

    def close(self) -> None:
        self._database.close()

    @abstractmethod
    def _schema(self, view: View) -> Sequence[str]:
        """Return the statements that make a view's table."""

    @abstractmethod
    def _write(self, connection: sqlite3.Connection, view: View, rows: Sequence[Row]) -> None: ...

    @abstractmethod
    def _select(self, view: View) -> str:
        """Return `SELECT … FROM …` of the columns that `_stored` takes."""

    @abstractmethod
    def _stored(self, view: View, values: Sequence[Any]) -> StoredRow: ...

    def create(self, view: View) -> None:
        with self._database.write() as connection:
            if view not in _builds(connection, view.name):
                connection.execute("INSERT INTO views (name, build) VALUES (?, ?)", (view.name, view.build))
                for statement in self._schema(view):
                    connection.execute(statement)

    def drop(self, view: View) -> None:
        with self._database.write() as connection:
            if live_build(connection, view.name) == view:
                raise ValueError(f"{view.table} is live: switch to another build first")
            for table in (view.table, words_table(view)):
                connection.execute(f'DROP TABLE IF EXISTS "{table}"')
            for table in ("views", "checkpoints"):
                connection.execute(f"DELETE FROM {table} WHERE name = ? AND build = ?", (view.name, view.build))

    def live(self, name: str) -> View | None:
        with self._database.read() as connection:
            return live_build(connection, name)

    def builds(self, name: str) -> Sequence[View]:
        with self._database.read() as connection:
            return _builds(connection, name)

    def overview(self) -> Overview:
        with self._database.read() as connection:
            views = connection.execute("SELECT name, build, live FROM views ORDER BY name, build").fetchall()
            reached: dict[View, list[Checkpoint]] = {View(name, build): [] for name, build, _ in views}
            for name, build, *at in connection.execute(f"SELECT name, build, {_CHECKPOINT} FROM checkpoints"):
                # what came in between is a build for who asks again
                if (view := View(name, build)) in reached:
                    reached[view].append(_checkpoint(at))
        return Overview({name: View(name, build) for name, build, live in views if live}, reached)

    def hold(self, name: str, holder: Holder, *, now: datetime) -> Holder:
        with self._database.write() as connection:
            connection.execute(
                """
                INSERT INTO holders VALUES (?, ?, ?) ON CONFLICT (name)
                DO UPDATE SET who = excluded.who, until = excluded.until WHERE who = excluded.who OR until < ?
                """,
                (name, holder.who, to_microseconds(holder.until), to_microseconds(now)),
            )
            who, until = connection.execute("SELECT who, until FROM holders WHERE name = ?", (name,)).fetchone()
            return Holder(who, from_microseconds(until))

    def switch(self, view: View) -> None:
        with self._database.write() as connection:
            if view not in _builds(connection, view.name):
                raise ValueError(f"{view.table} is not there: create it first")
            connection.execute("UPDATE views SET live = (build = ?) WHERE name = ?", (view.build, view.name))

    def checkpoints(self, view: View) -> Sequence[Checkpoint]:
        with self._database.read() as connection:
            found = connection.execute(
                f"SELECT {_CHECKPOINT} FROM checkpoints WHERE name = ? AND build = ?",
                (view.name, view.build),
            ).fetchall()
        return tuple(map(_checkpoint, found))

    def apply(self, view: View, rows: Sequence[Row], *checkpoints: Checkpoint) -> None:
        with self._database.write() as connection:
            try:
                self._write(connection, view, rows)
            except _REFUSALS as error:
                raise WriteRefused(f"{view.table}: {error}") from error
            _move(connection, view, checkpoints)

    def scan(self, view: View, tenant_id: TenantId) -> Iterator[StoredRow]:
        with self._database.read() as connection:
            for values in connection.execute(self._of_tenant(view), (tenant_id,)):
                yield self._stored(view, values)

    def _of_tenant(self, view: View, part: str = "") -> str:
        key = ", ".join(self._projections[view.name].layout.key)
        return f"{self._select(view)} WHERE tenant_id = ? {part} ORDER BY {key}"

    def misplaced(self, view: View, tenant_id: TenantId) -> Iterator[tuple[Any, ...]]:  # noqa: ARG002
        # nothing is kept beside the row that a reader would go by
        return iter(())

    def tenants(self, view: View) -> Sequence[TenantId]:
        with self._database.read() as connection:
            return tuple(TenantId(tenant) for tenant in distinct(connection, view, "tenant_id", {}))


def words_table(view: View) -> str:
    """Return the name of the table of a build's words; a build that is not searched has none."""
    return f"{view.table}_words"


def check_written(table: str, sent: int, written: int) -> None:
    """Do nothing where all that was sent was written. Raises: StoreUnavailable."""
    if written < sent:
        raise StoreUnavailable(f"sqlite wrote {written} of {sent} rows that were sent to {table}")


def live_build(connection: sqlite3.Connection, name: str) -> View | None:
    found = connection.execute("SELECT build FROM views WHERE name = ? AND live", (name,)).fetchone()
    return View(name, found[0]) if found else None


def distinct(connection: sqlite3.Connection, view: View, column: str, equal: dict[str, Any]) -> Sequence[str]:
    """Return the values of a column, in order, jumping from each to the next in an index."""
    where = "".join(f"{name} = :{name} AND " for name in equal)
    found = connection.execute(
        f"""
        WITH RECURSIVE found (value) AS (
            SELECT min({column}) FROM "{view.table}" WHERE {where} true
            UNION ALL
            SELECT (SELECT min({column}) FROM "{view.table}" WHERE {where} {column} > found.value)
            FROM found WHERE found.value IS NOT NULL
        )
        SELECT value FROM found WHERE found.value IS NOT NULL
        """,
        equal,
    )
    return tuple(value for (value,) in found)


def _checkpoint(found: Sequence[Any]) -> Checkpoint:
    topic, partition, position, recorded_at, log = found
    return Checkpoint(Topic(topic), partition, position, from_microseconds(recorded_at), log)


def _builds(connection: sqlite3.Connection, name: str) -> Sequence[View]:
    found = connection.execute("SELECT build FROM views WHERE name = ? ORDER BY build", (name,))
    return tuple(View(name, build) for (build,) in found)


def _move(connection: sqlite3.Connection, view: View, checkpoints: Sequence[Checkpoint]) -> None:
    connection.executemany(
        """
        INSERT INTO checkpoints (name, build, topic, partition, position, recorded_at, log) VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (name, build, topic, partition)
        DO UPDATE SET position = excluded.position, recorded_at = excluded.recorded_at, log = excluded.log
        WHERE excluded.position > checkpoints.position
           OR excluded.position = checkpoints.position AND checkpoints.log = ''
        """,
        [
            (view.name, view.build, at.topic.value, at.partition, at.position, to_microseconds(at.recorded_at), at.log)
            for at in checkpoints
        ],
    )
