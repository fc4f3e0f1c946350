"""Amounts are computed exactly here, and the fields of an invoice get their limits."""

import unicodedata
from collections.abc import Iterable
from decimal import ROUND_DOWN, Context, Decimal, Inexact, InvalidOperation
from functools import reduce
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, StringConstraints

EXACT = Context(prec=80, traps=[Inexact, InvalidOperation])
"""Arithmetic that raises where it would have to round: 80 digits hold every sum that a command can ask for."""

EXACT_CUT = Context(prec=80, traps=[InvalidOperation])
"""The same, for what is cut on purpose."""

TOTAL_LIMIT = Decimal(10) ** 30
"""Totals stay below this in size, so that decimal(38, 8) holds them. Source: docs/adr/0024."""

EXACT_LIMIT = Decimal(10) ** 22
"""Totals with more than eight decimals stay below this in size, so that decimal(38, 16) holds them."""


def times(quantity: Decimal, price: Decimal) -> Decimal:
    return EXACT.multiply(quantity, price)


def plus(*amounts: Decimal) -> Decimal:
    return total(amounts)


def minus(amount: Decimal, less: Decimal) -> Decimal:
    return EXACT.subtract(amount, less)


def total(amounts: Iterable[Decimal]) -> Decimal:
    return reduce(EXACT.add, amounts, Decimal(0))


def cut(amount: Decimal, places: int) -> Decimal:
    """Return an amount without the decimals after so many places."""
    return amount.quantize(Decimal(1).scaleb(-places), ROUND_DOWN, EXACT_CUT)


def beyond(amount: Decimal, places: int) -> Decimal | None:
    """Return an amount that has more decimals than so many places; None for one that they hold."""
    return None if cut(amount, places) == amount else amount


def is_too_large(amount: Decimal) -> bool:
    """Return whether no schema holds a total."""
    return abs(amount) >= (TOTAL_LIMIT if beyond(amount, 8) is None else EXACT_LIMIT)


def _at(places: int) -> PlainSerializer:
    """Return what writes an amount with so many decimals."""
    unit = Decimal(1).scaleb(-places)

    def at_scale(amount: Decimal) -> Decimal:
        # Avro gives every decimal back at its schema's scale and knows no -0: a payload is so from the beginning
        return EXACT.plus(EXACT.quantize(amount, unit))

    return PlainSerializer(at_scale)


def amount_text(amount: Decimal) -> str:
    """Return an amount for people: four decimals, eight where four do not hold it, else all that it has."""
    text = f"{EXACT.plus(EXACT.quantize(amount, Decimal('1e-16'))):f}"
    if text.endswith("0" * 8):
        return text.removesuffix("0" * 8).removesuffix("0" * 4)
    return text.rstrip("0")


def tidy(text: str) -> str:
    """Return a name without blanks around it, and in the form that equal texts have in common. Source: Unicode NFC."""
    return unicodedata.normalize("NFC", text).strip()


def _tidied(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    tidied = tidy(value)
    if value and not tidied:
        raise ValueError("must not be blank")
    if hidden := next((one for one in tidied if unicodedata.category(one) == "Cf"), None):
        raise ValueError(f"holds a character that cannot be seen, U+{ord(hidden):04X}; take it out")
    return tidied


Amount = Annotated[Decimal, _at(4)]
"""A quantity, a price or a tax in an event. Avro: decimal(18, 4)."""

Price = Annotated[Decimal, _at(12)]
"""A price that four decimals do not hold, in an event. Avro: decimal(28, 12)."""

Total = Annotated[Decimal, _at(8)]
"""A sum of quantity times price, and what is paid of it, in an event. Avro: decimal(38, 8)."""

Exact = Annotated[Decimal, _at(16)]
"""A sum that eight decimals do not hold, in an event. Avro: decimal(38, 16)."""

Quantity = Annotated[Decimal, Field(max_digits=18, decimal_places=4, allow_inf_nan=False)]

UnitPrice = Annotated[Decimal, Field(max_digits=26, decimal_places=12, allow_inf_nan=False)]
"""A price as it is asked for: what is sold by the million units costs 0.0000166667 each."""

Paid = Annotated[Decimal, Field(gt=0, max_digits=46, decimal_places=16, allow_inf_nan=False)]
"""What was paid. Sixteen decimals, because an invoice's total may have as many and must be payable in full."""

Party = Annotated[str, StringConstraints(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$"), BeforeValidator(_tidied)]
"""A customer or supplier as the sender names it, tidied; "" where it is not known."""

InvoiceNumber = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$"), BeforeValidator(_tidied)
]
"""A document's number as its writer gave it, tidied."""

Label = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""One line of text that may be empty."""

Description = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]
"""Some lines of text, with tabs and line breaks, that may be empty."""
