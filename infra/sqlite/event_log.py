"""This is the embedded log: the eventsourcing library's recorder for events, and batches of facts beside it."""

import sqlite3
import threading
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

from eventsourcing.persistence import ConnectionPoolClosedError, InterfaceError, PersistenceError, StoredEvent
from eventsourcing.sqlite import (
    SQLITE3_DEFAULT_LOCK_TIMEOUT,
    SQLiteApplicationRecorder,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
)

from domain import catalog
from infra.data_dir import LOG_FILES
from infra.instants import to_microseconds
from infra.sqlite.bulk import insert_many
from infra.sqlite.command_index import (
    CREATE_COMMANDS,
    MARKS_FOR_US,
    PRUNE_EVERY,
    Caused,
    CausedBy,
    answered_by_marks,
    caused_by,
    command_name,
    index_rows,
    mark_row,
)
from infra.sqlite.credentials import CREATE_CREDENTIALS, fill, is_filled, keep_parts
from infra.sqlite.identity import check, claim, is_damage
from projections.credentials import TYPES, Part, parts_of
from schemas.envelope import (
    UNKNOWN_TYPE,
    Actor,
    Entry,
    Envelope,
    Position,
    StreamId,
    StreamKey,
    TenantId,
    Topic,
    Undecodable,
)
from schemas.fact_batch import StoredFact, decode_facts, encode_facts
from schemas.payload import BadPayload, encode_payload
from schemas.stored_record import decode_record, encode_record
from streams.identifiers import fact_id, named_uuid, sender_id
from streams.ports import (
    Answered,
    Batch,
    Clock,
    CommandKey,
    FactSubmission,
    LogDamaged,
    LogFull,
    LogIdentity,
    LogUnavailable,
    Mark,
    SystemClock,
    TelemetryReply,
)
from streams.write.answers import answered_with

_PARTITION = 0
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_QUERY_KEYS = 500  # bound values in one statement; SQLite's parser allows many more, but gains nothing by them
_LATE_COMMANDS = 1_000
"""Commands that wait in memory for their place in the index: a thousand at once touch its pages once."""
_STATEMENTS = 32  # prepared for each connection, up to 100 kB each: batches of one size find theirs again
_CREATE_EVENTS = """
    CREATE TABLE IF NOT EXISTS {} (
        rowid INTEGER PRIMARY KEY, originator_id TEXT, originator_version INTEGER, topic TEXT, state BLOB,
        UNIQUE (originator_id, originator_version)
    )
"""
"""The library's table, with the position as a column of its own: SQLite may number rows that have none anew."""


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


class CommandRecorder(SQLiteApplicationRecorder):
    """The library's recorder, with an index of the accepted commands in the same file.

    The index may be late: what follows its newest event (the row of no tenant) is for the log to remember.
    """

    def __init__(self, datastore: SQLiteDatastore, events_table_name: str = "stored_events") -> None:
        super().__init__(datastore, events_table_name)
        columns = "originator_id, originator_version, topic, state"
        self.insert_events_statement = f"INSERT INTO {events_table_name} ({columns}) VALUES (?,?,?,?)"

    def construct_create_table_statements(self) -> list[str]:
        return [_CREATE_EVENTS.format(self.events_table_name), *CREATE_COMMANDS, CREATE_CREDENTIALS]

    def _insert_events(
        self,
        c: SQLiteCursor,
        stored_events: Sequence[StoredEvent],
        *,
        caused: Sequence[Caused] = (),
        marks: Sequence[Mark] = (),
        credentials: Sequence[Part] = (),
        **kwargs: Any,
    ) -> Sequence[int] | None:
        keep_parts(c, credentials)
        if marks:
            insert_many(c, "INSERT OR REPLACE INTO marks", [mark_row(mark) for mark in marks])
        # the library's for aggregates: many rows in one call, where that for applications makes one call for each
        super(SQLiteApplicationRecorder, self)._insert_events(c, stored_events, **kwargs)
        if caused:
            insert_many(c, "INSERT OR REPLACE INTO commands", index_rows(caused))
        # rows are never deleted and one transaction writes at a time: their numbers follow each other
        c.execute("SELECT last_insert_rowid()")
        last = c.fetchone()[0]
        return list(range(last + 1 - len(stored_events), last + 1))


