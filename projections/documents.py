"""This makes documents of patches, and says as what text lists compare their fields."""

import struct
from typing import Any

from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch, as_text

_NEGATIVE = 1 << 63
_ALL_BITS = (1 << 64) - 1


class Folding:
    """A document between two batches: its fields, and how far each lane of patches has come."""

    __slots__ = ("changed", "fields", "orders")

    def __init__(self, events: int, telemetry: int, fields: dict[str, Any]) -> None:
        self.orders = {"events": events, "telemetry": telemetry}
        self.fields = fields
        self.changed = False

    def take(self, patch: Patch) -> None:
        if self.moves(patch):
            self.fields.update(patch.fields)

    def moves(self, patch: Patch) -> bool:
        """Return whether the patch is past the document in its lane, and let the document be as far as the patch."""
        if patch.order <= self.orders[patch.lane]:
            return False
        self.orders[patch.lane] = patch.order
        self.changed = True
        return True


def sort_text(layout: Documents, field: str, value: Any) -> str:
    """Return the text that a list is sorted by; a field without a value comes first.

    Raises: TypeError, the field is one of numbers and the value is none.
    """
    if value is not None and field in layout.numbers:
        return _number_text(value)
    return as_text(value) or ""


def _number_text(value: Any) -> str:
    """Return the bits of a double so that texts are in the order of the numbers; beyond 2^53 neighbours are equal."""
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number to sort by")
    # adding zero makes one zero of both
    (bits,) = struct.unpack(">Q", struct.pack(">d", value + 0.0))
    return f"{bits ^ (_ALL_BITS if bits & _NEGATIVE else _NEGATIVE):016x}"


def check_filter(view: Projection, field: str) -> None:
    """Raises: ValueError, lists of the view have no such filter; use another."""
    _check(view.name, "filter", field, view.documents.filters)


def check_sort(view: Projection, field: str) -> None:
    """Raises: ValueError, lists of the view are not sorted by this field; use another."""
    _check(view.name, "sort field", field, view.documents.sorts)


def _check(view: str, kind: str, field: str, known: tuple[str, ...]) -> None:
    if field not in known:
        raise ValueError(f"{view} has no {kind} {field!r}: use one of {', '.join(known) or 'none'}")
