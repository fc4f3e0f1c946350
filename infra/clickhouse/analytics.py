"""Keeps and answers the analytics views in ClickHouse: chDB in this process, or a server; the DSN decides."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from threading import BoundedSemaphore
from typing import Any, NamedTuple

from infra.clickhouse.connection import Connection, create_table
from infra.instants import from_microseconds, to_microseconds
from projections.layout import reversed_position
from projections.projection import Projection
from projections.readers import Aggregate, CountRow, MetricPoint, RevenueBy, RevenueRow
from projections.rows import Checkpoint, Row, StoredRow, View
from projections.stores import StoreUnavailable
from schemas.envelope import TenantId, Topic
from schemas.values import MONEY_SCALE


class _ReadUpTo(NamedTuple):
    view: str
    topic: str
    partition: int
    position: int
    recorded_at: datetime


class _Switch(NamedTuple):
    name: str
    build: int
    sequence: int


_REGISTRY = (
    # dropping a view drops its partition: at once, and never half
    ("checkpoints", _ReadUpTo, "position", ("view", "topic", "partition"), "PARTITION BY view"),
    ("switches", _Switch, "sequence", ("name",), ""),
)

# Each takes up to 100 MB for a million rows and all of the machine: more of them at once are not faster, only larger.
_EMBEDDED_ANSWERS_AT_ONCE = 2
_SERVER_ANSWERS_AT_ONCE = 16
# A scan reads in the order of the key; small blocks of one thread keep its memory small however many rows there are.
_SCAN = {"max_threads": 1, "max_block_size": 8192}

_STEP_US = 300_000_000

_REVENUE_GROUP: Mapping[RevenueBy, str] = {
    "day": "formatDateTime(invoiced_at, '%Y-%m-%d')",
    "month": "formatDateTime(invoiced_at, '%Y-%m')",
    "country": "country",
    "product": "product",
}

_REVENUE_ORDER: Mapping[RevenueBy, str] = {
    "day": "label",
    "month": "label",
    "country": "revenue DESC, label",
    "product": "revenue DESC, label",
}

_AGGREGATE: Mapping[Aggregate, str] = {
    "avg": "avg(value)",
    "min": "min(value)",
    "max": "max(value)",
    "sum": "sum(value)",
    "count": "toFloat64(count())",
    "last": "argMax(value, happened_at)",
}


_FIRST_US = to_microseconds(datetime.min.replace(tzinfo=UTC))
_END_US = to_microseconds(datetime.max.replace(tzinfo=UTC)) + 1


def _between(column: str) -> str:
    return (
        f"{column} >= fromUnixTimestamp64Micro({{start:Int64}}, 'UTC') "
        f"AND {column} < fromUnixTimestamp64Micro({{end:Int64}}, 'UTC')"
    )


def _bounds(start: datetime | None, end: datetime | None) -> Mapping[str, int]:
    return {"start": to_microseconds(start) if start else _FIRST_US, "end": to_microseconds(end) if end else _END_US}


class ClickHouseAnalytics:
    """ViewWriter and AnalyticsReader of the role analytics; any thread may call any method.

    Shape: `dsn` is `chdb:///absolute/folder`, which one process at a time can open, or `clickhouse://user:password@
    host:port/database`, whose database exists.
    """

    def __init__(self, dsn: str, projections: Sequence[Projection]) -> None:
        self._layouts = {projection.name: projection.layout for projection in projections}
        self._connection = Connection(dsn, [create_table(*table) for table in _REGISTRY])
        self._turns = BoundedSemaphore(
            _EMBEDDED_ANSWERS_AT_ONCE if self._connection.embedded else _SERVER_ANSWERS_AT_ONCE
        )

    def close(self) -> None:
        self._connection.close()

    # --- views ------------------------------------------------------------------------------------------------------

    def create(self, view: View) -> None:
        layout = self._layouts[view.name]
        # the same block again within the window is not even written; later the key absorbs it
        with self._connection.client() as client:
            client.command(
                create_table(view.table, layout.row, "position", layout.key, "")
                + ", non_replicated_deduplication_window = 100"
            )

    def drop(self, view: View) -> None:
        if self.live(view.name) == view:
            raise ValueError(f"{view.table} is live; switch to another build first")
        with self._connection.client() as client:
            # a table without checkpoints is read again from the start; checkpoints without a table would lose rows
            client.command(f"ALTER TABLE checkpoints DROP PARTITION '{view.table}'")
            client.command(f"DROP TABLE IF EXISTS {view.table} SYNC")

    def live(self, name: str) -> View | None:
        rows = self._connection.query("SELECT build FROM switches FINAL WHERE name = {name:String}", {"name": name})
        return View(name, rows[0][0]) if rows else None

    def builds(self, name: str) -> Sequence[View]:
        prefix = f"{name}_v"
        tables = self._connection.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, {prefix:String})",
            {"prefix": prefix},
        )
        numbers = [table.removeprefix(prefix) for (table,) in tables]
        return tuple(View(name, build) for build in sorted(int(number) for number in numbers if number.isdigit()))

    def switch(self, view: View) -> None:
        sql = "SELECT max(sequence) FROM switches WHERE name = {name:String}"
        ((last,),) = self._connection.query(sql, {"name": view.name})
        self._connection.insert("switches", _Switch, [_Switch(view.name, view.build, last + 1)])

    def checkpoints(self, view: View) -> Sequence[Checkpoint]:
        rows = self._connection.query(
            "SELECT topic, partition, position, recorded_at FROM checkpoints FINAL "
            "WHERE view = {view:String} ORDER BY topic, partition",
            {"view": view.table},
        )
        return tuple(Checkpoint(Topic(topic), *rest) for topic, *rest in rows)

    def apply(self, view: View, rows: Sequence[Row], *checkpoints: Checkpoint) -> None:
        if rows:
            layout = self._layouts[view.name]
            self._connection.insert(view.table, layout.row, rows, first_wins=layout.first_wins)
        if checkpoints:
            self._connection.insert("checkpoints", _ReadUpTo, [_ReadUpTo(view.table, *at) for at in checkpoints])

    def scan(self, view: View, tenant_id: TenantId) -> Iterator[StoredRow]:
        layout = self._layouts[view.name]
        row: Any = layout.row
        columns = dict(zip(row._fields, row._fields, strict=True))
        if layout.first_wins:
            columns["position"] = f"{reversed_position(0)} - position"
        sql = (
            f"SELECT {', '.join(columns.values())} FROM {view.table} FINAL "
            f"WHERE tenant_id = {{tenant_id:String}} ORDER BY {', '.join(layout.key)}"
        )
        with (
            self._connection.client() as client,
            client.query_rows_stream(sql, {"tenant_id": tenant_id}, settings=_SCAN) as stream,
        ):
            for values in stream:
                yield row(*values)

    def tenants(self, view: View) -> Sequence[TenantId]:
        rows = self._connection.query(f"SELECT DISTINCT tenant_id FROM {view.table} ORDER BY tenant_id", {})
        return tuple(tenant_id for (tenant_id,) in rows)

    # --- answers ----------------------------------------------------------------------------------------------------

    def revenue(
        self, tenant_id: TenantId, *, by: RevenueBy, start: datetime | None, end: datetime | None, limit: int
    ) -> Sequence[RevenueRow]:
        # 256 bits: the product of two Decimal(18, 4) has 36 digits, and a sum of many must not wrap
        rows = self._answer(
            f"SELECT {_REVENUE_GROUP[by]} AS label, "
            f"sum(toDecimal256(quantity, {MONEY_SCALE}) * toDecimal256(unit_price, {MONEY_SCALE})) AS revenue, "
            f"sum(quantity), count(), uniqExact(stream) FROM {self._live_table('invoice_facts')} FINAL "
            f"WHERE tenant_id = {{tenant_id:String}} AND direction = 'out' AND {_between('invoiced_at')} "
            f"GROUP BY label ORDER BY {_REVENUE_ORDER[by]} LIMIT {{limit:UInt32}}",
            {"tenant_id": tenant_id, "limit": limit, **_bounds(start, end)},
        )
        return tuple(RevenueRow(*row) for row in rows)

    def event_counts(self, tenant_id: TenantId, *, start: datetime | None, end: datetime | None) -> Sequence[CountRow]:
        rows = self._answer(
            f"SELECT type, count() AS rows FROM {self._live_table('events')} FINAL "
            f"WHERE tenant_id = {{tenant_id:String}} AND {_between('recorded_at')} "
            "GROUP BY type ORDER BY rows DESC, type",
            {"tenant_id": tenant_id, **_bounds(start, end)},
        )
        return tuple(CountRow(*row) for row in rows)

    def metrics(
        self, tenant_id: TenantId, device_id: str, metric: str, *, start: datetime, end: datetime, aggregate: Aggregate
    ) -> Sequence[MetricPoint]:
        rows = self._answer(
            "SELECT toUnixTimestamp64Micro(happened_at) "
            f"- positiveModulo(toUnixTimestamp64Micro(happened_at), {_STEP_US}) AS at, "
            f"{_AGGREGATE[aggregate]}, count() FROM {self._live_table('metrics_5m')} FINAL "
            "WHERE tenant_id = {tenant_id:String} AND device_id = {device_id:String} AND metric = {metric:String} "
            f"AND {_between('happened_at')} GROUP BY at ORDER BY at",
            {"tenant_id": tenant_id, "device_id": device_id, "metric": metric, **_bounds(start, end)},
        )
        return tuple(MetricPoint(from_microseconds(at), *rest) for at, *rest in rows)

    # --- the engine -------------------------------------------------------------------------------------------------

    def _live_table(self, name: str) -> str:
        view = self.live(name)
        if view is None:
            raise StoreUnavailable(f"no build of {name} is live yet; wait until the first one was switched to")
        return view.table

    def _answer(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        with self._turns:
            return self._connection.query(sql, parameters)
