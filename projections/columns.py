"""Many rows of one class may be kept as their columns, so that nobody makes an object for each of them."""

from array import array
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Self, get_type_hints, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from projections.instants import from_microseconds, to_microseconds
from projections.rows import Row

Numbers = npt.NDArray[np.int64]

_FIRST = to_microseconds(datetime.min.replace(tzinfo=UTC))
_LAST = to_microseconds(datetime.max.replace(tzinfo=UTC))


@cache
def _instants_of(row: type) -> Sequence[int]:
    """Return the numbers of the columns that hold instants."""
    return [at for at, hint in enumerate(get_type_hints(row).values()) if hint is datetime]


def in_array(kind: str, values: Sequence[Any]) -> "array[Any]":
    """Return numbers as they lie in memory. Raises: TypeError, OverflowError, one of them is not of this kind."""
    return values if isinstance(values, array) and values.typecode == kind else array(kind, values)


def ends_of(numbers: Sequence[int]) -> tuple[int, int]:
    """Return the least and the greatest of whole numbers, 0 where there is none."""
    if isinstance(numbers, array) and numbers.typecode == "q" and numbers:
        # C looks through them where they lie
        lying = np.frombuffer(numbers, np.int64)
        return int(lying.min()), int(lying.max())
    return min(numbers, default=0), max(numbers, default=0)


class Texts(Sequence[str]):
    """A column of texts of which each is there once: `words`, and for each row the number of its word."""

    def __init__(self, words: Sequence[str], numbers: npt.NDArray[np.integer[Any]]) -> None:
        self.words = words
        self.numbers = numbers

    @classmethod
    def of(cls, texts: pa.Array) -> Self:
        found = texts.dictionary_encode()
        return cls(found.dictionary.to_pylist(), found.indices.to_numpy())

    def take(self, rows: Numbers) -> Self:
        """Return the texts of some rows, in the order and as often as they are named."""
        return type(self)(self.words, self.numbers[rows])

    def each(self, change: Callable[[str], str]) -> Self:
        """Return what becomes of each text."""
        return type(self)(list(map(change, self.words)), self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[str]:
        return map(self.words.__getitem__, self.numbers.tolist())

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Self: ...
    def __getitem__(self, at: int | slice) -> str | Self:
        return type(self)(self.words, self.numbers[at]) if isinstance(at, slice) else self.words[self.numbers[at]]


def lengths(lists: pa.ListArray) -> Numbers:
    """Return how many values each list has."""
    found: Numbers = np.diff(lists.offsets.to_numpy())
    return found


def whole(numbers: Numbers) -> "array[int]":
    """Return a column of whole numbers, or of instants."""
    return array("q", np.ascontiguousarray(numbers, np.int64).tobytes())


def reals(numbers: npt.NDArray[np.float64]) -> "array[float]":
    """Return a column of numbers with a fraction."""
    return array("d", np.ascontiguousarray(numbers, np.float64).tobytes())


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
            least, most = ends_of(values[at])
            if least < _FIRST or most > _LAST:
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
