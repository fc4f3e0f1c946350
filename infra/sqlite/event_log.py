"""This is the embedded log: the eventsourcing library's recorder for events, and the facts beside it."""

import sqlite3
import threading
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eventsourcing.persistence import PersistenceError, StoredEvent
from eventsourcing.sqlite import (
    SQLiteApplicationRecorder,
    SQLiteCursor,
    SQLiteDatastore,
)

from infra.data_dir import LOG_FILES
from infra.sqlite import timers
from infra.sqlite.bulk import insert_many, parts, question_marks
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
from infra.sqlite.datastore import DurableDatastore, log_errors
from infra.sqlite.facts import PARTITION, SqliteFacts
from infra.sqlite.identity import check, claim
from projections.credentials import TYPES, Part, parts_of
from projections.instants import to_microseconds
from schemas.envelope import Actor, Entry, Envelope, StreamId, StreamKey, TenantId, Topic, Undecodable
from schemas.payload import UnknownSchema
from schemas.stored_record import decode_record, encode_record
from streams.ports import (
    Answered,
    Batch,
    Clock,
    CommandKey,
    Due,
    FactSubmission,
    LogDamaged,
    LogIdentity,
    Mark,
    SystemClock,
    TelemetryReply,
)
from streams.write.answers import answered_with
from streams.write.due import Key, changes

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_LATE_COMMANDS = 1_000
"""Commands that wait in memory for their place in the index: a thousand at once touch its pages once."""
_CREATE_EVENTS = """
    CREATE TABLE IF NOT EXISTS {} (
        rowid INTEGER PRIMARY KEY, originator_id TEXT, originator_version INTEGER, topic TEXT, state BLOB,
        UNIQUE (originator_id, originator_version)
    )
"""
"""The library's table, with the position as a column of its own: SQLite may number rows that have none anew."""


