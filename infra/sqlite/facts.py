"""The embedded log keeps facts here: a row for each record of facts, and what tells a repeat from news."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from eventsourcing.sqlite import SQLiteCursor

from infra.sqlite.bulk import insert_many, parts, question_marks
from infra.sqlite.datastore import DurableDatastore, log_errors
from projections.instants import to_microseconds
from schemas.envelope import UNKNOWN_TYPE, Actor, Entry, Envelope, Position, StreamId, TenantId, Topic, Undecodable
from schemas.fact_batch import decode_facts
from schemas.fact_record import StoredFacts, encode_fact_record
from schemas.payload import BadPayload, UnknownSchema
from schemas.raw_facts import EmbeddedFacts
from streams.facts import Record, own_keys, pack
from streams.identifiers import named_uuid
from streams.ports import Clock, FactSubmission, TelemetryReply

T = TypeVar("T")

PARTITION = 0

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

# of earlier versions, which kept the facts of a request together, each with a position of its own
_BATCHES = (
    "CREATE TABLE IF NOT EXISTS fact_batches"
    " (last INTEGER PRIMARY KEY, first INTEGER NOT NULL, tenant_id TEXT NOT NULL, facts BLOB NOT NULL)"
)
_RECORDS = (
    "CREATE TABLE IF NOT EXISTS fact_records (last INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, record BLOB NOT NULL)"
)
_KEYS = "CREATE TABLE IF NOT EXISTS fact_keys (tenant_id TEXT, key BLOB, PRIMARY KEY (tenant_id, key)) WITHOUT ROWID"

_READ = "SELECT last, tenant_id, record FROM fact_records WHERE last > ? AND last < ? ORDER BY last"
_READ_NEXT = "SELECT last, tenant_id, record FROM fact_records WHERE last >= ? ORDER BY last LIMIT 1"

_MANY = 100
"""Fewer records are decoded one by one sooner than all together."""

FACTS_END = (
    "SELECT max(COALESCE((SELECT MAX(last) FROM fact_batches), 0), COALESCE((SELECT MAX(last) FROM fact_records), 0))"
)


class SqliteFacts:
    """The facts of a log, in one file; any number of threads may read and append.

    Shape: the position of a record counts the readings, lines and heartbeats up to its last one, so positions grow but
    are not dense; `end` is that of the last record.
    Raises: LogUnavailable, safe to retry; LogDamaged.
    """

    def __init__(self, file: Path, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._store = DurableDatastore(str(file))
        try:
            with log_errors(), self._store.transaction(commit=True) as c:
                for table in (_BATCHES, _RECORDS, _KEYS):
                    c.execute(table)
            self._batches_end = self._store.number("SELECT COALESCE(MAX(last), 0) FROM fact_batches")
            self.end = self._store.number(FACTS_END)
            last = self.read(self.end - 1, 1)
        except BaseException:
            self.close()
            raise
        self._recorded_at = max((each.recorded_at for each in last if isinstance(each, Envelope)), default=_LONG_AGO)

    def close(self) -> None:
        self._store.close()

    def read(self, after: int, limit: int) -> Sequence[Entry]:
        """Return what follows a position.

        Shape: as many whole records as hold the next `limit` readings, lines and heartbeats, or begin among them.
        """
        entries: list[Entry] = []
        end = after + limit
        with log_errors(), self._store.transaction(commit=False) as c:
            if after < self._batches_end:
                after = _read_batches(c, entries, after, end)
            c.execute(_READ, (after, end))
            rows = [tuple(row) for row in c.fetchall()]
            if after < end:
                c.execute(_READ_NEXT, (end,))
                rows += [tuple(row) for row in c.fetchall()]
        records = EmbeddedFacts(rows, PARTITION)
        if not entries and len(rows) >= _MANY:
            return records
        return [*entries, *records]

    def append(self, tenant_id: TenantId, facts: Sequence[FactSubmission], actor: Actor, key: str) -> TelemetryReply:
        with self._lock:
            with log_errors(), self._store.transaction(commit=True) as c:
                news = _without_known(c, tenant_id, facts)
                records = _claim(c, tenant_id, {_key_of(record): record for record in pack(tenant_id, news, key)})
                last = self._insert(c, tenant_id, records, actor) if records else self.end
            self.end = last
        accepted = sum(record.facts for record in records)
        position = Position(Topic.TELEMETRY, PARTITION, last)
        return TelemetryReply(accepted, len(facts) - accepted, (position,) if last else ())

    def _insert(self, c: SQLiteCursor, tenant_id: TenantId, records: Sequence[Record], actor: Actor) -> int:
        recorded_at = self._recorded_at = max(self._clock.now(), self._recorded_at)
        last = self.end
        request_id = named_uuid("facts", tenant_id, str(last + 1))
        rows: list[tuple[int, str, bytes]] = []
        for record in records:
            last += record.items
            stored = StoredFacts(
                record.id,
                record.type,
                record.schema_version,
                record.stream,
                record.happened_at,
                recorded_at,
                actor.type.value,
                actor.id,
                request_id,
                record.data.avro,
            )
            rows.append((last, tenant_id, encode_fact_record(stored)))
        insert_many(c, "INSERT INTO fact_records", rows)
        return last


def _read_batches(c: SQLiteCursor, entries: list[Entry], after: int, end: int) -> int:
    c.execute("SELECT first, last, tenant_id, facts FROM fact_batches WHERE last > ? ORDER BY last", (after,))
    reached = after
    while reached < end and (row := c.fetchone()):
        first, reached, tenant_id, facts = row
        try:
            batch = decode_facts(facts, tenant_id=tenant_id, partition=PARTITION, first_position=first)
        except BadPayload as error:
            batch = [_lost(tenant_id, position, facts, error) for position in range(first, reached + 1)]
        entries += batch[max(0, after + 1 - first) :]
    return reached


def _lost(tenant_id: TenantId, position: int, raw: bytes, error: Exception) -> Undecodable:
    known = (tenant_id, StreamId("?"), UNKNOWN_TYPE, Topic.TELEMETRY, PARTITION, position, raw, str(error))
    return Undecodable(*known, newer=isinstance(error, UnknownSchema))


def _without_known(c: SQLiteCursor, tenant_id: TenantId, facts: Sequence[FactSubmission]) -> Sequence[FactSubmission]:
    """Leave out facts with an id of their own that were recorded before, or stand twice in the request."""
    named: dict[bytes, int] = {}
    rest: list[int] = []
    for n, own in enumerate(own_keys(tenant_id, facts)):
        if own is not None:
            named.setdefault(_in_time(facts[n].happened_at, own), n)
        else:
            rest.append(n)
    if not named:
        return facts
    return [facts[n] for n in sorted((*rest, *_claim(c, tenant_id, named)))]


def _key_of(record: Record) -> bytes:
    return _in_time(record.happened_at, record.id)


def _in_time(at: datetime, id_: bytes) -> bytes:
    # time first: a feed appends to the end of the index, instead of touching a random page for each key
    return (to_microseconds(at) + 2**63).to_bytes(8, "big") + id_


def _claim(c: SQLiteCursor, tenant_id: TenantId, keyed: Mapping[bytes, T]) -> list[T]:
    """Mark what is new to the tenant, in this transaction, and return it."""
    c.execute("SAVEPOINT claim")
    c.execute("SELECT total_changes()")
    before = c.fetchone()[0]
    insert_many(c, "INSERT OR IGNORE INTO fact_keys", _rows(tenant_id, keyed))
    c.execute("SELECT total_changes()")
    if c.fetchone()[0] - before == len(keyed):
        return list(keyed.values())
    c.execute("ROLLBACK TO claim")
    known: set[bytes] = set()
    for part in parts(list(keyed)):
        of = f"tenant_id = ? AND key IN ({question_marks(part)})"
        c.execute(f"SELECT key FROM fact_keys WHERE {of}", (tenant_id, *part))
        known.update(row[0] for row in c.fetchall())
    fresh = {key: value for key, value in keyed.items() if key not in known}
    insert_many(c, "INSERT INTO fact_keys", _rows(tenant_id, fresh))
    return list(fresh.values())


def _rows(tenant_id: TenantId, keys: Iterable[bytes]) -> list[tuple[str, bytes]]:
    return [(tenant_id, key) for key in keys]
