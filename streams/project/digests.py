"""Two stores hold the same rows of a tenant's day where their digests are the same, in whatever order the rows come."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import orjson

from projections.columns import Texts, in_array
from projections.instants import DAY, NO_DAY, to_microseconds
from projections.layout import Layout
from projections.rows import Document, StoredRow, View
from projections.stores import Part, ScansColumns, ViewWriter
from schemas.envelope import TenantId

FORMAT = "1"
"""Of digests that are kept: another way to make them is another format."""

_Numbers = npt.NDArray[np.uint64]
_Whole = TypeVar("_Whole", np.int64, np.uint64)

_FIRST, _SECOND, _STEP = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53), np.uint64(0x9E3779B97F4A7C15)
_SHIFT, _HALF, _LOW = np.uint64(33), np.uint64(32), np.uint64(0xFFFFFFFF)
_TEXTS_KEPT = 100_000
_LONGEST_KEPT = 100
_SEGMENT_BITS = 16

MOST_SEGMENTS = 1 << _SEGMENT_BITS


class Digest(NamedTuple):
    """How many rows there are, and the sums of the lower and the upper halves of their hashes of 64 bits."""

    rows: int = 0
    low: int = 0
    high: int = 0

    def plus(self, other: "Digest") -> "Digest":
        return Digest(self.rows + other.rows, self.low + other.low, self.high + other.high)


class Piece(NamedTuple):
    """The rows of one day of a tenant that were recorded in one segment of the log.

    Units: days since 1970, 0 where the rows of a view have no day; segments from 0, by the position of a row.
    """

    day: int
    segment: int


Group = tuple[TenantId, Piece]


def digests_of(
    store: ViewWriter,
    view: View,
    tenant_id: TenantId,
    layout: Layout,
    *,
    cuts: Sequence[int] = (),
    part: Part | None = None,
) -> Mapping[Piece, Digest]:
    """Return the digests of a tenant's rows, of all or of a part of them.

    Shape: `cuts` are the greatest positions of the segments but the last one.
    Raises: StoreUnavailable, start again.
    """
    if not isinstance(store, ScansColumns):
        return _of_documents(store.scan(view, tenant_id))
    found: dict[Piece, Digest] = {}
    for block in store.scan_columns(view, tenant_id, *([] if part is None else [part])):
        for (_, piece), digest in digests_of_columns(block, layout, cuts).items():
            found[piece] = found.get(piece, Digest()).plus(digest)
    return found


def digests_of_columns(
    columns: Sequence[Sequence[Any]], layout: Layout, cuts: Sequence[int] = ()
) -> Mapping[Group, Digest]:
    """Return the digests of rows that are given as their columns, those of one group together."""
    if not len(columns[0]):
        return {}
    names = list(layout.columns)
    tenants = columns[names.index(layout.key[0])]
    known = {tenant: at for at, tenant in enumerate(dict.fromkeys(_words(tenants)))}
    days = _days(columns[names.index(layout.day)] if layout.day else [0] * len(tenants))
    segments = np.searchsorted(np.array(cuts, np.int64), _positions(columns[names.index("position")]))
    groups = (days << _SEGMENT_BITS) + segments
    if len(known) > 1:
        groups += _mapped(known.__getitem__, tenants, np.int64) << (24 + _SEGMENT_BITS)
    hashes = _hashes(columns, list(layout.columns.values()))
    order = np.argsort(groups, kind="stable")
    in_order = groups[order]
    starts = np.flatnonzero(np.concatenate(([True], in_order[1:] != in_order[:-1])))
    lows = np.add.reduceat(hashes[order] & _LOW, starts)
    highs = np.add.reduceat(hashes[order] >> _HALF, starts)
    counts = np.diff(np.append(starts, len(order)))
    return {
        (TenantId(tenants[first]), Piece(int(days[first]), int(segments[first]))): Digest(count, low, high)
        for first, count, low, high in zip(
            order[starts].tolist(), counts.tolist(), lows.tolist(), highs.tolist(), strict=True
        )
    }


def day_of(row: StoredRow, layout: Layout) -> int:
    """Return the day of a row, as in Piece."""
    if not layout.day:
        return 0
    instant = getattr(row, layout.day)
    return NO_DAY if instant is None else to_microseconds(instant) // DAY


def _days(instants: Sequence[int | None]) -> npt.NDArray[np.int64]:
    try:
        return np.frombuffer(in_array("q", instants), np.int64) // DAY
    except TypeError:
        return np.array([NO_DAY if instant is None else instant // DAY for instant in instants], np.int64)


def _positions(positions: Sequence[Any]) -> npt.NDArray[np.int64]:
    try:
        return np.frombuffer(in_array("q", positions), np.int64)
    except (TypeError, OverflowError):
        # what no writer of ours wrote: which segment it is of is all the same
        return np.zeros(len(positions), np.int64)


def _hashes(columns: Sequence[Sequence[Any]], types: Sequence[type]) -> _Numbers:
    """Return a hash of each row. Source: the mixing is that of MurmurHash3's 64 bits, column after column."""
    hashes = np.zeros(len(columns[0]), np.uint64)
    for type_, values in zip(types, columns, strict=True):
        hashes = hashes * _STEP + _numbers(type_, values)
        for factor in (_FIRST, _SECOND):
            hashes ^= hashes >> _SHIFT
            hashes *= factor
        hashes ^= hashes >> _SHIFT
    return hashes


def _numbers(type_: type, values: Sequence[Any]) -> _Numbers:
    """Return a number for each value, which is the same only for values that are."""
    try:
        if type_ is float:
            # to which zero has one sign only
            return (np.frombuffer(in_array("d", values), np.float64) + 0.0).view(np.uint64)
        if type_ in (int, datetime):
            return np.frombuffer(in_array("q", values), np.uint64)
        if type_ is Decimal:
            values = [str(value.normalize()) for value in values]
        return _mapped(_TEXTS.__getitem__, values, np.uint64)
    except (TypeError, OverflowError, AttributeError):
        # what no writer of ours wrote: whether it differs, the rows themselves will say
        return np.fromiter(map(_of_text, map(repr, values)), np.uint64, len(values))


def _words(texts: Sequence[Any]) -> Sequence[Any]:
    return texts.words if isinstance(texts, Texts) else texts


def _mapped(number: Callable[[Any], int], texts: Sequence[Any], kind: type[_Whole]) -> npt.NDArray[_Whole]:
    """Return a number for each text, asked for once where it is known that a text is there many times."""
    words = _words(texts)
    numbers = np.fromiter(map(number, words), kind, len(words))
    return numbers[texts.numbers] if isinstance(texts, Texts) else numbers


class _Texts(dict[str, int]):
    """The hashes of texts; a column has few of them many times, or else as many as it has rows."""

    def __missing__(self, text: str) -> int:
        number = _of_text(text)
        if len(self) >= _TEXTS_KEPT:
            self.clear()
        if len(text) <= _LONGEST_KEPT:
            self[text] = number
        return number


_TEXTS = _Texts()


def _of_text(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big")


def _of_documents(documents: Iterator[StoredRow]) -> Mapping[Piece, Digest]:
    digest = Digest()
    for document in documents:
        number = _of_document(document)
        digest = digest.plus(Digest(1, number & int(_LOW), number >> 32))
    return {Piece(0, 0): digest} if digest.rows else {}


def _of_document(document: StoredRow) -> int:
    """Two that are equal may differ in it (1 and 1.0), not the other way round: they are compared themselves then."""
    assert isinstance(document, Document)  # noqa: S101 - no other store is without columns
    text = orjson.dumps((document.id, document.version, dict(document.fields)), option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")