class CommandRecorder(SQLiteApplicationRecorder):
    """The library's recorder, with an index of the accepted commands in the same file.

    The index may be late: what follows its newest event (the row of no tenant) is for the log to remember.
    """

    def __init__(self, datastore: SQLiteDatastore, events_table_name: str = "stored_events") -> None:
        super().__init__(datastore, events_table_name)
        columns = "originator_id, originator_version, topic, state"
        self.insert_events_statement = f"INSERT INTO {events_table_name} ({columns}) VALUES (?,?,?,?)"

    def construct_create_table_statements(self) -> list[str]:
        of_events = _CREATE_EVENTS.format(self.events_table_name)
        return [of_events, *CREATE_COMMANDS, *timers.CREATE_TIMERS, CREATE_CREDENTIALS]

    def _insert_events(
        self,
        c: SQLiteCursor,
        stored_events: Sequence[StoredEvent],
        *,
        caused: Sequence[Caused] = (),
        marks: Sequence[Mark] = (),
        waiting: Sequence[Due] = (),
        gone: Sequence[Key] = (),
        credentials: Sequence[Part] = (),
        **kwargs: Any,
    ) -> Sequence[int] | None:
        timers.change(c, waiting, gone)
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
    """EventLog, ViewedLog and TelemetryLog in a folder: `events.sqlite` and `telemetry.sqlite`, one partition.

    One process at a time; any number of its threads may read, one may append.
    Raises: LogUnavailable, safe to retry; LogDamaged.
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
        self._identity = identity
        files = [folder / name for name in LOG_FILES]
        for file in files:
            if made and not file.exists():
                raise LogDamaged(
                    f"{file.name} is missing; put it back, or restore a backup into another folder with `factline"
                    " restore`"
                )
            if identity is not None:
                _look_through(file, identity)
        events, facts = files
        self._facts = SqliteFacts(facts, self._clock)
        self._events = DurableDatastore(str(events))
        self._recorder = CommandRecorder(self._events)
        self._grown = threading.Condition()
        try:
            with log_errors():
                self._recorder.create_table()
            if identity is not None:
                self._fill_credentials()
            self._events_end = self._events.number("SELECT COALESCE(MAX(rowid), 0) FROM stored_events")
            self._not_indexed = self._read_not_indexed()
            self._has_old_names = self._read_has_old_names()
            self._pruned_at = _LONG_AGO
            self._next_due = self._read_next_due()
        except BaseException:
            self.close()
            raise

    def _fill_credentials(self) -> None:
        """Bring what earlier versions recorded of API keys and tenants into the table of credentials, once."""
        with log_errors(), self._events.transaction(commit=True) as c:
            if is_filled(c):
                return
            entries = self._select(
                f"WHERE topic IN ({question_marks([*TYPES])}) ORDER BY stored_events.rowid", [*TYPES]
            )
            fill(c, [entry for entry in entries if isinstance(entry, Envelope)])

    def _read_not_indexed(self) -> CausedBy:
        indexed = self._events.number(
            # a folder of an earlier version has no such row, and no command that is late
            "SELECT COALESCE((SELECT last FROM commands WHERE tenant_id = '' AND command_id = ''),"
            " (SELECT MAX(last) FROM commands), 0)",
        )
        late = self._select("WHERE rowid > ? ORDER BY rowid", (indexed,))
        return caused_by([event for event in late if isinstance(event, Envelope)])

    def _read_has_old_names(self) -> bool:
        """Say if the log was begun by a version that indexed a command by its id alone; those wrote other records."""
        of_first = "SELECT substr(state, 1, 1) = x'F2' FROM stored_events WHERE rowid = 1"
        return not self._events.number(f"SELECT COALESCE(({of_first}), 1)")

    def close(self) -> None:
        self._events.close()
        self._facts.close()

    # --- reading

    def end(self, topic: Topic, partition: int) -> int:
        del partition
        return self._events_end if topic is Topic.EVENTS else self._facts.end

    def ends(self, topic: Topic) -> Sequence[int]:
        return [self.end(topic, PARTITION)]

    def identities(self) -> Mapping[Topic, str]:
        return dict.fromkeys(Topic, str(self._identity or ""))

    def starts(self, topic: Topic) -> Sequence[int]:
        del topic
        return [0]

    def read(self, topic: Topic, partition: int, *, after: int, limit: int) -> Sequence[Entry]:
        del partition
        if topic is Topic.EVENTS:
            return self._select("WHERE rowid > ? ORDER BY rowid LIMIT ?", (after, limit))
        return self._facts.read(after, limit)

    def wait(self, ends: Mapping[tuple[Topic, int], int], timeout_s: float) -> bool:
        with self._grown:
            return self._grown.wait_for(
                lambda: any(self.end(*place) > position for place, position in ends.items()), timeout_s
            )

    def read_stream(self, tenant_id: TenantId, stream: StreamId, *, after: int, limit: int) -> Sequence[Entry]:
        return self._select(
            "WHERE originator_id = ? AND originator_version > ? ORDER BY originator_version LIMIT ?",
            (_originator(tenant_id, stream), after, limit),
        )

    def tenants(self, partition: int) -> Sequence[TenantId]:
        del partition
        with log_errors(), self._events.transaction(commit=False) as c:
            c.execute("SELECT DISTINCT substr(originator_id, 1, instr(originator_id, '|') - 1) FROM stored_events")
            return sorted(row[0] for row in c.fetchall())

    def read_streams(self, keys: Collection[StreamKey]) -> Mapping[StreamKey, Sequence[Entry]]:
        found: dict[StreamKey, list[Entry]] = defaultdict(list)
        originators = [_originator(*key) for key in keys]
        for part in parts(originators):
            for entry in self._select(
                f"WHERE originator_id IN ({question_marks(part)}) ORDER BY originator_id, originator_version", part
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
                names[tenant_id] += (name, command_id) if self._has_old_names else (name,)
        found: dict[CommandKey, Answered] = {}
        for tenant_id, commands in names.items():
            for part in parts(commands):
                of = f"tenant_id = ? AND command_id IN ({question_marks(part)})"
                indexed = f"SELECT first, last FROM commands WHERE {of}"
                rest = f"JOIN ({indexed}) ON stored_events.rowid BETWEEN first AND last ORDER BY stored_events.rowid"
                events += self._select(rest, (tenant_id, *part))
                # no earlier version wrote a mark
                found |= self._find_marks(tenant_id, [name for name in part if "\n" in name])
        answered = answered_with(event for event in events if isinstance(event, Envelope))
        found |= answered
        return {key: found[key] for key in keys if key in found}

    def _find_marks(self, tenant_id: TenantId, commands: Sequence[str]) -> Mapping[CommandKey, Answered]:
        with log_errors(), self._events.transaction(commit=False) as c:
            of = f"tenant_id = ? AND command IN ({question_marks(commands)})"
            c.execute(f"SELECT tenant_id, command, mark FROM marks WHERE {of}", (tenant_id, *commands))
            return answered_by_marks(c.fetchall())

    def due(self, now: datetime, limit: int) -> Sequence[Due]:
        with log_errors(), self._events.transaction(commit=False) as c:
            return timers.due(c, now, limit)

    def next_due(self) -> datetime | None:
        return self._next_due

    def _read_next_due(self) -> datetime | None:
        with log_errors(), self._events.transaction(commit=False) as c:
            return timers.next_due(c)

    def _select(self, rest: str, values: Sequence[Any]) -> list[Entry]:
        columns = "stored_events.rowid, originator_id, originator_version, topic, state"
        with log_errors(), self._events.transaction(commit=False) as c:
            c.execute(f"SELECT {columns} FROM stored_events {rest}", values)
            rows = c.fetchall()
        return [_entry(*row) for row in rows]

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
        late = len(caused) > _LATE_COMMANDS
        waiting, gone = changes(batch.events)
        with log_errors():
            self._recorder.insert_events(
                stored,
                caused=list(caused.values()) if late else (),
                marks=batch.marks,
                waiting=waiting,
                gone=gone,
                credentials=[part for event in batch.events for part in parts_of(event)],
            )
        self._not_indexed = {} if late else caused
        if waiting or gone:
            self._next_due = self._read_next_due()
        if batch.events:
            with self._grown:
                self._events_end = batch.events[-1].position
                self._grown.notify_all()
        if batch.marks:
            self._forget_marks(batch.marks[-1].recorded_at)

    def _forget_marks(self, now: datetime) -> None:
        """Delete what is too old to be asked for, now and then; what is durable is not lost if that fails."""
        if now - self._pruned_at < PRUNE_EVERY:
            return
        self._pruned_at = now
        with suppress(sqlite3.Error, PersistenceError), self._events.transaction(commit=True) as c:
            c.execute("DELETE FROM marks WHERE recorded_at < ?", (to_microseconds(now) - MARKS_FOR_US,))

    def append_facts(
        self, tenant_id: TenantId, facts: Sequence[FactSubmission], actor: Actor, key: str = ""
    ) -> TelemetryReply:
        reply = self._facts.append(tenant_id, facts, actor, key)
        with self._grown:
            self._grown.notify_all()
        return reply


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
            partition=PARTITION,
            position=position,
        )
    except ValueError as error:
        known = (tenant_id, stream_id, type_, Topic.EVENTS, PARTITION, position, state, str(error))
        return Undecodable(*known, newer=isinstance(error, UnknownSchema))


def _look_through(file: Path, identity: LogIdentity) -> None:
    """Compare a file with what it must be, and bring the table of an earlier version to this one's."""
    with log_errors(), closing(sqlite3.connect(file, isolation_level=None)) as connection:
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