class SqliteEventLog:
    """EventLog and TelemetryLog in a folder: `events.sqlite` and `telemetry.sqlite`, one partition.

    One process at a time; any number of its threads may read, one may append.
    Raises: LogUnavailable, a file is damaged or the disk is full.
    """

    partitions = 1

    def __init__(
        self, folder: Path, clock: Clock | None = None, *, identity: LogIdentity | None = None, made: bool = False
    ) -> None:
        """Shape: `identity` is the log that both files must belong to, None for one that is only read; files of a log
        that was `made` have to be there.

        Raises: LogUnavailable, safe to retry; LogDamaged.
        """
        self._clock = clock or SystemClock()
        files = [folder / name for name in LOG_FILES]
        for file in files:
            if made and not file.exists():
                raise LogDamaged(
                    f"{file.name} is missing; put it back, or restore a backup into another folder with `factline"
                    " restore`"
                )
            if identity is not None:
                _look_through(file, identity)
        self._events, self._facts = (DurableDatastore(str(file)) for file in files)
        self._recorder = CommandRecorder(self._events)
        self._grown = threading.Condition()
        self._facts_lock = threading.Lock()
        try:
            self._create()
            if identity is not None:
                self._fill_credentials()
            self._ends = {
                Topic.EVENTS: self._one(self._events, "SELECT COALESCE(MAX(rowid), 0) FROM stored_events"),
                Topic.TELEMETRY: self._one(self._facts, "SELECT COALESCE(MAX(last), 0) FROM fact_batches"),
            }
            self._not_indexed = self._read_not_indexed()
            self._facts_recorded_at = self._read_facts_recorded_at()
            self._pruned_at = _LONG_AGO
        except BaseException:
            self.close()
            raise

    def _create(self) -> None:
        with _log_errors():
            self._recorder.create_table()
            with self._facts.transaction(commit=True) as c:
                c.execute(
                    "CREATE TABLE IF NOT EXISTS fact_batches"
                    " (last INTEGER PRIMARY KEY, first INTEGER NOT NULL, tenant_id TEXT NOT NULL, facts BLOB NOT NULL)"
                )
                c.execute(
                    "CREATE TABLE IF NOT EXISTS fact_keys"
                    " (tenant_id TEXT, key BLOB, PRIMARY KEY (tenant_id, key)) WITHOUT ROWID"
                )

    def _fill_credentials(self) -> None:
        """Bring what earlier versions recorded of API keys and tenants into the table of credentials, once."""
        with _log_errors(), self._events.transaction(commit=True) as c:
            if is_filled(c):
                return
            entries = self._select(f"WHERE topic IN ({_marks([*TYPES])}) ORDER BY stored_events.rowid", [*TYPES])
            fill(c, [entry for entry in entries if isinstance(entry, Envelope)])

    def _read_not_indexed(self) -> CausedBy:
        indexed = self._one(
            self._events,
            # a folder of an earlier version has no such row, and no command that is late
            "SELECT COALESCE((SELECT last FROM commands WHERE tenant_id = '' AND command_id = ''),"
            " (SELECT MAX(last) FROM commands), 0)",
        )
        late = self._select("WHERE rowid > ? ORDER BY rowid", (indexed,))
        return caused_by([event for event in late if isinstance(event, Envelope)])

    def _read_facts_recorded_at(self) -> datetime:
        last = self._read_facts(self._ends[Topic.TELEMETRY] - 1, 1)
        return max((fact.recorded_at for fact in last if isinstance(fact, Envelope)), default=_LONG_AGO)

    def close(self) -> None:
        self._events.close()
        self._facts.close()

    # --- reading

    def end(self, topic: Topic, partition: int) -> int:
        del partition
        return self._ends[topic]

    def read(self, topic: Topic, partition: int, *, after: int, limit: int) -> Sequence[Entry]:
        del partition
        if topic is Topic.EVENTS:
            return self._select("WHERE rowid > ? ORDER BY rowid LIMIT ?", (after, limit))
        return self._read_facts(after, limit)

    def _read_facts(self, after: int, limit: int) -> Sequence[Entry]:
        entries: list[Entry] = []
        with _log_errors(), self._facts.transaction(commit=False) as c:
            c.execute("SELECT first, last, tenant_id, facts FROM fact_batches WHERE last > ? ORDER BY last", (after,))
            while len(entries) < limit and (row := c.fetchone()):
                first, last, tenant_id, facts = row
                try:
                    batch = decode_facts(facts, tenant_id=tenant_id, partition=_PARTITION, first_position=first)
                except BadPayload as error:
                    batch = [_lost_fact(tenant_id, position, facts, error) for position in range(first, last + 1)]
                entries += batch[max(0, after + 1 - first) :]
        return entries

    def wait(self, ends: Mapping[tuple[Topic, int], int], timeout_s: float) -> bool:
        with self._grown:
            return self._grown.wait_for(
                lambda: any(self._ends[topic] > position for (topic, _), position in ends.items()), timeout_s
            )

    def read_stream(self, tenant_id: TenantId, stream: StreamId, *, after: int, limit: int) -> Sequence[Entry]:
        return self._select(
            "WHERE originator_id = ? AND originator_version > ? ORDER BY originator_version LIMIT ?",
            (_originator(tenant_id, stream), after, limit),
        )

    def tenants(self, partition: int) -> Sequence[TenantId]:
        del partition
        with _log_errors(), self._events.transaction(commit=False) as c:
            c.execute("SELECT DISTINCT substr(originator_id, 1, instr(originator_id, '|') - 1) FROM stored_events")
            return sorted(row[0] for row in c.fetchall())

    def read_streams(self, keys: Collection[StreamKey]) -> Mapping[StreamKey, Sequence[Entry]]:
        found: dict[StreamKey, list[Entry]] = defaultdict(list)
        originators = [_originator(*key) for key in keys]
        for part in _parts(originators):
            for entry in self._select(
                f"WHERE originator_id IN ({_marks(part)}) ORDER BY originator_id, originator_version", part
            ):
                found[entry.key].append(entry)
        return found

    def find_commands(self, keys: Collection[CommandKey]) -> Mapping[CommandKey, Answered]:
        late = self._not_indexed
        names: dict[TenantId, list[str]] = defaultdict(list)
        events: list[Entry] = []
        for tenant_id, actor, command_id in keys:
            name = command_name(actor, command_id)
            if row := late.get((tenant_id, name)):
                events += self._select("WHERE rowid BETWEEN ? AND ? ORDER BY rowid", (row.first, row.last))
            else:
                # an earlier version wrote the id alone
                names[tenant_id] += (name, command_id)
        found: dict[CommandKey, Answered] = {}
        for tenant_id, commands in names.items():
            for part in _parts(commands):
                indexed = f"SELECT first, last FROM commands WHERE tenant_id = ? AND command_id IN ({_marks(part)})"
                rest = f"JOIN ({indexed}) ON stored_events.rowid BETWEEN first AND last ORDER BY stored_events.rowid"
                events += self._select(rest, (tenant_id, *part))
                # no earlier version wrote a mark
                found |= self._find_marks(tenant_id, [name for name in part if "\n" in name])
        answered = answered_with(event for event in events if isinstance(event, Envelope))
        found |= answered
        return {key: found[key] for key in keys if key in found}

    def _find_marks(self, tenant_id: TenantId, commands: Sequence[str]) -> Mapping[CommandKey, Answered]:
        with _log_errors(), self._events.transaction(commit=False) as c:
            of = f"tenant_id = ? AND command IN ({_marks(commands)})"
            c.execute(f"SELECT tenant_id, command, mark FROM marks WHERE {of}", (tenant_id, *commands))
            return answered_by_marks(c.fetchall())

    def _select(self, rest: str, values: Sequence[Any]) -> list[Entry]:
        columns = "stored_events.rowid, originator_id, originator_version, topic, state"
        with _log_errors(), self._events.transaction(commit=False) as c:
            c.execute(f"SELECT {columns} FROM stored_events {rest}", values)
            rows = c.fetchall()
        return [_entry(*row) for row in rows]

    def _one(self, datastore: SQLiteDatastore, query: str) -> int:
        with _log_errors(), datastore.transaction(commit=False) as c:
            c.execute(query)
            return int(c.fetchone()[0])

    # --- writing

    def append(self, batch: Batch) -> None:
        if not (batch.events or batch.marks):
            return
        stored = [
            StoredEvent(
                originator_id=_originator(event.tenant_id, event.stream),
                originator_version=event.version,
                topic=event.type,
                state=encode_record(event),
            )
            for event in batch.events
        ]
        caused = {**self._not_indexed, **caused_by(batch.events)}
        due = len(caused) > _LATE_COMMANDS
        with _log_errors():
            self._recorder.insert_events(
                stored,
                caused=list(caused.values()) if due else (),
                marks=batch.marks,
                credentials=[part for event in batch.events for part in parts_of(event)],
            )
        self._not_indexed = {} if due else caused
        if batch.events:
            self._grow(Topic.EVENTS, batch.events[-1].position)
        if batch.marks:
            self._forget_marks(batch.marks[-1].recorded_at)

    def _forget_marks(self, now: datetime) -> None:
        """Delete what is too old to be asked for, now and then; what is durable is not lost if that fails."""
        if now - self._pruned_at < PRUNE_EVERY:
            return
        self._pruned_at = now
        with suppress(sqlite3.Error, PersistenceError), self._events.transaction(commit=True) as c:
            c.execute("DELETE FROM marks WHERE recorded_at < ?", (to_microseconds(now) - MARKS_FOR_US,))

    def append_facts(self, tenant_id: TenantId, facts: Sequence[FactSubmission], actor: Actor) -> TelemetryReply:
        keyed: dict[bytes, StoredFact] = {}
        for submission in facts:
            key, stored = _stored_fact(submission)
            keyed.setdefault(key, stored)
        with self._facts_lock, _log_errors(), self._facts.transaction(commit=True) as c:
            first = self._ends[Topic.TELEMETRY] + 1
            fresh = _claim(c, tenant_id, keyed)
            last = first + len(fresh) - 1
            if fresh:
                recorded_at = self._facts_recorded_at = max(self._clock.now(), self._facts_recorded_at)
                batch_id = named_uuid("facts", tenant_id, str(first))
                raw = encode_facts(fresh, recorded_at=recorded_at, actor=actor, batch_id=batch_id)
                c.execute("INSERT INTO fact_batches VALUES (?,?,?,?)", (last, first, tenant_id, raw))
        if fresh:
            self._grow(Topic.TELEMETRY, last)
        return TelemetryReply(
            accepted=len(fresh),
            repeated=len(facts) - len(fresh),
            position=Position(Topic.TELEMETRY, _PARTITION, last) if last else None,
        )

    def _grow(self, topic: Topic, end: int) -> None:
        with self._grown:
            self._ends[topic] = max(end, self._ends[topic])
            self._grown.notify_all()


