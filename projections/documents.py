"""This makes documents of patches, and says as what text lists compare their fields and in which words they look."""

import re
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any
from unicodedata import combining, normalize

from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch, as_text
from projections.stores import OlderBuild

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
    # adding zero makes one zero of both
    (bits,) = struct.unpack(">Q", struct.pack(">d", _number(value) + 0.0))
    return f"{bits ^ (_ALL_BITS if bits & _NEGATIVE else _NEGATIVE):016x}"


def _number(value: Any) -> float:
    if isinstance(value, int | float):
        return value
    try:
        # amounts are decimal texts
        number = Decimal(value) if isinstance(value, str) else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise TypeError(f"{value!r} is no number to sort by")
    return float(number)


_WORD = re.compile(r"[^\W_]+")
_LONGEST_WORD = 64


def words_of(texts: Iterable[str | None]) -> Sequence[str]:
    """Return the words of texts, each once and in order, as they are searched: without case and without accents.

    Shape: a word is letters and digits of any language; what is longer than 64 characters is cut. None has no words.
    """
    return sorted({word[:_LONGEST_WORD] for text in texts if text for word in _WORD.findall(_plain(text))})


def _plain(text: str) -> str:
    if text.isascii():
        return text.lower()
    return "".join(one for one in normalize("NFKD", text.casefold()) if not combining(one)).casefold()


def searched(layout: Documents, id_: str, fields: Mapping[str, Any]) -> Sequence[str]:
    """Return the words by which a document is found."""
    return words_of([id_, *(as_text(fields.get(field)) for field in layout.search)])


def check_asked(
    view: Projection, *, filters: Iterable[str], ranges: Iterable[str], words: Collection[str], sort: str | None = None
) -> None:
    """Raises: ValueError, lists of the view have no such filter, range, search or order; use another."""
    layout = view.documents
    asked = [("filter", field, layout.filters) for field in filters]
    asked += [("range", field, layout.ranges) for field in ranges]
    asked += [("sort field", sort, layout.sorts)] if sort is not None else []
    for kind, field, known in asked:
        _check(view.name, kind, field, known)
    if words and not layout.search:
        raise ValueError(f"{view.name} has no search; ask without words")


def check_built(table: str, wanted: Iterable[str], built: Collection[str]) -> None:
    """Do nothing where a build has all that is wanted of it. Raises: OlderBuild."""
    if missing := [part for part in wanted if part not in built]:
        raise OlderBuild(
            f"{table} was built by an earlier version and has no {missing[0].replace('_', ' ', 1)}: an operator has to"
            f" run `factline projections rebuild {table.rpartition('_v')[0]}` first",
            missing[0],
        )


def _check(view: str, kind: str, field: str, known: tuple[str, ...]) -> None:
    if field not in known:
        raise ValueError(f"{view} has no {kind} {field!r}: use one of {', '.join(known) or 'none'}")
