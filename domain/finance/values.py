"""Amounts are computed exactly here, and the fields of an invoice get their limits."""

from collections.abc import Iterable
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import reduce
from typing import Annotated

from pydantic import Field, PlainSerializer, StringConstraints

EXACT = Context(prec=80, traps=[Inexact, InvalidOperation])
"""Arithmetic that raises where it would have to round: 80 digits hold every sum that a command can ask for."""

TOTAL_LIMIT = Decimal(10) ** 30
"""Totals stay below this in size, so that decimal(38, 8) holds them. Source: docs/adr, amounts."""


def times(quantity: Decimal, price: Decimal) -> Decimal:
    return EXACT.multiply(quantity, price)


def plus(*amounts: Decimal) -> Decimal:
    return total(amounts)


def minus(amount: Decimal, less: Decimal) -> Decimal:
    return EXACT.subtract(amount, less)


def total(amounts: Iterable[Decimal]) -> Decimal:
    return reduce(EXACT.add, amounts, Decimal(0))


def _at_4(amount: Decimal) -> Decimal:
    return _at_scale(amount, Decimal("1e-4"))


def _at_8(amount: Decimal) -> Decimal:
    return _at_scale(amount, Decimal("1e-8"))


def _at_scale(amount: Decimal, unit: Decimal) -> Decimal:
    # Avro gives every decimal back at its schema's scale and knows no -0: a payload is in that form from the beginning
    return EXACT.plus(EXACT.quantize(amount, unit))


def amount_text(amount: Decimal) -> str:
    """Return an amount for people: four decimals, eight where four do not hold it."""
    return f"{_at_8(amount):f}".removesuffix("0000")


Amount = Annotated[Decimal, PlainSerializer(_at_4)]
"""A quantity, a price or a tax in an event. Avro: decimal(18, 4)."""

Total = Annotated[Decimal, PlainSerializer(_at_8)]
"""A sum of quantity times price, and what is paid of it, in an event. Avro: decimal(38, 8)."""

Quantity = Annotated[Decimal, Field(max_digits=18, decimal_places=4, allow_inf_nan=False)]

Paid = Annotated[Decimal, Field(gt=0, max_digits=38, decimal_places=8, allow_inf_nan=False)]
"""What was paid. Eight decimals, because an invoice's total may have as many and must be payable in full."""

Party = Annotated[str, StringConstraints(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""A customer or supplier as the sender names it; "" where it is not known."""

InvoiceNumber = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]

Label = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""One line of text that may be empty."""
