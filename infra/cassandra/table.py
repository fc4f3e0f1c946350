"""This makes the tables of one view in Cassandra from its layout, and encodes and decodes its rows.

A view is three tables: the rows, in partitions that begin with the tenant and end with the bucket and the shard that
bound them; the places, which say what partitions there are; the checkpoints.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any
from zlib import crc32

from infra.cassandra.builds import checkpoints_of
from projections.columns import Columns
from projections.instants import DAY, from_microseconds
from projections.layout import Days, Every, Series, Shards
from projections.rows import Row, View

# Places of one tenant lie in this many partitions.
SLICES = 64

REFUSALS = (TypeError, ValueError, AttributeError, OverflowError, struct.error)
"""What a value that is not of its column's type raises."""

_TYPES: Mapping[type, str] = {str: "text", int: "bigint", float: "double", datetime: "bigint"}

LONG, _DOUBLE = struct.Struct(">q").pack, struct.Struct(">d").pack
# The driver's own way takes eight times as long, for every value of every row.
_WIRE: Mapping[type, Callable[[Any], bytes]] = {
    str: str.encode,
    int: LONG,
    float: _DOUBLE,
    datetime: LONG,
}


def slice_of(series: Sequence[str]) -> int:
    """Return which of a tenant's slices has the places of a series."""
    return crc32(series[0].encode()) % SLICES if series else 0


