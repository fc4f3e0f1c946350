"""Many rows of one class may be kept as their columns, so that nobody makes an object for each of them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Self, get_type_hints, overload

from projections.instants import from_microseconds, to_microseconds
from projections.rows import Row

_FIRST = to_microseconds(datetime.min.replace(tzinfo=UTC))
_LAST = to_microseconds(datetime.max.replace(tzinfo=UTC))


@cache
def _instants_of(row: type) -> Sequence[int]:
    """Return the numbers of the columns that hold instants."""
    return [at for at, hint in enumerate(get_type_hints(row).values()) if hint is datetime]


class Columns(Sequence[Row]):
    """Rows of one class as their columns: a store that writes columns takes these, any other one takes the rows.

    Shape: `values` has the values of each column of a row, in their order.
    Units: an instant is microseconds since 1970.
    Raises: ValueError, the columns are not of one length, or an instant is not of the years 1 to 9999.
    """

    def __init__(self, row: Any, values: Sequence[Sequence[Any]]) -> None:
        self._row = row
        self.values = values
        if len(values) != len(self._row._fields) or len(set(map(len, values))) != 1:
            raise ValueError(f"the columns of {row.__name__} are not of one length")
        for at in _instants_of(row):
            column = values[at]
            if column and (min(column) < _FIRST or max(column) > _LAST):
                raise ValueError(f"an instant of {row.__name__} is not of the years 1 to 9999")

    @classmethod
    def of(cls, row: type, rows: Sequence[Row]) -> Self:
        """Return rows as columns. Raises: ValueError, TypeError, AttributeError, a row is not of its class."""
        if isinstance(rows, cls):
            return rows
        values: list[Sequence[Any]] = list(zip(*rows, strict=True))
        for at in _instants_of(row):
            values[at] = list(map(to_microseconds, values[at]))
        return cls(row, values)

    def __len__(self) -> int:
        return len(self.values[0])

    def __iter__(self) -> Iterator[Row]:
        columns = list(self.values)
        for at in _instants_of(self._row):
            columns[at] = list(map(from_microseconds, columns[at]))
        return map(self._row._make, zip(*columns, strict=True))

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> Self: ...
    def __getitem__(self, at: int | slice) -> Row | Self:
        some = at if isinstance(at, slice) else slice(at, at + 1 or None)
        part = type(self)(self._row, [column[some] for column in self.values])
        if isinstance(at, slice):
            return part
        for row in part:
            return row
        raise IndexError(at)