def _originator(tenant_id: TenantId, stream: StreamId) -> str:
    return f"{tenant_id}|{stream}"


def _entry(position: int, originator_id: str, version: int, type_: str, state: bytes) -> Entry:
    tenant, _, stream = originator_id.partition("|")
    tenant_id, stream_id = TenantId(tenant), StreamId(stream)
    try:
        return decode_record(
            state,
            tenant_id=tenant_id,
            stream=stream_id,
            version=version,
            type_=type_,
            partition=_PARTITION,
            position=position,
        )
    except ValueError as error:
        return Undecodable(tenant_id, stream_id, type_, Topic.EVENTS, _PARTITION, position, state, str(error))


def _lost_fact(tenant_id: TenantId, position: int, raw: bytes, error: Exception) -> Undecodable:
    return Undecodable(tenant_id, StreamId("?"), UNKNOWN_TYPE, Topic.TELEMETRY, _PARTITION, position, raw, str(error))


def _stored_fact(submission: FactSubmission) -> tuple[bytes, StoredFact]:
    fact = submission.fact
    payload = catalog.payload_of(fact)
    at_us = to_microseconds(submission.happened_at)
    if submission.fact_id is None:
        id_ = fact_id(fact.TYPE, submission.device_id, at_us, payload)
        # time first: a feed appends to the end of the index, instead of touching a random page for each fact
        key = (at_us + 2**63).to_bytes(8, "big") + id_
    else:
        id_ = sender_id(submission.fact_id)
        key = id_
    data = encode_payload(fact.TYPE, fact.VERSION, payload)
    return key, StoredFact(id_, fact.TYPE, fact.VERSION, submission.device_id, submission.happened_at, data)


