"""This reads numbers from the cells of a file strictly, and says why where it cannot."""

import re
from math import isfinite

_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}", re.ASCII)
_SHOWN = 40


class BadCell(ValueError):  # noqa: N818
    """The cell is not what its column needs; the message says why, after the kind. A retry gives the same answer."""


def reading(column: str, text: str) -> float:
    """Read a finite number. Raises: BadCell."""
    stripped = text.strip()
    if _FLOAT.fullmatch(stripped):
        found = float(stripped)
        if isfinite(found):
            return found
    hint = "; write a decimal point, and no commas" if "," in text else ""
    raise BadCell(f"{column} is not a finite number: {shown(text)}{hint}")


def reading_with_comma(column: str, text: str) -> float:
    """Read a finite number that may have a decimal comma, where no comma stands between columns. Raises: BadCell."""
    stripped = text.strip()
    if _COMMA.fullmatch(stripped):
        if _THOUSANDS.fullmatch(stripped):
            raise BadCell(f"{column} may be read in two ways: {shown(text)}; write a decimal point")
        return reading(column, stripped.replace(",", "."))
    return reading(column, text)


def shown(text: str) -> str:
    """Return what was read, as a message shows it."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
