"""Keeps and answers the analytics views in ClickHouse: chDB in this process, or a server; the DSN decides."""

from array import array
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation
from math import isfinite
from threading import BoundedSemaphore
from typing import Any, NamedTuple, get_type_hints

import clickhouse_connect
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from projections.ports import (
    KEY,
    Aggregate,
    Checkpoint,
    CountRow,
    MetricPoint,
    RevenueBy,
    RevenueRow,
    Row,
    StoredRow,
    StoreUnavailable,
    View,
    WriteRefused,
)
from projections.projection import Projection
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

_TYPES: Mapping[type, str] = {
    str: "String",
    int: "UInt64",
    float: "Float64",
    datetime: "DateTime64(6, 'UTC')",
    Decimal: f"Decimal(18, {MONEY_SCALE})",
}

_SETTINGS = {
    "async_insert": 0,  # an answered insert is on disk
    "max_insert_threads": 1,  # one batch, one block: all of it or nothing
    "optimize_move_to_prewhere_if_final": 0,  # replaced rows go before the filters look
}

# An engine inside our process leaves the memory to others: small caches, nothing compiled, sorts and groups on disk.
_EMBEDDED_CACHES = {
    "mark_cache_size": 16 << 20,
    "primary_index_cache_size": 16 << 20,
    "index_mark_cache_size": 1 << 20,
    "query_condition_cache_size": 1 << 20,
}
_EMBEDDED_SETTINGS = {
    "max_threads": 2,
    "max_memory_usage": 256 << 20,
    "max_bytes_before_external_group_by": 64 << 20,
    "max_bytes_before_external_sort": 64 << 20,
    "compile_expressions": 0,
    "compile_aggregate_expressions": 0,
    "compile_sort_description": 0,
}

# No signal ends a query inside our process, so its own limit must.
_ANSWER = {"max_execution_time": 30}
# Each takes up to 100 MB for a million rows and all of the machine: more of them at once are not faster, only larger.
_EMBEDDED_ANSWERS_AT_ONCE = 2
_SERVER_ANSWERS_AT_ONCE = 16
# A scan reads in the order of the key; small blocks of one thread keep its memory small however many rows there are.
_SCAN = {"max_threads": 1, "max_block_size": 8192}

_EMBEDDED = {"settings": _SETTINGS | _EMBEDDED_SETTINGS, "chdb_options": _EMBEDDED_CACHES}
_SERVER = {"settings": _SETTINGS, "autogenerate_session_id": False, "connect_timeout": 5, "send_receive_timeout": 60}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEP_US = 300_000_000

_EXACT = Context(prec=18, traps=[Inexact, InvalidOperation])
_LEAST = Decimal(1).scaleb(-MONEY_SCALE)

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


def _columns(row: type) -> Mapping[str, type]:
    hints = get_type_hints(row)
    return {name: getattr(hint, "__supertype__", hint) for name, hint in hints.items()}


def _create_table(table: str, row: type, version: str, key: Sequence[str], rest: str) -> str:
    columns = ", ".join(f"{name} {_TYPES[type_]}" for name, type_ in _columns(row).items())
    return (
        f"CREATE TABLE IF NOT EXISTS {table} ({columns}) ENGINE = ReplacingMergeTree({version}) {rest} "
        f"ORDER BY ({', '.join(key)}) SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
    )


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)


_FIRST_US = _micros(datetime.min.replace(tzinfo=UTC))
_END_US = _micros(datetime.max.replace(tzinfo=UTC)) + 1


def _between(column: str) -> str:
    return (
        f"{column} >= fromUnixTimestamp64Micro({{start:Int64}}, 'UTC') "
        f"AND {column} < fromUnixTimestamp64Micro({{end:Int64}}, 'UTC')"
    )


def _bounds(start: datetime | None, end: datetime | None) -> Mapping[str, int]:
    return {"start": _micros(start) if start else _FIRST_US, "end": _micros(end) if end else _END_US}


def _encode(type_: type, values: Sequence[Any]) -> Sequence[Any]:
    """Return a column as the driver keeps it without loss.

    Raises: ValueError, TypeError, ArithmeticError, a value does not fit its column.
    """
    if type_ is datetime:
        return [_micros(value) for value in values]
    if type_ is Decimal:
        if not all(value.is_finite() for value in values):
            raise ValueError("an amount is not a finite number")
        return [value.quantize(_LEAST, context=_EXACT) for value in values]
    if type_ is int:
        return array("Q", values)
    if type_ is str:
        "".join(values).encode()
    elif not all(map(isfinite, values)):
        raise ValueError("a value is not a finite number")
    return values


