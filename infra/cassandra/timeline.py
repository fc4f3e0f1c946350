"""Keeps and answers the time series in Cassandra: readings, log lines, the audit trail and each stream's history.

A view is three tables: the rows, in partitions that begin with the tenant and end with a bucket that bounds them; the
places, which say what partitions there are; the checkpoints. The position is the write time, so the greater one wins
in whatever order rows arrive. docs/adr/0013 says why each partition is cut as it is.
"""

import struct
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import chain, groupby, islice, tee
from operator import itemgetter
from typing import Any, get_type_hints
from zlib import crc32

from cassandra.query import BatchStatement, BatchType, BoundStatement

from infra.cassandra.connection import CassandraAddress, Connection
from infra.instants import from_microseconds, to_microseconds
from projections.projection import Projection
from projections.readers import Aggregate, MetricPoint
from projections.rows import Checkpoint, EventRow, LogRow, MetricRow, Row, StoredRow, View
from projections.stores import WriteRefused
from schemas.envelope import StreamId, TenantId, Topic

BATCH_ROWS = 100
BATCH_BYTES = 1 << 20
# A server warns of more than 10 partitions in a batch, and of 5 KiB where there is more than one; it refuses 50 KiB.
BATCH_PARTITIONS = 10
SHARED_BYTES = 4 << 10
# What a server counts for a value besides its bytes, about.
VALUE_BYTES = 32

# A partition should stay under 100,000 rows and 100 MB.
LOG_SHARDS = 8
EVENTS_IN_BUCKET = 20_000
VERSIONS_IN_BUCKET = 10_000
# Places of one tenant lie in this many partitions.
SLICES = 64

_FIRST_DAY = from_microseconds(0).toordinal()

_TYPES: Mapping[type, str] = {str: "text", int: "bigint", float: "double", datetime: "bigint"}

_LONG, _DOUBLE = struct.Struct(">q").pack, struct.Struct(">d").pack
# The driver's own way takes eight times as long, for every value of every row.
_WIRE: Mapping[type, Callable[[Any], bytes]] = {
    str: str.encode,
    int: _LONG,
    float: _DOUBLE,
    datetime: lambda instant: _LONG(to_microseconds(instant)),
}

_REFUSALS = (TypeError, ValueError, AttributeError, OverflowError, struct.error)

_AGGREGATES: Mapping[Aggregate, Callable[[Sequence[float]], float]] = {
    "avg": lambda values: sum(values) / len(values),
    "min": min,
    "max": max,
    "sum": sum,
    "count": len,
    "last": lambda values: values[-1],
}


@dataclass(frozen=True)
class Layout:
    """How a row class is cut into partitions.

    Shape: a partition's key is the tenant, the columns of `series`, and those of `bucket`: whole numbers that `cut`
    makes of a row's own values, with those of `noted` behind them, which only the places keep. Partitions that differ
    in no more than the last `shards` of those numbers hold one stretch of keys between them.
    """

    row: Any
    series: tuple[str, ...]
    bucket: tuple[str, ...]
    cut: Callable[[Any], tuple[int, ...]]
    order: str
    noted: tuple[str, ...] = ()
    shards: int = 0

    @property
    def partition(self) -> tuple[str, ...]:
        return (*self.series, *self.bucket)

    @property
    def place(self) -> tuple[str, ...]:
        return (*self.partition, *self.noted)


def _day(instant: datetime) -> int:
    return instant.toordinal() - _FIRST_DAY


