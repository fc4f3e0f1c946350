"""This reads instants and numbers from the cells of a file strictly, and says why where it cannot."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite

_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}", re.ASCII)
_SHOWN = 40


class BadCell(ValueError):  # noqa: N818
    """The cell is not what its column needs; the message says why, after the kind. A retry gives the same answer."""


@lru_cache(maxsize=4096)
def instant(column: str, text: str) -> datetime:
    """Read an instant; without an offset it is UTC. Raises: BadCell."""
    if _INSTANT.fullmatch(text.strip()):
        try:
            found = datetime.fromisoformat(text.strip())
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise BadCell(f"{column} is not an instant: {shown(text)}; write it like 2026-01-31 08:30:00")


def reading(column: str, text: str) -> float:
    """Read a finite number. Raises: BadCell."""
    stripped = text.strip()
    if _FLOAT.fullmatch(stripped):
        found = float(stripped)
        if isfinite(found):
            return found
    raise _not_a_number(column, text)


def reading_with_comma(column: str, text: str) -> float:
    """Read a finite number that may have a decimal comma, where no comma stands between columns. Raises: BadCell."""
    stripped = text.strip()
    if _COMMA.fullmatch(stripped):
        if _THOUSANDS.fullmatch(stripped):
            raise BadCell(f"{column} may be read in two ways: {shown(text)}; write a decimal point")
        return reading(column, stripped.replace(",", "."))
    return reading(column, text)


def _not_a_number(column: str, text: str) -> BadCell:
    hint = "; write a decimal point, and no commas" if "," in text else ""
    return BadCell(f"{column} is not a finite number: {shown(text)}{hint}")


def shown(text: str) -> str:
    """Return what was read, as a message shows it."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