class ClickHouseAnalytics:
    """ViewWriter and AnalyticsReader of the role analytics; any thread may call any method.

    Shape: `dsn` is `chdb:///absolute/folder`, which one process at a time can open, or `clickhouse://user:password@
    host:port/database`, whose database exists.
    """

    def __init__(self, dsn: str, projections: Sequence[Projection]) -> None:
        self._dsn = dsn
        self._rows: Mapping[str, Any] = {projection.name: projection.row for projection in projections}
        self._embedded = dsn.startswith("chdb:")
        self._turns = BoundedSemaphore(_EMBEDDED_ANSWERS_AT_ONCE if self._embedded else _SERVER_ANSWERS_AT_ONCE)
        self._idle: deque[Client] = deque()
        self._clients: list[Client] = []
        self._closed = False

    def close(self) -> None:
        self._closed = True
        self._idle.clear()
        for client in self._clients:
            client.close()

    # --- views ------------------------------------------------------------------------------------------------------

    def create(self, view: View) -> None:
        row = self._rows[view.name]
        # the same block again within the window is not even written; later the key absorbs it
        with self._client() as client:
            client.command(
                _create_table(view.table, row, "position", KEY[row], "") + ", non_replicated_deduplication_window = 100"
            )

    def drop(self, view: View) -> None:
        if self.live(view.name) == view:
            raise ValueError(f"{view.table} is live; switch to another build first")
        with self._client() as client:
            # a table without checkpoints is read again from the start; checkpoints without a table would lose rows
            client.command(f"ALTER TABLE checkpoints DROP PARTITION '{view.table}'")
            client.command(f"DROP TABLE IF EXISTS {view.table} SYNC")

    def live(self, name: str) -> View | None:
        rows = self._query("SELECT build FROM switches FINAL WHERE name = {name:String}", {"name": name})
        return View(name, rows[0][0]) if rows else None

    def builds(self, name: str) -> Sequence[View]:
        prefix = f"{name}_v"
        tables = self._query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, {prefix:String})",
            {"prefix": prefix},
        )
        numbers = [table.removeprefix(prefix) for (table,) in tables]
        return tuple(View(name, build) for build in sorted(int(number) for number in numbers if number.isdigit()))

    def switch(self, view: View) -> None:
        sql = "SELECT max(sequence) FROM switches WHERE name = {name:String}"
        ((last,),) = self._query(sql, {"name": view.name})
        self._insert("switches", _Switch, [_Switch(view.name, view.build, last + 1)])

    def checkpoints(self, view: View) -> Sequence[Checkpoint]:
        rows = self._query(
            "SELECT topic, partition, position, recorded_at FROM checkpoints FINAL "
            "WHERE view = {view:String} ORDER BY topic, partition",
            {"view": view.table},
        )
        return tuple(Checkpoint(Topic(topic), *rest) for topic, *rest in rows)

    def apply(self, view: View, rows: Sequence[Row], checkpoint: Checkpoint | None) -> None:
        if rows:
            self._insert(view.table, self._rows[view.name], rows)
        if checkpoint is not None:
            self._insert("checkpoints", _ReadUpTo, [_ReadUpTo(view.table, *checkpoint)])

    def scan(self, view: View, tenant_id: TenantId) -> Iterator[StoredRow]:
        row = self._rows[view.name]
        sql = (
            f"SELECT {', '.join(row._fields)} FROM {view.table} FINAL "
            f"WHERE tenant_id = {{tenant_id:String}} ORDER BY {', '.join(KEY[row])}"
        )
        with (
            self._client() as client,
            client.query_rows_stream(sql, {"tenant_id": tenant_id}, settings=_SCAN) as stream,
        ):
            for values in stream:
                yield row(*values)

    def tenants(self, view: View) -> Sequence[TenantId]:
        rows = self._query(f"SELECT DISTINCT tenant_id FROM {view.table} ORDER BY tenant_id", {})
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
        return tuple(MetricPoint(_EPOCH + timedelta(microseconds=at), *rest) for at, *rest in rows)

    # --- the engine -------------------------------------------------------------------------------------------------

    def _live_table(self, name: str) -> str:
        view = self.live(name)
        if view is None:
            raise StoreUnavailable(f"no build of {name} is live yet; wait until the first one was switched to")
        return view.table

    def _answer(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        with self._turns:
            return self._query(sql, parameters)

    def _query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        with self._client() as client:
            rows: Sequence[Sequence[Any]] = client.query(sql, dict(parameters), settings=_ANSWER).result_rows
            return rows

    def _insert(self, table: str, row: type, rows: Sequence[Any]) -> None:
        columns = _columns(row)
        try:
            data = [
                _encode(type_, column) for type_, column in zip(columns.values(), zip(*rows, strict=True), strict=True)
            ]
        except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
            raise WriteRefused(f"a row does not fit {table}: {error}") from error
        with self._client() as client:
            client.insert(
                table,
                data,
                column_names=list(columns),
                column_type_names=[_TYPES[type_] for type_ in columns.values()],
                column_oriented=True,
            )

    @contextmanager
    def _client(self) -> Iterator[Client]:
        """Lend a client that nobody else uses meanwhile.

        Raises: StoreUnavailable, for whatever goes wrong with it.
        """
        try:
            try:
                client = self._idle.pop()
            except IndexError:
                client = self._connect()
            try:
                yield client
            finally:
                self._idle.append(client)
        except (ClickHouseError, OSError) as error:
            raise StoreUnavailable(f"clickhouse did not answer: {str(error)[:500]}") from error

    def _connect(self) -> Client:
        if self._closed:
            raise StoreUnavailable("clickhouse was closed; open it again")
        options: Mapping[str, Any] = _EMBEDDED if self._embedded else _SERVER
        client = clickhouse_connect.get_client(dsn=self._dsn, tz_mode="aware", **options)
        try:
            for table, row, version, key, rest in _REGISTRY:
                client.command(_create_table(table, row, version, key, rest))
        except ClickHouseError:
            client.close()
            raise
        self._clients.append(client)
        return client