METRICS = Layout(MetricRow, ("device_id", "metric"), ("day",), lambda row: (_day(row.happened_at),), "happened_at ASC")
LOGS = Layout(
    LogRow,
    (),
    ("day", "shard"),
    lambda row: (_day(row.happened_at), crc32(row.fact_id.encode()) % LOG_SHARDS),
    "happened_at DESC, fact_id DESC",
    shards=1,
)
HISTORY = Layout(EventRow, ("stream",), ("bucket",), lambda row: (row.version // VERSIONS_IN_BUCKET,), "version ASC")
AUDIT = Layout(
    EventRow,
    (),
    ("bucket",),
    lambda row: (row.position // EVENTS_IN_BUCKET, _day(row.recorded_at)),
    "position DESC",
    noted=("recorded_day",),
)

_LAYOUTS: Mapping[type, Layout] = {MetricRow: METRICS, LogRow: LOGS, EventRow: HISTORY}


class _Table:
    """A view's tables: what they are called, how they are made, how a row becomes values and back."""

    def __init__(self, keyspace: str, view: View, layout: Layout, key: Sequence[str]) -> None:
        self.layout = layout
        self.rows = f"{keyspace}.{view.table}"
        self.places = f"{self.rows}_places"
        self.checkpoints = f"{self.rows}_checkpoints"
        hints = {name: getattr(hint, "__supertype__", hint) for name, hint in get_type_hints(layout.row).items()}
        self._hints = tuple(hints.values())
        self._types = {name: _TYPES[hint] for name, hint in hints.items()}
        self._instants = tuple(at for at, hint in enumerate(hints.values()) if hint is datetime)
        self._series = tuple(layout.row._fields.index(name) for name in layout.series)
        self.position = layout.row._fields.index("position")
        self.columns = ", ".join(hints)
        self.key = itemgetter(*(layout.row._fields.index(name) for name in key[1:]))

    def schema(self) -> Sequence[str]:
        """Return what makes the tables, that of the rows last: a view is there once it is."""
        layout = self.layout
        row = ", ".join(f"{name} {type_}" for name, type_ in self._types.items())
        bucket = ", ".join(f"{name} bigint" for name in layout.bucket)
        clustering = ", ".join(part.split()[0] for part in layout.order.split(", "))
        place = ", ".join(f"{name} {self._types.get(name, 'bigint')}" for name in layout.place)
        tables = (
            (self.checkpoints, "topic text, partition int, position bigint, recorded_at bigint", "topic, partition"),
            (self.places, f"tenant_id text, slice int, {place}", f"(tenant_id, slice), {', '.join(layout.place)}"),
            (self.rows, f"{row}, {bucket}", f"(tenant_id, {', '.join(layout.partition)}), {clustering}"),
        )
        made = [f"CREATE TABLE IF NOT EXISTS {name} ({columns}, PRIMARY KEY ({key}))" for name, columns, key in tables]
        return (*made[:-1], f"{made[-1]} WITH CLUSTERING ORDER BY ({layout.order})")

    @property
    def insert(self) -> str:
        names = (self.columns, *self.layout.bucket)
        return f"INSERT INTO {self.rows} ({', '.join(names)}) VALUES ({_marks(len(self._types) + len(names) - 1)})"

    @property
    def insert_place(self) -> str:
        place = self.layout.place
        return f"INSERT INTO {self.places} (tenant_id, slice, {', '.join(place)}) VALUES ({_marks(2 + len(place))})"

    def of_partition(self, columns: str, *conditions: str, rest: str = "") -> str:
        where = " AND ".join(("tenant_id = ?", *(f"{name} = ?" for name in self.layout.partition), *conditions))
        return f"SELECT {columns} FROM {self.rows} WHERE {where} {rest}"

    def of_slice(self, columns: str, *conditions: str, rest: str = "") -> str:
        where = " AND ".join(("tenant_id = ?", "slice = ?", *conditions))
        return f"SELECT {columns} FROM {self.places} WHERE {where} {rest}"

    def encode(self, rows: Sequence[Any]) -> Iterable[tuple[bytes, ...]]:
        """Return the rows' values as they are sent. Raises: one of _REFUSALS, a value is not of its column's type."""
        columns = zip(*rows, strict=True)
        encoded = [list(map(_WIRE[hint], column)) for hint, column in zip(self._hints, columns, strict=True)]
        return zip(*encoded, strict=True)

    def place_of(self, row: Any) -> tuple[Any, ...]:
        """Return the tenant, the series and the numbers of a row."""
        return (row[0], *[row[at] for at in self._series], *self.layout.cut(row))

    def bucket_of(self, place: Sequence[Any]) -> Sequence[int]:
        return place[len(self.layout.series) : len(self.layout.partition)]

    def decode(self, values: Sequence[Any]) -> Any:
        decoded = list(values)
        for at in self._instants:
            # null is what no writer of ours wrote: a difference to be told, not a fault
            if decoded[at] is not None:
                decoded[at] = from_microseconds(decoded[at])
        return self.layout.row._make(decoded)


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def _slice(series: Sequence[str]) -> int:
    return crc32(series[0].encode()) % SLICES if series else 0


class CassandraTimeline:
    """ViewWriter and TimelineReader of the distributed profile; any thread may call any method.

    Shape: `migrate` has to have run once. A row of `audit_trail` is found by its position, so that an event written
    again at another position would be there twice; the position of an event never changes.
    """

    def __init__(self, address: CassandraAddress, projections: Sequence[Projection]) -> None:
        self._connection = Connection(address)
        self._layouts = {
            projection.name: AUDIT if projection.name == "audit_trail" else _LAYOUTS[projection.layout.row]
            for projection in projections
        }
        self._keys = {projection.name: projection.layout.key for projection in projections}
        self._tables: dict[View, _Table] = {}

    def close(self) -> None:
        self._connection.close()

    def migrate(self) -> None:
        """Make what all views need; may be run again at any time. Raises: StoreUnavailable, safe to retry."""
        self._connection.migrate()

    # --- views ------------------------------------------------------------------------------------------------------

    def create(self, view: View) -> None:
        for statement in self._table(view).schema():
            self._connection.define(statement)

    def drop(self, view: View) -> None:
        if self.live(view.name) == view:
            raise ValueError(f"{view.table} is live: switch to another build first")
        table = self._table(view)
        # a table without checkpoints is read again from the start; checkpoints without a table would lose rows
        for name in (table.checkpoints, table.places, table.rows):
            self._connection.define(f"DROP TABLE IF EXISTS {name}")

    def live(self, name: str) -> View | None:
        found = self._connection.ask(f"SELECT build FROM {self._connection.keyspace}.live WHERE name = ?", name)
        return View(name, found[0][0]) if found else None

    def builds(self, name: str) -> Sequence[View]:
        tables = self._connection.ask(
            "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", self._connection.keyspace
        )
        numbers = [table.removeprefix(f"{name}_v") for (table,) in tables]
        return tuple(View(name, build) for build in sorted(int(number) for number in numbers if number.isdigit()))

    def switch(self, view: View) -> None:
        if view not in self.builds(view.name):
            raise ValueError(f"{view.table} is not there: create it first")
        # a condition makes it one step after the other, whatever the clocks of the callers say
        self._connection.ask(
            f"UPDATE {self._connection.keyspace}.live SET build = ? WHERE name = ? IF build != ?",
            view.build,
            view.name,
            view.build,
        )

    def checkpoints(self, view: View) -> Sequence[Checkpoint]:
        found = self._connection.ask(
            f"SELECT topic, partition, position, recorded_at FROM {self._table(view).checkpoints}"
        )
        return tuple(
            Checkpoint(Topic(topic), partition, position, from_microseconds(recorded_at))
            for topic, partition, position, recorded_at in found
        )

    def apply(self, view: View, rows: Sequence[Row], *checkpoints: Checkpoint) -> None:
        table = self._table(view)
        if rows:
            writes = self._writes(table, self._places(table, rows))
            self._connection.write(_batches(writes, self._connection.replicas))
        if checkpoints:
            insert = self._connection.prepare(
                f"INSERT INTO {table.checkpoints} (topic, partition, position, recorded_at) VALUES (?, ?, ?, ?) "
                "USING TIMESTAMP ?"
            )
            self._connection.write(
                insert.bind((at.topic.value, at.partition, at.position, to_microseconds(at.recorded_at), at.position))
                for at in checkpoints
            )

    def _places(self, table: _Table, rows: Sequence[Any]) -> Mapping[tuple[Any, ...], Sequence[Sequence[bytes]]]:
        """Return the rows by place, as they are sent, once all of them can be kept. Raises: WriteRefused."""
        places: dict[tuple[Any, ...], list[Sequence[bytes]]] = {}
        try:
            for row, values in zip(rows, table.encode(rows), strict=True):
                places.setdefault(table.place_of(row), []).append(values)
        except _REFUSALS as error:
            raise WriteRefused(f"{table.rows}: {error}") from error
        return places

    def _writes(
        self, table: _Table, places: Mapping[tuple[Any, ...], Sequence[Sequence[bytes]]]
    ) -> Iterator[Sequence[Any]]:
        """Yield the writes of one partition after the other: that of the place, those of its rows."""
        insert = self._connection.prepare(f"{table.insert} USING TIMESTAMP ?")
        insert_place = self._connection.prepare(f"{table.insert_place} USING TIMESTAMP ?")
        for (tenant_id, *place), rows in places.items():
            slice_ = _slice(place[: len(table.layout.series)])
            position = table.position
            first = int.from_bytes(rows[0][position], "big")
            yield [insert_place.bind((tenant_id, slice_, *place, first))]
            bucket = [_LONG(number) for number in table.bucket_of(place)]
            yield [_bound(insert, [*values, *bucket, values[position]]) for values in rows]

    def tenants(self, view: View) -> Sequence[TenantId]:
        found = self._connection.ask(f"SELECT DISTINCT tenant_id, slice FROM {self._table(view).places}")
        return sorted({TenantId(tenant_id) for tenant_id, _ in found})

    def scan(self, view: View, tenant_id: TenantId) -> Iterator[StoredRow]:
        table = self._table(view)
        if table.layout is AUDIT:
            yield from self._scan_by_key(table, tenant_id)
            return
        order = table.layout.order.replace("DESC", "ASC")
        statement = table.of_partition(table.columns, rest=f"ORDER BY {order}")
        for values in self._merged(table, statement, tenant_id, self._partitions(table, tenant_id)):
            yield table.decode(values)

    def _scan_by_key(self, table: _Table, tenant_id: TenantId) -> Iterator[StoredRow]:
        """Look at all keys first: the rows lie in the order of their position."""
        statement = table.of_partition("stream, version, position")
        partitions = [(tenant_id, *partition) for partition in self._partitions(table, tenant_id)]
        keys = sorted(chain.from_iterable(self._connection.ask_each(statement, partitions)))
        statement = table.of_partition(table.columns, "position = ?")
        wanted = ((tenant_id, position // EVENTS_IN_BUCKET, position) for _, _, position in keys)
        for rows in self._connection.ask_each(statement, wanted):
            yield from map(table.decode, rows)

    def _partitions(self, table: _Table, tenant_id: TenantId) -> Iterator[tuple[Any, ...]]:
        """Yield the keys of a tenant's partitions, in order."""
        layout = table.layout
        slices = range(SLICES) if layout.series else (0,)
        statement = table.of_slice(", ".join(layout.place))
        places = merge(*self._connection.ask_each(statement, [(tenant_id, slice_) for slice_ in slices]))
        for partition, _ in groupby(places, key=itemgetter(slice(len(layout.partition)))):
            yield partition

    def _merged(
        self,
        table: _Table,
        statement: str,
        tenant_id: TenantId,
        partitions: Iterable[Sequence[Any]],
        *values: Any,
        newest_first: bool = False,
        ahead: int = 64,
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of partitions one after the other, those of the shards of a stretch in one order."""
        keys, asked = tee(partitions)
        answers = self._connection.ask_each(statement, ((tenant_id, *key, *values) for key in asked), ahead=ahead)
        stretch = len(table.layout.partition) - table.layout.shards
        for _, some in groupby(zip(keys, answers, strict=True), key=lambda one: one[0][:stretch]):
            yield from merge(*(rows for _, rows in some), key=table.key, reverse=newest_first)

    # --- answers ----------------------------------------------------------------------------------------------------

    def metric_names(self, tenant_id: TenantId, device_id: str) -> Sequence[str]:
        table = self._live("device_metrics")
        if not table:
            return ()
        group = "GROUP BY tenant_id, slice, device_id, metric"
        statement = table.of_slice("metric", "device_id = ?", rest=group)
        return tuple(name for (name,) in self._connection.ask(statement, tenant_id, _slice([device_id]), device_id))

    def metrics(
        self,
        tenant_id: TenantId,
        device_id: str,
        metric: str,
        *,
        start: datetime,
        end: datetime,
        step_s: int,
        aggregate: Aggregate,
    ) -> Sequence[MetricPoint]:
        table = self._live("device_metrics")
        if not table:
            return ()
        days = self._connection.ask(
            table.of_slice("day", "device_id = ?", "metric = ?", "day >= ?", "day <= ?"),
            *(tenant_id, _slice([device_id]), device_id, metric, _day(start), _day(end)),
        )
        bounds = (to_microseconds(start), to_microseconds(end))
        pages = self._connection.ask_each(
            table.of_partition("happened_at, value", "happened_at >= ?", "happened_at < ?"),
            ((tenant_id, device_id, metric, day, *bounds) for (day,) in days),
        )
        readings = chain.from_iterable(pages)
        if not step_s:
            return tuple(MetricPoint(from_microseconds(at), value, 1) for at, value in readings)
        return tuple(_points(readings, step_s * 1_000_000, _AGGREGATES[aggregate]))

    def logs(
        self,
        tenant_id: TenantId,
        *,
        device_id: str | None,
        severity: str | None,
        contains: str | None,
        start: datetime | None,
        end: datetime | None,
        before: tuple[datetime, str] | None,
        limit: int,
    ) -> Sequence[LogRow]:
        table = self._live("device_logs")
        if not table:
            return ()
        asked = _Conditions()
        asked.newest("day", _day(before[0]) if before else None, _day(end) if end else None)
        if start:
            asked.add("day >= ?", _day(start))
        statement = table.of_slice("day, shard", *asked.texts, rest="ORDER BY day DESC")
        shards = self._connection.ask(statement, tenant_id, 0, *asked.values)
        asked = _Conditions()
        if before and (end is None or before[0] < end):
            asked.add("(happened_at, fact_id) < (?, ?)", to_microseconds(before[0]), before[1])
        elif end:
            asked.add("(happened_at) < (?)", to_microseconds(end))
        if start:
            asked.add("(happened_at) >= (?)", to_microseconds(start))
        if device_id is not None:
            asked.add("device_id = ?", device_id)
        if severity is not None:
            asked.add("severity = ?", severity)
        rest = "ALLOW FILTERING" if contains else f"LIMIT {int(limit)} ALLOW FILTERING"
        statement = table.of_partition(table.columns, *asked.texts, rest=rest)
        found: Iterator[LogRow] = map(
            table.decode,
            self._merged(table, statement, tenant_id, shards, *asked.values, newest_first=True, ahead=LOG_SHARDS),
        )
        if contains:
            text = contains.casefold()
            found = (row for row in found if text in row.summary.casefold())
        return tuple(islice(found, limit))

    def audit(
        self,
        tenant_id: TenantId,
        *,
        types: Sequence[str],
        start: datetime | None,
        end: datetime | None,
        before: int | None,
        limit: int,
    ) -> Sequence[EventRow]:
        table = self._live("audit_trail")
        if not table:
            return ()
        asked = _Conditions()
        if before is not None:
            asked.add("bucket <= ?", before // EVENTS_IN_BUCKET)
        statement = table.of_slice("bucket, recorded_day", *asked.texts, rest="ORDER BY bucket DESC")
        places = self._connection.ask(statement, tenant_id, 0, *asked.values)
        first, last = _day(start) if start else None, _day(end) if end else None
        buckets = [
            bucket for bucket, day in places if (first is None or day >= first) and (last is None or day <= last)
        ]
        asked = _Conditions()
        if before is not None:
            asked.add("position < ?", before)
        if start:
            asked.add("recorded_at >= ?", to_microseconds(start))
        if end:
            asked.add("recorded_at < ?", to_microseconds(end))
        if types:
            asked.add("type IN ?", list(types))
        statement = table.of_partition(table.columns, *asked.texts, rest=f"LIMIT {int(limit)} ALLOW FILTERING")
        partitions = ((bucket,) for bucket, _ in groupby(buckets))
        found = self._merged(table, statement, tenant_id, partitions, *asked.values, ahead=1)
        return tuple(map(table.decode, islice(found, limit)))

    def history(self, tenant_id: TenantId, stream: StreamId, *, after: int, limit: int) -> Sequence[EventRow]:
        table = self._live("stream_history")
        if not table:
            return ()
        statement = table.of_slice("bucket", "stream = ?", "bucket >= ?")
        buckets = self._connection.ask(statement, tenant_id, _slice([stream]), stream, after // VERSIONS_IN_BUCKET)
        statement = table.of_partition(table.columns, "version > ?", rest=f"LIMIT {int(limit)}")
        partitions = ((stream, bucket) for (bucket,) in buckets)
        found = self._merged(table, statement, tenant_id, partitions, after, ahead=1)
        return tuple(map(table.decode, islice(found, limit)))

    def _live(self, name: str) -> _Table | None:
        view = self.live(name)
        return self._table(view) if view else None

    def _table(self, view: View) -> _Table:
        table = self._tables.get(view)
        if table is None:
            table = self._tables[view] = _Table(
                self._connection.keyspace, view, self._layouts[view.name], self._keys[view.name]
            )
        return table


class _Conditions:
    """What a question asks for beyond the partition, in CQL."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.values: list[Any] = []

    def add(self, text: str, *values: Any) -> None:
        self.texts.append(text)
        self.values.extend(values)

    def newest(self, column: str, *bounds: int | None) -> None:
        """Add the lowest of upper bounds, where there is one."""
        known = [bound for bound in bounds if bound is not None]
        if known:
            self.add(f"{column} <= ?", min(known))


def _bound(insert: Any, values: Sequence[bytes]) -> Any:
    bound = BoundStatement(insert)
    bound.values = values
    return bound


class _Batch:
    """Writes on their way to the same replicas."""

    def __init__(self) -> None:
        self._writes: list[Any] = []
        self._partitions = 0
        self._bytes = 0

    def add(self, write: Any, size: int, *, begins: bool) -> bool:
        """Add a write, the first of its partition or not; False if there is no room."""
        partitions = self._partitions + (begins or not self._writes)
        full = len(self._writes) == BATCH_ROWS or partitions > BATCH_PARTITIONS
        room = BATCH_BYTES if partitions == 1 else SHARED_BYTES
        if full or (self._writes and self._bytes + size > room):
            return False
        self._writes.append(write)
        self._partitions, self._bytes = partitions, self._bytes + size
        return True

    def statement(self) -> Any:
        if len(self._writes) == 1:
            return self._writes[0]
        batch = BatchStatement(BatchType.UNLOGGED)
        batch.is_idempotent = True
        for write in self._writes:
            batch.add(write)
        return batch


def _batches(partitions: Iterable[Sequence[Any]], replicas: Callable[[Any], Hashable]) -> Iterator[Any]:
    """Yield unlogged batches: of partitions on the same replicas, because each statement costs as much as ten rows."""
    filling: dict[Hashable, _Batch] = {}
    for writes in partitions:
        home, begins = replicas(writes[0]), True
        batch = filling.setdefault(home, _Batch())
        for write in writes:
            size = sum(map(len, write.values)) + VALUE_BYTES * len(write.values)
            if not batch.add(write, size, begins=begins):
                yield batch.statement()
                batch = filling[home] = _Batch()
                batch.add(write, size, begins=True)
            begins = False
    for batch in filling.values():
        yield batch.statement()


def _points(
    readings: Iterable[tuple[int, float]], step: int, aggregate: Callable[[Sequence[float]], float]
) -> Iterator[MetricPoint]:
    for at, some in groupby(readings, key=lambda reading: reading[0] // step * step):
        values = [value for _, value in some]
        yield MetricPoint(from_microseconds(at), float(aggregate(values)), len(values))
