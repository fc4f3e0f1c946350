"""This keeps the timeline views in Cassandra and answers from them, whatever their rows are.

The position is the write time, so the greater one wins in whatever order rows arrive. docs/adr/0013 says why each
partition is cut as it is.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from heapq import merge
from itertools import groupby, islice, tee
from operator import itemgetter
from typing import Any, NamedTuple

from infra.cassandra.batches import Sent, batches, bound
from infra.cassandra.builds import CassandraBuilds
from infra.cassandra.connection import CassandraAddress
from infra.cassandra.in_order import in_order
from infra.cassandra.question import Question
from infra.cassandra.table import LONG, REFUSALS, SLICES, Table, slice_of
from projections.instants import from_microseconds
from projections.layout import Of, Series
from projections.projection import Projection
from projections.readers import Aggregate, MetricPoint
from projections.rows import Checkpoint, Row, StoredRow, View
from projections.stores import Part, StoreUnavailable, WriteRefused
from schemas.envelope import TenantId

_AGGREGATES: Mapping[Aggregate, Callable[[Sequence[float]], float]] = {
    "avg": lambda values: sum(values) / len(values),
    "min": min,
    "max": max,
    "sum": sum,
    "count": len,
    "last": lambda values: values[-1],
}


_KEY_BYTES = 65_535
"""The longest key of a partition, with what the protocol adds to each of its parts."""

_PART_BYTES = 3
SCAN_ROWS = 2_000

KNOWN_PLACES = 100_000
"""Of a view, 25 MB of them: with more all are forgotten, and written once more."""

_Place = tuple[Any, ...]


class _Known(NamedTuple):
    """The places that this process has written of a table; of another one under its name nothing is known."""

    table_id: Any
    places: set[_Place]


class CassandraTimeline(CassandraBuilds):
    """ViewWriter and TimelineReader of the distributed profile; any thread may call any method.

    Shape: a row is found by its place in the order of its view. Where that is not its
    key, as in the audit trail, the same row at another place would be there twice; an event's position never changes.
    """

    def __init__(self, address: CassandraAddress, projections: Sequence[Projection]) -> None:
        super().__init__(address)
        self._projections = {projection.name: projection for projection in projections}
        self._tables: dict[View, Table] = {}
        self._known: dict[View, _Known] = {}

    # --- views ------------------------------------------------------------------------------------------------------

    def create(self, view: View) -> None:
        for statement in self._table(view).schema():
            self._connection.define(statement)

    def drop(self, view: View) -> None:
        if self.live(view.name) == view:
            raise ValueError(f"{view.table} is live: switch to another build first")
        table = self._table(view)
        self._known.pop(view, None)
        # a table without checkpoints is read again from the start; checkpoints without a table would lose rows
        for name in (table.checkpoints, table.places, table.rows):
            self._connection.define(f"DROP TABLE IF EXISTS {name}")

    def checkpoints(self, view: View) -> Sequence[Checkpoint]:
        # whoever begins to write a view asks for them first; who only reads them asks nothing else
        if (known := self._known.get(view)) and known.table_id != self._table_id(view):
            self._known.pop(view, None)
        return super().checkpoints(view)

    def apply(self, view: View, rows: Sequence[Row], *checkpoints: Checkpoint) -> None:
        table = self._table(view)
        if rows:
            places = self._places(table, rows)
            known = self._known.get(view)
            if known is None:
                known = self._known[view] = _Known(self._table_id(view), set())
            news = places.keys() - known.places
            try:
                writes = batches(self._writes(table, places, news), self._connection.replicas)
                self._write_all(writes, len(news) + len(rows))
            except (StoreUnavailable, WriteRefused):
                self._known.pop(view, None)
                raise
            if len(known.places) + len(news) > KNOWN_PLACES:
                known.places.clear()
            known.places.update(news)
        if checkpoints:
            self._move(view, checkpoints)

    def _write_all(self, batched: Iterable[Sent], writes: int) -> None:
        """Run statements that carry so many writes. Raises: StoreUnavailable, also where they carried fewer."""
        carried = 0

        def counted() -> Iterator[Any]:
            nonlocal carried
            for sent in batched:
                carried += sent.writes
                yield sent.statement

        self._connection.write(counted())
        if carried < writes:
            raise StoreUnavailable(f"cassandra took {carried} of {writes} writes; the others were never sent")

    def _table_id(self, view: View) -> Any:
        return self._connection.ask(
            "SELECT id FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?",
            *self._table(view).places.split("."),
        )

    def _places(self, table: Table, rows: Sequence[Row]) -> Mapping[_Place, Sequence[Sequence[bytes]]]:
        """Return the rows by place, as they are sent, once all of them can be kept. Raises: WriteRefused."""
        places: dict[_Place, list[Sequence[bytes]]] = {}
        try:
            for place, values in table.encode(rows):
                places.setdefault(place, []).append(values)
        except REFUSALS as error:
            raise WriteRefused(f"{table.rows}: {error}") from error
        for place in places:
            # what the driver cannot even route is no outage
            if sum(len(str(part).encode()) + _PART_BYTES for part in place) > _KEY_BYTES:
                raise WriteRefused(f"{table.rows}: a partition's key is longer than {_KEY_BYTES} bytes")
        return places

    def _writes(
        self, table: Table, places: Mapping[_Place, Sequence[Sequence[bytes]]], news: Collection[_Place]
    ) -> Iterator[Sequence[Any]]:
        """Yield the writes of one partition after the other: that of its place where it is new, those of its rows."""
        insert = self._connection.prepare(f"{table.insert} USING TIMESTAMP ?")
        insert_place = self._connection.prepare(f"{table.insert_place} USING TIMESTAMP ?")
        position = table.position
        for whole, rows in places.items():
            tenant_id, *place = whole
            if whole in news:
                first = int.from_bytes(rows[0][position], "big")
                yield [insert_place.bind((tenant_id, slice_of(table.series_of(place)), *place, first))]
            cuts = [LONG(number) for number in table.cuts_of(place)]
            yield [bound(insert, [*values, *cuts, values[position]]) for values in rows]

    def tenants(self, view: View) -> Sequence[TenantId]:
        found = self._connection.ask(f"SELECT DISTINCT tenant_id, slice FROM {self._table(view).places}")
        return sorted({TenantId(tenant_id) for tenant_id, _ in found})

    def scan(self, view: View, tenant_id: TenantId) -> Iterator[StoredRow]:
        return map(self._table(view).decode, self._scan(view, tenant_id))

    def scan_columns(
        self, view: View, tenant_id: TenantId, part: Part | None = None
    ) -> Iterator[Sequence[Sequence[Any]]]:
        found = self._scan(view, tenant_id, part.days if part else None)
        while rows := list(islice(found, SCAN_ROWS)):
            yield list(zip(*rows, strict=True))

    def count(self, view: View, tenant_id: TenantId, *, without: Part) -> int | None:
        """Return None: the cluster would read the rows to count them."""
        del view, tenant_id, without
        return None

    def _scan(self, view: View, tenant_id: TenantId, days: Collection[int] | None = None) -> Iterator[tuple[Any, ...]]:
        """Yield the values of a tenant's rows as they are stored, of some days where its partitions are cut by them."""
        table = self._table(view)
        slices = range(SLICES) if table.layout.series else (0,)
        statement = table.of_slice(table.place)
        places = merge(*self._connection.ask_each(statement, [(tenant_id, slice_) for slice_ in slices]))
        chosen = table.partitions(places)
        if days is not None and table.cut_by_day:
            chosen = (partition for partition in chosen if table.cuts_of(partition)[0] in days)
        partitions = ((tenant_id, *partition) for partition in chosen)
        if not table.in_key_order:
            # they lie in another order: each partition is read once, and what it has is sorted
            found = self._connection.ask_each(table.of_partition(table.columns), partitions)
            yield from in_order((row for rows in found for row in rows), table.key_of)
            return
        statement = table.of_partition(table.columns, rest=f"ORDER BY {table.oldest_first}")
        yield from self._merged(table, statement, partitions, key=table.order_of)

    def misplaced(self, view: View, tenant_id: TenantId) -> Iterator[tuple[Any, ...]]:
        table = self._table(view)
        slices = range(SLICES) if table.layout.series else (0,)
        answers = self._connection.ask_each(table.of_slice(table.place), [(tenant_id, slice_) for slice_ in slices])
        for slice_, places in zip(slices, answers, strict=True):
            noted = table.noted_by_partition(places)
            found = self._connection.ask_each(
                table.of_partition(table.columns), ((tenant_id, *partition) for partition in noted)
            )
            for (partition, days), rows in zip(noted.items(), found, strict=True):
                is_in_slice = slice_ == slice_of(table.series_of(partition))
                for row in map(table.decode, rows):
                    if not (is_in_slice and table.belongs(row, partition, days)):
                        yield tuple(getattr(row, column) for column in table.layout.key)

    def _merged(
        self,
        table: Table,
        statement: str,
        partitions: Iterable[Sequence[Any]],
        *values: Any,
        key: Callable[[Any], Any],
        newest_first: bool = False,
        ahead: int = 64,
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of partitions one after the other, those of the shards of a stretch in one order."""
        keys, asked = tee(partitions)
        answers = self._connection.ask_each(statement, ((*partition, *values) for partition in asked), ahead=ahead)
        for _, some in groupby(zip(keys, answers, strict=True), key=lambda one: table.stretch_of(one[0])):
            yield from merge(*(rows for _, rows in some), key=key, reverse=newest_first)

    # --- answers ----------------------------------------------------------------------------------------------------

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
        table = self._live(view)
        if not table:
            return ()
        found: Iterator[Any] = map(
            table.decode,
            self._found(
                table,
                tenant_id,
                Question(layout, of, start, end, after),
                table.columns,
                "ALLOW FILTERING" if contains else f"LIMIT {int(limit)} ALLOW FILTERING",
                key=table.order_of,
                newest_first=layout.newest_first,
                # a page is mostly in the first bucket
                ahead=layout.shards.count if layout.shards else 1,
            ),
        )
        if contains and layout.search:
            text, at = contains.casefold(), table.names.index(layout.search)
            found = (row for row in found if text in row[at].casefold())
        return tuple(islice(found, limit))

    def series(self, view: str, tenant_id: TenantId, *, of: Of) -> Sequence[str]:
        layout = self._layout(view)
        last = layout.last_of_series(of)
        table = self._live(view)
        if not table:
            return ()
        others = layout.series[:-1]
        known = [str(of[column]) for column in others]
        group = f"GROUP BY {', '.join(('tenant_id', 'slice', *layout.series))}"
        statement = table.of_slice([last], *(f"{column} = ?" for column in others), rest=group)
        return tuple(text for (text,) in self._connection.ask(statement, tenant_id, slice_of(known), *known))

    def span(self, view: str, tenant_id: TenantId, *, of: Of) -> tuple[datetime, datetime] | None:
        layout = self._layout(view)
        layout.check(of, ordered_by_day=True)
        table = self._live(view)
        if not table:
            return None
        ends = [
            next(
                self._found(
                    table,
                    tenant_id,
                    Question(layout, of, None, None, None),
                    str(layout.day),
                    f"ORDER BY {order} LIMIT 1 ALLOW FILTERING",
                    key=itemgetter(0),
                    newest_first=newest_first,
                    ahead=layout.shards.count if layout.shards else 1,
                ),
                None,
            )
            for order, newest_first in ((table.oldest_first, False), (table.newest_first, True))
        ]
        return (from_microseconds(ends[0][0]), from_microseconds(ends[1][0])) if ends[0] and ends[1] else None

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
        table = self._live(view)
        if not table:
            return ()
        found = self._found(
            table,
            tenant_id,
            Question(layout, of, start, end, None),
            f"{layout.day}, {layout.value}",
            f"ORDER BY {table.oldest_first} ALLOW FILTERING",
            key=itemgetter(0),
        )
        if not step_s:
            return tuple(MetricPoint(from_microseconds(at), value, 1) for at, value in found)
        return tuple(_points(found, step_s * 1_000_000, _AGGREGATES[aggregate]))

    def _found(
        self,
        table: Table,
        tenant_id: TenantId,
        question: Question,
        columns: str,
        rest: str,
        *,
        key: Callable[[Any], Any],
        newest_first: bool = False,
        ahead: int = 64,
    ) -> Iterator[tuple[Any, ...]]:
        """Yield columns of the rows that are asked for, in the order of the view or against it."""
        asked = question.on_places()
        statement = table.of_slice(table.place, *asked.texts)
        places = self._connection.ask(statement, tenant_id, slice_of(question.series), *asked.values)
        if table.layout.noted:
            places = [place for place in places if question.may_be_on(place[-1])]
        partitions = table.partitions(reversed(places) if newest_first else places)
        asked = question.on_rows()
        yield from self._merged(
            table,
            table.of_partition(columns, *asked.texts, rest=rest),
            ((tenant_id, *partition) for partition in partitions),
            *asked.values,
            key=key,
            newest_first=newest_first,
            ahead=ahead,
        )

    def _layout(self, view: str) -> Series:
        if view not in self._projections:
            raise ValueError(f"nothing is called {view} in the timeline; name one of its views")
        return self._projections[view].timeline

    def _live(self, name: str) -> Table | None:
        view = self.live(name)
        return self._table(view) if view else None

    def _table(self, view: View) -> Table:
        table = self._tables.get(view)
        if table is None:
            table = self._tables[view] = Table(self._connection.keyspace, view, self._layout(view.name))
        return table


def _points(
    readings: Iterable[tuple[Any, ...]], step: int, aggregate: Callable[[Sequence[float]], float]
) -> Iterator[MetricPoint]:
    for at, some in groupby(readings, key=lambda reading: reading[0] // step * step):
        values = [value for _, value in some]
        yield MetricPoint(from_microseconds(at), float(aggregate(values)), len(values))
