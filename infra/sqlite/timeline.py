"""Keeps and answers the time series in SQLite: readings, log lines, the audit trail and each stream's history."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, get_type_hints

from infra.instants import from_microseconds, to_microseconds
from infra.sqlite.bulk import insert_many
from infra.sqlite.views import SqliteViews, distinct, live_build, marks
from projections.layout import Layout
from projections.readers import Aggregate, MetricPoint
from projections.rows import EventRow, LogRow, MetricRow, Row, StoredRow, View
from schemas.envelope import StreamId, TenantId

_TYPES: Mapping[type, str] = {str: "TEXT", int: "INTEGER", float: "REAL", datetime: "INTEGER", Decimal: "TEXT"}

_INDEXES: Mapping[str, tuple[str, ...]] = {
    "device_logs": (
        "tenant_id, device_id, happened_at, fact_id",
        "tenant_id, severity, happened_at, fact_id",
    ),
    # type and instant are there to pass over what was not asked for without a look at the row
    "audit_trail": ("tenant_id, position, type, recorded_at",),
}
"""What the questions need beyond the key."""

_AGGREGATES: Mapping[Aggregate, str] = {
    "avg": "avg(value), count(*)",
    "min": "min(value), count(*)",
    "max": "max(value), count(*)",
    "sum": "sum(value), count(*)",
    "count": "count(*), count(*)",
    # beside max(), a bare column has its value of the row that holds the maximum. Source: sqlite.org/lang_select.html
    "last": "value, count(*), max(happened_at)",
}


class _Shape:
    """A row class as a table's columns; instants are microseconds since the epoch, amounts are text."""

    def __init__(self, layout: Layout) -> None:
        row: Any = layout.row
        hints = {name: getattr(hint, "__supertype__", hint) for name, hint in get_type_hints(row).items()}
        self._row = row
        self.names = tuple(hints)
        self.columns = ", ".join(hints)
        self._typed = ", ".join(f"{name} {_TYPES[hint]} NOT NULL" for name, hint in hints.items())
        self._instants = tuple(at for at, hint in enumerate(hints.values()) if hint is datetime)
        self._amounts = tuple(at for at, hint in enumerate(hints.values()) if hint is Decimal)
        self._key = layout.key
        # readings are small and asked for in the order of their key; wide rows are better off in a heap
        self._options = "STRICT, WITHOUT ROWID" if row is MetricRow else "STRICT"

    def ddl(self, table: str) -> str:
        return f'CREATE TABLE "{table}" ({self._typed}, PRIMARY KEY ({", ".join(self._key)})) {self._options}'

    def upsert(self, table: str) -> tuple[str, str]:
        """Return what stands before and behind the rows."""
        key = ", ".join(self._key)
        changes = ", ".join(f"{name} = excluded.{name}" for name in self.names if name not in self._key)
        return (
            f'INSERT INTO "{table}" ({self.columns})',
            f'ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE excluded.position > "{table}".position',
        )

    def encode(self, row: Row) -> Sequence[Any]:
        values: list[Any] = list(row)
        for at in self._instants:
            values[at] = to_microseconds(values[at])
        for at in self._amounts:
            values[at] = str(values[at])
        return values

    def decode(self, values: Sequence[Any]) -> Any:
        decoded = list(values)
        for at in self._instants:
            decoded[at] = from_microseconds(decoded[at])
        for at in self._amounts:
            decoded[at] = Decimal(decoded[at])
        return self._row._make(decoded)


@cache
def _shape_of(layout: Layout) -> _Shape:
    """Every kind of row but patches: also those of analytics, whose proof is a fold into this store."""
    return _Shape(layout)


class _Conditions:
    """The WHERE clause of a question, built from the parts that were asked for."""

    def __init__(self, **equal: Any) -> None:
        self._texts: list[str] = []
        self.values: list[Any] = []
        for column, value in equal.items():
            self.add(f"{column} = ?", value)

    def __str__(self) -> str:
        return " AND ".join(self._texts)

    def add(self, text: str, *values: Any) -> None:
        self._texts.append(text)
        self.values.extend(values)

    def between(self, column: str, start: datetime | None, end: datetime | None) -> None:
        if start:
            self.add(f"{column} >= ?", to_microseconds(start))
        if end:
            self.add(f"{column} < ?", to_microseconds(end))


