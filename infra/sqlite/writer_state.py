"""A command worker keeps the events of a partition here, on its own disk, found by stream and by command."""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from infra.sqlite import timers
from infra.sqlite.beside import BesideEvents, Noted
from infra.sqlite.bulk import insert_many, parts, question_marks
from schemas.envelope import Entry, Envelope, StreamKey, TenantId, Topic
from schemas.kafka_record import OWN_HEADERS, KafkaRecord, decode_kafka, record_key
from streams.ports import Answered, CommandKey, Due
from streams.topics import Beside
from streams.write.answers import answered_with, command_of
from streams.write.due import TYPES, changes

_FORMAT = 4
_CACHE_KIB = 4 * 1024  # for each partition; what is not in it is in the system's page cache
_COMMIT_ROWS = 20_000
_INDEXES = (
    "CREATE INDEX IF NOT EXISTS events_by_stream ON events (stream)",
    "CREATE INDEX IF NOT EXISTS events_by_command ON events (command)",
)
_OF_TIMERS = frozenset(type_.encode() for type_ in TYPES)
# headers are text without it: an id, a type, an instant, what came in an HTTP header
_BETWEEN = b"\0"


class LogDamaged(Exception):  # noqa: N818
    """The log lacks a record, or has one twice: nothing may be decided on it. A retry gives the same answer."""


STATE_ERRORS = (sqlite3.Error, OSError, LogDamaged)
"""What every method of a state may raise."""


class Stored(NamedTuple):
    """An event of the log and its position."""

    position: int
    record: KafkaRecord