def _claim(c: SQLiteCursor, tenant_id: TenantId, keyed: Mapping[bytes, StoredFact]) -> list[StoredFact]:
    """Mark the facts that are new to the tenant, in this transaction, and return them."""
    c.execute("SAVEPOINT claim")
    c.execute("SELECT total_changes()")
    before = c.fetchone()[0]
    insert_many(c, "INSERT OR IGNORE INTO fact_keys", [(tenant_id, key) for key in keyed])
    c.execute("SELECT total_changes()")
    if c.fetchone()[0] - before == len(keyed):
        return list(keyed.values())
    c.execute("ROLLBACK TO claim")
    known: set[bytes] = set()
    for part in _parts(list(keyed)):
        c.execute(f"SELECT key FROM fact_keys WHERE tenant_id = ? AND key IN ({_marks(part)})", (tenant_id, *part))
        known.update(row[0] for row in c.fetchall())
    fresh = {key: fact for key, fact in keyed.items() if key not in known}
    insert_many(c, "INSERT INTO fact_keys", [(tenant_id, key) for key in fresh])
    return list(fresh.values())


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for at in range(0, len(values), _QUERY_KEYS):
        yield values[at : at + _QUERY_KEYS]


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))


def _look_through(file: Path, identity: LogIdentity) -> None:
    """Compare a file with what it must be, and bring the table of an earlier version to this one's."""
    with _log_errors(), closing(sqlite3.connect(file, isolation_level=None)) as connection:
        check(connection, file.name)
        claim(connection, identity, file.name)
        columns = [row[1] for row in connection.execute("PRAGMA table_info(stored_events)")]
        if columns and "rowid" not in columns:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ALTER TABLE stored_events RENAME TO earlier_events")
            connection.execute(_CREATE_EVENTS.format("stored_events"))
            connection.execute("INSERT INTO stored_events SELECT rowid, * FROM earlier_events ORDER BY rowid")
            connection.execute("DROP TABLE earlier_events")
            connection.execute("COMMIT")


@contextmanager
def _log_errors() -> Iterator[None]:
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
