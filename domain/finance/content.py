"""Two documents are compared here by what they say, whatever the order of their lines."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Protocol

_DIGEST_BYTES = 16


class _Line(Protocol):
    @property
    def product(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def quantity(self) -> Decimal: ...
    @property
    def unit_price(self) -> Decimal: ...
    @property
    def exact_price(self) -> Decimal | None: ...
    @property
    def dated_at(self) -> datetime | None: ...


class Content(Protocol):
    """What is compared of a document; its number, party and direction are its name."""

    @property
    def kind(self) -> str: ...
    @property
    def issue_date(self) -> datetime: ...
    @property
    def due_date(self) -> datetime | None: ...
    @property
    def lines(self) -> Sequence[_Line]: ...
    @property
    def tax(self) -> Decimal: ...
    @property
    def currency(self) -> str: ...
    @property
    def country(self) -> str: ...


def digest_of(content: Content) -> str:
    """Return the same for documents that say the same, in this and in every later process.

    Shape: 2.5 and 2.50 are the same amount, blanks around a product do not count, and a line without a date has the
    document's.
    """
    issued = content.issue_date
    lines = sorted(
        repr(
            (
                line.product.strip(),
                line.description,
                _plain(line.quantity),
                _plain(line.exact_price or line.unit_price),
                _instant(line.dated_at or issued),
            )
        )
        for line in content.lines
    )
    head = (
        content.kind,
        _instant(issued),
        _instant(content.due_date),
        _plain(content.tax),
        content.currency,
        content.country.strip(),
    )
    return blake2b(
        "\n".join([repr(head), *lines]).encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES
    ).hexdigest()


def _plain(amount: Decimal) -> str:
    # a zero has a sign and a scale, which say nothing
    return str(amount.normalize()) if amount else "0"


def _instant(at: datetime | None) -> str:
    return at.isoformat() if at else ""