class WriterState:
    """The events of one partition up to `end`, as of the log's offset `offset`, and what its processes wait for.

    All of it can be read again; `next_due` is what `timers.next_due` gives.
    Kept without waiting for the disk: after a crash it is as it was a moment before, and is read on from there.
    Used by one thread at a time.
    """

    def __init__(self, path: Path, partition: int, log_id: str) -> None:
        """Shape: `log_id` names the log that the file belongs to; one of another log is thrown away."""
        self._path = path
        self._partition = partition
        self._db = self._open()
        self.beside = BesideEvents(self._db)
        self._log_id = f"{_FORMAT}/{log_id}"
        if self._meta("log_id") != self._log_id:
            self._begin_anew()
        self.end: int = self._db.execute("SELECT COALESCE(MAX(position), 0) FROM events").fetchone()[0]
        self.offset = int(self._meta("offset") or 0)
        self.next_due = timers.next_due(self._db)
        self._uncommitted = 0

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        db.execute(
            "CREATE TABLE IF NOT EXISTS events"
            " (position INTEGER PRIMARY KEY, stream BLOB, command BLOB, value BLOB, attributes BLOB)"
        )
        db.execute("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT)")
        for statement in timers.CREATE_TIMERS:
            db.execute(statement)
        return db

    def _begin_anew(self) -> None:
        """Throw the file away, and fill the next one fast: without a name until it is complete, it may break."""
        self._db.close()
        for old in (self._path, *self._path.parent.glob(f"{self._path.name}-*")):
            old.unlink(missing_ok=True)
        self._db = self._open()
        self.beside = BesideEvents(self._db)
        self._db.execute("PRAGMA journal_mode=OFF")
        self._db.execute("PRAGMA synchronous=OFF")

    def add(self, events: Sequence[Stored], offset: int) -> None:
        """Keep what follows in the log, up to before `offset`; what is known already is passed over.

        Raises: LogDamaged.
        """
        if not self._db.in_transaction:
            self._db.execute("BEGIN")
        fresh = [event for event in events if event.position > self.end]
        if fresh and [event.position for event in fresh] != list(range(self.end + 1, self.end + 1 + len(fresh))):
            raise LogDamaged(
                f"partition {self._partition}: after position {self.end} the log has {fresh[0].position} to"
                f" {fresh[-1].position} in {len(fresh)} records; stop all writers and look into the log"
            )
        insert_many(self._db, "INSERT INTO events", [_row(event) for event in fresh])
        of_timers = [event for event in fresh if event.record.ce_type in _OF_TIMERS]
        if of_timers:
            self._note_timers(of_timers)
        if fresh:
            self.end = fresh[-1].position
        self.offset = max(offset, self.offset)
        self._uncommitted += len(fresh)
        if self._uncommitted > _COMMIT_ROWS:
            self.checkpoint()

    def _note_timers(self, events: Sequence[Stored]) -> None:
        entries = [
            decode_kafka(record, topic=Topic.EVENTS, partition=self._partition, position=position)
            for position, record in events
        ]
        # one that cannot be read makes its stream one on which nothing is decided
        timers.change(self._db, *changes(entry for entry in entries if isinstance(entry, Envelope)))
        self.next_due = timers.next_due(self._db)

    def keep_beside(self, kind: Beside, records: Sequence[Noted], next_offset: int) -> None:
        """Keep what stands beside the events, up to before an offset of its own topic."""
        if not self._db.in_transaction:
            self._db.execute("BEGIN")
        self.beside.keep(kind, self._partition, records, next_offset)

    def complete(self) -> None:
        """Make the indexes, once the log was read to its end: sorted at once is faster than row by row."""
        self.checkpoint()
        if self._meta("log_id") == self._log_id:
            return
        for index in _INDEXES:
            self._db.execute(index)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._set_meta("log_id", self._log_id)

    def checkpoint(self) -> None:
        """Keep what was added since the last one."""
        if self._db.in_transaction:
            self._set_meta("offset", str(self.offset))
            self._db.execute("COMMIT")
            self._uncommitted = 0

    def close(self) -> None:
        self.checkpoint()
        self._db.close()

    def read(self, *, after: int, limit: int) -> list[Entry]:
        return self._select("position > ? ORDER BY position LIMIT ?", (after, limit))

    def read_stream(self, key: StreamKey, *, after: int, limit: int) -> list[Entry]:
        return self._select(
            # a stream's events have the versions 1, 2, …, in their order
            "stream = ? ORDER BY position LIMIT ? OFFSET ?",
            (record_key(*key), limit, after),
        )

    def read_streams(self, keys: Collection[StreamKey]) -> Mapping[StreamKey, Sequence[Entry]]:
        found: dict[StreamKey, list[Entry]] = defaultdict(list)
        for part in parts([record_key(*key) for key in keys]):
            for entry in self._select(f"stream IN ({question_marks(part)}) ORDER BY position", part):
                found[entry.key].append(entry)
        return found

    def read_of(self, *categories: str) -> list[Entry]:
        """Return the events of streams of some categories, in their order; that looks at every event."""
        names = [b"|" + category.encode() + b"-" for category in categories]
        return self._select(f"{' OR '.join(['instr(stream, ?)'] * len(names))} ORDER BY position", names)

    def find_commands(self, keys: Collection[CommandKey]) -> Mapping[CommandKey, Answered]:
        wanted = set(keys)
        events: list[Entry] = []
        for part in parts(list({command_id.encode() for _, _, command_id in keys})):
            events += self._select(f"command IN ({question_marks(part)}) ORDER BY position", part)
        # the id of one tenant's or actor's command is another's too
        return answered_with(one for one in events if isinstance(one, Envelope) and command_of(one) in wanted)

    def due(self, now: datetime, limit: int) -> Sequence[Due]:
        return timers.due(self._db, now, limit)

    def tenants(self) -> list[TenantId]:
        rows = self._db.execute("SELECT DISTINCT substr(stream, 1, instr(stream, x'7c') - 1) FROM events")
        return sorted(TenantId(raw.decode()) for (raw,) in rows)

    def _select(self, where: str, values: Sequence[Any]) -> list[Entry]:
        rows = self._db.execute(
            f"SELECT position, stream, value, attributes FROM events WHERE {where}", values
        ).fetchall()
        return [self._entry(*row) for row in rows]

    def _entry(self, position: int, key: bytes, value: bytes, headers: bytes) -> Entry:
        record = KafkaRecord(key, value, *headers.split(_BETWEEN, len(OWN_HEADERS) - 1))
        return decode_kafka(record, topic=Topic.EVENTS, partition=self._partition, position=position)

    def _meta(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def _set_meta(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?,?)", (name, value))


def _row(event: Stored) -> tuple[int, bytes, bytes, bytes, bytes]:
    position, record = event
    try:
        packed = _BETWEEN.join(record.own_headers)
    except TypeError:
        # a header without a value is not of our writers: it is met as an event that cannot be read
        packed = _BETWEEN.join([header or b"" for header in record.own_headers])
    return position, record.key, record.ce_commandid or record.ce_causationid, record.value, packed
