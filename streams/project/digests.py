"""Two stores hold the same rows of a tenant where the digests of each day are the same, in whatever store they lie."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from hashlib import blake2b
from itertools import groupby
from typing import Any

import orjson

from projections.instants import DAY, from_microseconds
from projections.layout import Layout
from projections.rows import Document, StoredRow, View
from projections.stores import ScansColumns, ViewWriter
from schemas.envelope import TenantId

Digests = Mapping[date | None, tuple[int, Any]]
"""How many rows there are of each day, and what tells them from others; None is the day of rows that have none."""


def digests_of(store: ViewWriter, view: View, tenant_id: TenantId, layout: Layout) -> Digests:
    """Return the digests of a tenant's rows; two stores of one role give the same where all rows are the same.

    Raises: StoreUnavailable, start again.
    """
    if isinstance(store, ScansColumns):
        return _of_columns(store.scan_columns(view, tenant_id), layout)
    return _of_documents(store.scan(view, tenant_id))


class _Day:
    """The rows of one day. Shape: they come in the order of their key, cut into blocks as each store likes."""

    def __init__(self, types: Sequence[type]) -> None:
        self.count = 0
        self._columns = [(type_, blake2b(digest_size=16)) for type_ in types]

    def add(self, block: Sequence[Sequence[Any]]) -> None:
        self.count += len(block[0])
        for (type_, digest), values in zip(self._columns, block, strict=True):
            digest.update(_plain(type_, values))

    def digest(self) -> bytes:
        return b"".join(digest.digest() for _, digest in self._columns)


def _of_columns(blocks: Iterator[Sequence[Sequence[Any]]], layout: Layout) -> Digests:
    types = list(layout.columns.values())
    at = list(layout.columns).index(layout.day) if layout.day else None
    found: dict[int | None, _Day] = {}
    for block in blocks:
        instants = [None] * len(block[0]) if at is None else block[at]
        # a row that nothing of ours wrote may lack it
        days = [None if instant is None else instant // DAY for instant in instants]
        start = 0
        for day, run in groupby(days):
            end = start + len(list(run))
            if day not in found:
                found[day] = _Day(types)
            found[day].add([column[start:end] for column in block])
            start = end
    return {
        None if day is None else from_microseconds(day * DAY).date(): (rows.count, rows.digest())
        for day, rows in found.items()
    }


def _plain(type_: type, values: Sequence[Any]) -> bytes:
    """Return values so that those of two blocks, one behind the other, are those of both together."""
    try:
        if type_ is float:
            return array("d", values).tobytes()
        if type_ in (int, datetime):
            return array("q", values).tobytes()
        if type_ is Decimal:
            values = [str(value.normalize()) for value in values]
        return orjson.dumps(values)[1:-1] + b","
    except (TypeError, OverflowError, AttributeError):
        # what no writer of ours wrote: whether it differs, the rows themselves will say
        return repr(list(values)).encode(errors="replace")


def _of_documents(documents: Iterator[StoredRow]) -> Digests:
    """The sum of their digests, in which their order does not matter."""
    count = total = 0
    for document in documents:
        count += 1
        total += _digest(document)
    return {None: (count, total)} if count else {}


def _digest(document: StoredRow) -> int:
    """Two that are equal may differ in it (1 and 1.0), not the other way round: they are compared themselves then."""
    assert isinstance(document, Document)  # noqa: S101 - no other store is without columns
    text = orjson.dumps((document.id, document.version, dict(document.fields)), option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(blake2b(text, digest_size=16).digest(), "big")
