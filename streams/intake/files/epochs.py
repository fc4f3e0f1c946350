"""Instants are also written as numbers since 1970; their unit is told, or by how large they are."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

UNITS: Mapping[str, int] = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""How many of a unit are a second."""

_LARGEST = ((10**11, "s"), (10**14, "ms"), (10**17, "us"))
"""Below each of these numbers it is this unit: seconds until the year 5138, milliseconds from March 1973 on."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = Decimal(1_000_000)


def epoch_of(text: str, unit: str = "auto") -> datetime:
    """Return the instant of a number since 1970, exact to the microsecond.

    Shape: `unit` is one of UNITS, or "auto" to tell it by magnitude.
    Raises: ValueError, it is no number, or of no year from 1 to 9999.
    """
    try:
        number = Decimal(text)
        per_second = UNITS[unit_of(number) if unit == "auto" else unit]
        return _EPOCH + timedelta(microseconds=int(number * _MICRO / per_second // 1))
    except (InvalidOperation, OverflowError) as error:
        raise ValueError(f"it is in no year from 1 to 9999 as {unit}") from error


def unit_of(number: Decimal) -> str:
    return next((unit for largest, unit in _LARGEST if abs(number) < largest), "ns")
