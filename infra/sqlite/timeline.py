"""This keeps the timeline views in SQLite and answers from them; `verify` keeps analytics rows here too."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Any

from infra.sqlite.bulk import MOST_VALUES, insert_many
from infra.sqlite.views import SqliteViews, check_written, distinct, live_build, marks
from projections.columns import Columns
from projections.instants import from_microseconds, stretches, to_microseconds
from projections.layout import Layout, Of, Series
from projections.projection import Projection
from projections.readers import Aggregate, MetricPoint
from projections.rows import Row, StoredRow, View
from projections.stores import Part
from schemas.envelope import TenantId
from streams.ports import LogIdentity

_TYPES: Mapping[type, str] = {str: "TEXT", int: "INTEGER", float: "REAL", datetime: "INTEGER", Decimal: "TEXT"}

_AGGREGATES: Mapping[Aggregate, str] = {
    "avg": "avg({value}), count(*)",
    "min": "min({value}), count(*)",
    "max": "max({value}), count(*)",
    "sum": "sum({value}), count(*)",
    "count": "count(*), count(*)",
    # beside max(), a bare column has its value of the row that holds the maximum. Source: sqlite.org/lang_select.html
    "last": "{value}, count(*), max({day})",
}


SCAN_ROWS = 2_000

_MOST_STRETCHES = 300
"""SQLite takes an expression that is no deeper than 1,000."""


class _Shape:
    """A row class as a table's columns; instants are microseconds since the epoch, amounts are text."""

    def __init__(self, layout: Layout) -> None:
        columns = layout.columns
        self._row: Any = layout.row
        self.names = tuple(columns)
        self.columns = ", ".join(columns)
        self._key = layout.key
        self.key_of = itemgetter(*(self.names.index(name) for name in layout.key))
        self._typed = ", ".join(f"{name} {_TYPES[type_]} NOT NULL" for name, type_ in columns.items())
        # a row that is mostly key lies in the tree of its key; wide rows are better off in a heap
        self._options = "STRICT, WITHOUT ROWID" if 2 * len(layout.key) > len(columns) else "STRICT"
        self._indexes = layout.indexes if isinstance(layout, Series) else ()
        self._amounts = [at for at, type_ in enumerate(columns.values()) if type_ is Decimal]
        # what is stored otherwise than it is, by the column's number, and its way back
        self._back: list[tuple[int, Callable[[Any], Any]]] = [
            (at, from_microseconds if type_ is datetime else Decimal)
            for at, type_ in enumerate(columns.values())
            if type_ in (datetime, Decimal)
        ]

    def ddl(self, table: str) -> Sequence[str]:
        key = ", ".join(self._key)
        indexes = [", ".join(("tenant_id", *columns)) for columns in self._indexes]
        return (
            f'CREATE TABLE "{table}" ({self._typed}, PRIMARY KEY ({key})) {self._options}',
            *(f'CREATE INDEX "{table}_{n}" ON "{table}" ({columns})' for n, columns in enumerate(indexes, 1)),
        )

    def upsert(self, table: str) -> tuple[str, str]:
        """Return what stands before and behind the rows."""
        key = ", ".join(self._key)
        changes = ", ".join(f"{name} = excluded.{name}" for name in self.names if name not in self._key)
        return (
            f'INSERT INTO "{table}" ({self.columns})',
            f'ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE excluded.position > "{table}".position',
        )

    def count_there(self, connection: sqlite3.Connection, table: str, sent: Sequence[Sequence[Any]]) -> int:
        """Return how many encoded rows the table has, as they were sent or with a greater position."""
        places = [self.names.index(name) for name in (*self._key, "position")]
        same = " AND ".join(f"kept.{name} = sent.{name}" for name in self._key)
        size = MOST_VALUES // len(places)
        there = 0
        for at in range(0, len(sent), size):
            part = [row[place] for row in sent[at : at + size] for place in places]
            values = ", ".join([f"({marks(len(places))})"] * (len(part) // len(places)))
            ((count,),) = connection.execute(
                f"""
                WITH sent ({", ".join(self._key)}, at) AS (VALUES {values})
                SELECT count(*) FROM sent CROSS JOIN "{table}" AS kept ON {same} AND kept.position >= sent.at
                """,
                part,
            )
            there += count
        return there

    def encode(self, rows: Sequence[Row]) -> Sequence[Sequence[Any]]:
        columns = self.amounts(list(Columns.of(self._row, rows).values), str)
        return list(zip(*columns, strict=True))

    def amounts(self, columns: list[Sequence[Any]], way: Callable[[Any], Any]) -> list[Sequence[Any]]:
        """Let the columns of amounts become text, or come back from it."""
        for at in self._amounts:
            columns[at] = list(map(way, columns[at]))
        return columns

    def decode(self, values: Sequence[Any]) -> Any:
        decoded = list(values)
        for at, back in self._back:
            decoded[at] = back(decoded[at])
        return self._row._make(decoded)


class _Conditions:
    """The WHERE clause of a question about one series."""

    def __init__(
        self, layout: Series, tenant_id: TenantId, of: Of, *, start: datetime | None, end: datetime | None
    ) -> None:
        self._texts: list[str] = []
        self.values: list[Any] = []
        self.add("tenant_id = ?", tenant_id)
        for column, wanted in of.items():
            if isinstance(wanted, str):
                self.add(f"{column} = ?", wanted)
            else:
                self.add(f"{column} IN ({marks(len(wanted))})", *wanted)
        if start:
            self.add(f"{layout.day} >= ?", start)
        if end:
            self.add(f"{layout.day} < ?", end)

    def __str__(self) -> str:
        return " AND ".join(self._texts)

    def add(self, text: str, *values: Any) -> None:
        self._texts.append(text)
        self.values.extend(to_microseconds(value) if isinstance(value, datetime) else value for value in values)


class SqliteTimeline(SqliteViews):
    """ViewWriter and TimelineReader of the embedded profile."""

    def __init__(
        self, path: Path | str, projections: Sequence[Projection], belongs_to: LogIdentity | None = None
    ) -> None:
        super().__init__(path, projections, belongs_to)
        self._shapes: dict[str, _Shape] = {}

    def _schema(self, view: View) -> Sequence[str]:
        return self._shape(view.name).ddl(view.table)

    def _write(self, connection: sqlite3.Connection, view: View, rows: Sequence[Row]) -> None:
        if not rows:
            return
        shape = self._shape(view.name)
        into, on_conflict = shape.upsert(view.table)
        # in the order of the tree, whose pages are then touched once; of one key the greater position counts anyway
        sent = sorted(shape.encode(rows), key=shape.key_of)
        before = connection.total_changes
        insert_many(connection, into, sent, on_conflict)
        written = connection.total_changes - before
        if written < len(sent):
            # what was not written must be there already, as it was sent or as it was written later
            check_written(view.table, len(sent), shape.count_there(connection, view.table, sent))

    def scan_columns(
        self, view: View, tenant_id: TenantId, part: Part | None = None
    ) -> Iterator[Sequence[Sequence[Any]]]:
        shape = self._shape(view.name)
        where = f"AND {self._in(view, part)}" if part else ""
        with self._database.read() as connection:
            found = connection.execute(self._of_tenant(view, where), (tenant_id,))
            while rows := found.fetchmany(SCAN_ROWS):
                yield shape.amounts(list(zip(*rows, strict=True)), Decimal)

    def count(self, view: View, tenant_id: TenantId, *, without: Part) -> int | None:
        if len(stretches(without.days)) > _MOST_STRETCHES:
            return None
        with self._database.read() as connection:
            sql = f'SELECT count(*) FROM "{view.table}" WHERE tenant_id = ? AND NOT {self._in(view, without)}'
            ((count,),) = connection.execute(sql, (tenant_id,))
            return int(count)

    def _in(self, view: View, part: Part) -> str:
        day, times = self._projections[view.name].layout.day, stretches(part.days)
        if len(times) > _MOST_STRETCHES:
            # and what is between them
            times = [(times[0][0], times[-1][1])]
        on = [f"({day} >= {start} AND {day} < {end})" for start, end in times] if day else ["true"]
        return f"(position > {part.above} AND ({' OR '.join(on) or 'false'}))"

    def _select(self, view: View) -> str:
        return f'SELECT {self._shape(view.name).columns} FROM "{view.table}"'

    def _stored(self, view: View, values: Sequence[Any]) -> StoredRow:
        row: StoredRow = self._shape(view.name).decode(values)
        return row

    def _shape(self, name: str) -> _Shape:
        shape = self._shapes.get(name)
        if shape is None:
            shape = self._shapes[name] = _Shape(self._projections[name].layout)
        return shape

    # --- answers

    def rows(
        self,
        view: str,
        tenant_id: TenantId,
        *,
        of: Of,
        start: datetime | None = None,
        end: datetime | None = None,
        contains: str | None = None,
        after: Sequence[Any] | None = None,
        limit: int,
    ) -> Sequence[Any]:
        layout = self._layout(view)
        layout.check(of, after=after, day=bool(start or end), search=bool(contains))
        where = _Conditions(layout, tenant_id, of, start=start, end=end)
        if after is not None:
            behind = "<" if layout.newest_first else ">"
            where.add(f"({', '.join(layout.order)}) {behind} ({marks(len(layout.order))})", *after)
        if contains:
            where.add(f"instr(folded({layout.search}), ?) > 0", contains.casefold())
        direction = " DESC" if layout.newest_first else ""
        order = ", ".join(f"{column}{direction}" for column in layout.order)
        with self._live(view) as (connection, build):
            if not build:
                return ()
            sql = f"{self._select(build)} WHERE {where} ORDER BY {order} LIMIT ?"
            return tuple(map(self._shape(view).decode, connection.execute(sql, (*where.values, limit))))

    def series(self, view: str, tenant_id: TenantId, *, of: Of) -> Sequence[str]:
        column = self._layout(view).last_of_series(of)
        with self._live(view) as (connection, build):
            return distinct(connection, build, column, {"tenant_id": tenant_id, **of}) if build else ()

    def span(self, view: str, tenant_id: TenantId, *, of: Of) -> tuple[datetime, datetime] | None:
        layout = self._layout(view)
        layout.check(of, ordered_by_day=True)
        where = _Conditions(layout, tenant_id, of, start=None, end=None)
        with self._live(view) as (connection, build):
            if not build:
                return None
            ends = [
                connection.execute(
                    f'SELECT {layout.day} FROM "{build.table}" WHERE {where} ORDER BY {layout.day} {direction} LIMIT 1',
                    where.values,
                ).fetchone()
                for direction in ("ASC", "DESC")
            ]
            return (from_microseconds(ends[0][0]), from_microseconds(ends[1][0])) if ends[0] else None

    def points(
        self,
        view: str,
        tenant_id: TenantId,
        *,
        of: Of,
        start: datetime,
        end: datetime,
        step_s: int,
        aggregate: Aggregate,
    ) -> Sequence[MetricPoint]:
        layout = self._layout(view)
        layout.check(of, day=True, value=True)
        where = _Conditions(layout, tenant_id, of, start=start, end=end)
        day, value = layout.day, layout.value
        with self._live(view) as (connection, build):
            if not build:
                return ()
            if not step_s:
                sql = f'SELECT {day}, {value}, 1 FROM "{build.table}" WHERE {where} ORDER BY {day}'
                return _points(connection.execute(sql, where.values))
            step = step_s * 1_000_000
            # twice: the remainder of an instant before the epoch is negative
            begin = f"{day} - ({day} % {step} + {step}) % {step}"
            made = _AGGREGATES[aggregate].format(value=value, day=day)
            sql = f'SELECT {begin}, {made} FROM "{build.table}" WHERE {where} GROUP BY 1 ORDER BY 1'
            return _points(connection.execute(sql, where.values))

    def _layout(self, view: str) -> Series:
        if view not in self._projections:
            raise ValueError(f"nothing is called {view} in the timeline; name one of its views")
        return self._projections[view].timeline

    @contextmanager
    def _live(self, name: str) -> Iterator[tuple[sqlite3.Connection, View | None]]:
        # one transaction for both questions: a switch and a drop in between do not show
        with self._database.read() as connection:
            yield connection, live_build(connection, name)


def _points(rows: sqlite3.Cursor) -> Sequence[MetricPoint]:
    return tuple(MetricPoint(from_microseconds(row[0]), float(row[1]), row[2]) for row in rows)