class SqliteTimeline(SqliteViews):
    """ViewWriter and TimelineReader of the embedded profile."""

    def _schema(self, view: View) -> Sequence[str]:
        columns_of_indexes = enumerate(_INDEXES.get(view.name, ()), 1)
        return (
            self._shape(view).ddl(view.table),
            *(f'CREATE INDEX "{view.table}_{n}" ON "{view.table}" ({columns})' for n, columns in columns_of_indexes),
        )

    def _write(self, connection: sqlite3.Connection, view: View, rows: Sequence[Row]) -> None:
        shape = self._shape(view)
        into, on_conflict = shape.upsert(view.table)
        insert_many(connection, into, [shape.encode(row) for row in rows], on_conflict)

    def _select(self, view: View) -> str:
        return f'SELECT {self._shape(view).columns} FROM "{view.table}"'

    def _stored(self, view: View, values: Sequence[Any]) -> StoredRow:
        row: StoredRow = self._shape(view).decode(values)
        return row

    def _shape(self, view: View) -> _Shape:
        return _shape_of(self._projections[view.name].layout)

    # --- answers

    def metric_names(self, tenant_id: TenantId, device_id: str) -> Sequence[str]:
        with self._live("device_metrics") as (connection, view):
            return (
                distinct(connection, view, "metric", {"tenant_id": tenant_id, "device_id": device_id}) if view else ()
            )

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
        where = _Conditions(tenant_id=tenant_id, device_id=device_id, metric=metric)
        where.between("happened_at", start, end)
        with self._live("device_metrics") as (connection, view):
            if not view:
                return ()
            if not step_s:
                sql = f'SELECT happened_at, value, 1 FROM "{view.table}" WHERE {where} ORDER BY happened_at'
                return _points(connection.execute(sql, where.values))
            step = step_s * 1_000_000
            # twice: the remainder of an instant before the epoch is negative
            begin = f"happened_at - (happened_at % {step} + {step}) % {step}"
            sql = f'SELECT {begin}, {_AGGREGATES[aggregate]} FROM "{view.table}" WHERE {where} GROUP BY 1 ORDER BY 1'
            return _points(connection.execute(sql, where.values))

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
        where = _Conditions(tenant_id=tenant_id)
        where.between("happened_at", start, end)
        if device_id is not None:
            where.add("device_id = ?", device_id)
        if severity is not None:
            where.add("severity = ?", severity)
        if before:
            where.add("(happened_at, fact_id) < (?, ?)", to_microseconds(before[0]), before[1])
        if contains:
            where.add("instr(folded(summary), ?) > 0", contains.casefold())
        return self._rows("device_logs", where, "happened_at DESC, fact_id DESC", limit)

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
        where = _Conditions(tenant_id=tenant_id)
        where.between("recorded_at", start, end)
        if types:
            where.add(f"type IN ({marks(len(types))})", *types)
        if before is not None:
            where.add("position < ?", before)
        return self._rows("audit_trail", where, "position DESC", limit)

    def history(self, tenant_id: TenantId, stream: StreamId, *, after: int, limit: int) -> Sequence[EventRow]:
        where = _Conditions(tenant_id=tenant_id, stream=stream)
        where.add("version > ?", after)
        return self._rows("stream_history", where, "version", limit)

    def _rows(self, name: str, where: _Conditions, order: str, limit: int) -> Sequence[Any]:
        with self._live(name) as (connection, view):
            if not view:
                return ()
            sql = f"{self._select(view)} WHERE {where} ORDER BY {order} LIMIT ?"
            return tuple(map(self._shape(view).decode, connection.execute(sql, (*where.values, limit))))

    @contextmanager
    def _live(self, name: str) -> Iterator[tuple[sqlite3.Connection, View | None]]:
        # one transaction for both questions: a switch and a drop in between do not show
        with self._database.read() as connection:
            yield connection, live_build(connection, name)


def _points(rows: sqlite3.Cursor) -> Sequence[MetricPoint]:
    return tuple(MetricPoint(from_microseconds(row[0]), float(row[1]), row[2]) for row in rows)