class Table:
    """What a view's tables are called, how they are made, how a row becomes values and back.

    Shape: `partition` names the columns of a partition's key behind the tenant, `place` those of a place: the same, and
    what is noted beside.
    """

    def __init__(self, keyspace: str, view: View, layout: Series) -> None:
        self.layout = layout
        self.rows = f"{keyspace}.{view.table}"
        self.places = f"{self.rows}_places"
        self.checkpoints = checkpoints_of(keyspace, view)
        self.cuts: Sequence[Days | Every | Shards] = [cut for cut in (layout.bucket, layout.shards) if cut]
        self.partition = (*layout.series, *(cut.column for cut in self.cuts))
        self.place = (*self.partition, layout.noted.column) if layout.noted else self.partition
        types = layout.columns
        self.names = names = list(types)
        self._types = {name: _TYPES[type_] for name, type_ in types.items()}
        self.columns = ", ".join(names)
        self.position = names.index("position")
        self.oldest_first = ", ".join(f"{name} ASC" for name in layout.order)
        self.newest_first = ", ".join(f"{name} DESC" for name in layout.order)
        self.order_of = itemgetter(*map(names.index, layout.order))
        self.key_of = itemgetter(*map(names.index, layout.key[1:]))
        self.cut_by_day = isinstance(layout.bucket, Days) and layout.bucket.of == layout.day
        self.in_key_order = layout.key[1:] == (*layout.series, *layout.order)
        self._wires = [_WIRE[type_] for type_ in types.values()]
        self._instants = [at for at, type_ in enumerate(types.values()) if type_ is datetime]
        self._series = [names.index(name) for name in layout.series]
        numbers = (*self.cuts, layout.noted) if layout.noted else self.cuts
        self._numbers: Sequence[tuple[int, Callable[[Any], int]]] = [
            (names.index(cut.of), _day if isinstance(cut, Days) else cut.number) for cut in numbers
        ]

    def schema(self) -> Sequence[str]:
        """Return what makes the tables, that of the rows last: a view is there once it is."""
        layout = self.layout
        direction = "DESC" if layout.newest_first else "ASC"
        row = ", ".join(f"{name} {type_}" for name, type_ in self._types.items())
        cuts = ", ".join(f"{cut.column} bigint" for cut in self.cuts)
        place = ", ".join(f"{name} {self._types.get(name, 'bigint')}" for name in self.place)
        order = ", ".join(f"{name} {direction}" for name in layout.order)
        tables = (
            (self.checkpoints, "topic text, partition int, position bigint, recorded_at bigint", "topic, partition"),
            (self.places, f"tenant_id text, slice int, {place}", f"(tenant_id, slice), {', '.join(self.place)}"),
            (self.rows, f"{row}, {cuts}", f"(tenant_id, {', '.join(self.partition)}), {', '.join(layout.order)}"),
        )
        made = [f"CREATE TABLE IF NOT EXISTS {name} ({columns}, PRIMARY KEY ({key}))" for name, columns, key in tables]
        # clusters have the tables of an earlier version, without the log
        added = f"ALTER TABLE {self.checkpoints} ADD IF NOT EXISTS log text"
        return (made[0], added, *made[1:-1], f"{made[-1]} WITH CLUSTERING ORDER BY ({order})")

    @property
    def insert(self) -> str:
        names = (*self._types, *(cut.column for cut in self.cuts))
        return f"INSERT INTO {self.rows} ({', '.join(names)}) VALUES ({_marks(len(names))})"

    @property
    def insert_place(self) -> str:
        names = ("tenant_id", "slice", *self.place)
        return f"INSERT INTO {self.places} ({', '.join(names)}) VALUES ({_marks(len(names))})"

    def of_partition(self, columns: str, *conditions: str, rest: str = "") -> str:
        where = " AND ".join(("tenant_id = ?", *(f"{name} = ?" for name in self.partition), *conditions))
        return f"SELECT {columns} FROM {self.rows} WHERE {where} {rest}"

    def of_slice(self, columns: Iterable[str], *conditions: str, rest: str = "") -> str:
        where = " AND ".join(("tenant_id = ?", "slice = ?", *conditions))
        return f"SELECT {', '.join(columns)} FROM {self.places} WHERE {where} {rest}"

    def encode(self, rows: Sequence[Row]) -> Iterable[tuple[tuple[Any, ...], tuple[bytes, ...]]]:
        """Return for each row its tenant and place, and its values as they are sent.

        Raises: one of REFUSALS, here or while the rows are taken, a value is not of its column's type.
        """
        columns = Columns.of(self.layout.row, rows).values
        encoded = [list(map(wire, column)) for wire, column in zip(self._wires, columns, strict=True)]
        series = [columns[at] for at in self._series]
        numbers = [map(number, columns[at]) for at, number in self._numbers]
        return zip(zip(columns[0], *series, *numbers, strict=True), zip(*encoded, strict=True), strict=True)

    def series_of(self, place: Sequence[Any]) -> Sequence[str]:
        return place[: len(self.layout.series)]

    def cuts_of(self, place: Sequence[Any]) -> Sequence[int]:
        return place[len(self.layout.series) : len(self.partition)]

    def partitions(self, places: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        """Yield the partitions of places, each once; what is noted beside lies together."""
        for partition, _ in groupby(places, key=itemgetter(slice(len(self.partition)))):
            yield partition

    def noted_by_partition(self, places: Iterable[Sequence[Any]]) -> Mapping[Sequence[Any], set[Any]]:
        """Return the partitions of places, and what is noted of each."""
        noted: dict[Sequence[Any], set[Any]] = {}
        for place in places:
            noted.setdefault(tuple(place[: len(self.partition)]), set()).add(place[-1])
        return noted

    def belongs(self, row: Any, partition: Sequence[Any], noted: set[Any]) -> bool:
        """Tell if a row lies in the partition that follows from it, and is noted there; true of one without values."""
        try:
            [((_, *place), _)] = self.encode([row])
        except REFUSALS:
            # what no writer of ours wrote is a difference already
            return True
        return tuple(place[: len(self.partition)]) == tuple(partition) and place[-1] in noted

    def stretch_of(self, partition: Sequence[Any]) -> Sequence[Any]:
        """Return what the shards of one bucket, which hold one stretch of rows between them, have in common."""
        return partition[:-1] if self.layout.shards else partition

    def decode(self, values: Sequence[Any]) -> Any:
        decoded = list(values)
        # null is what no writer of ours wrote: a difference to be told, not a fault
        for at in self._instants:
            if decoded[at] is not None:
                decoded[at] = from_microseconds(decoded[at])
        row: Any = self.layout.row
        return row._make(decoded)


def _day(microseconds: int) -> int:
    return microseconds // DAY


def _marks(count: int) -> str:
    return ", ".join("?" * count)
