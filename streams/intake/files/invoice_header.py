"""This finds in the first lines of a file of invoices which column is which, and what stands between the columns."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from streams.intake.files.csv_rows import DELIMITERS, Layout, first_line, header_of, lines_above
from streams.intake.files.text import FileError, TextFile

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
"""What each row says, by the names of Online Retail."""

OPTIONAL = ("Kind", "Currency")
"""What a row may say besides."""

MAY_BE_LEFT_OUT = ("StockCode", "Description", "CustomerID", "Country")
"""What a caller may say is not there."""

_ALSO: Mapping[str, tuple[str, ...]] = {
    # Source: Online Retail II, UCI Machine Learning Repository
    "InvoiceNo": ("Invoice",),
    "UnitPrice": ("Price",),
}
_NOT_COMPARED = re.compile(r"[\s_-]+")


class Header(NamedTuple):
    """How a file is laid out, and its column for each name; a name without a column is not there."""

    layout: Layout
    columns: Mapping[str, str]

    def told(self) -> str:
        names = ", ".join(name if name == column else f"{name}={column}" for name, column in self.columns.items())
        return f"{DELIMITERS.get(self.layout.delimiter, self.layout.delimiter)} between the columns {names}"


class _Tried(NamedTuple):
    layout: Layout
    names: Sequence[str]
    columns: Mapping[str, str]
    missing: Sequence[str]
    error: FileError | None = None


def header(file: TextFile, told: Mapping[str, str], delimiter: str | None) -> Header:
    """Read the header of a file.

    Shape: `told` gives the column of a name, "" where the file has none.
    Raises: FileError, a column is missing or there twice.
    """
    lines_before, said = lines_above(file)
    only = delimiter or said
    delimiters = [only] if only else [*DELIMITERS]
    tried = [_try(file, Layout(one, lines_before, whole_without_end=True), told) for one in delimiters]
    best = min(tried, key=lambda one: (len(one.missing), -len(one.names)))
    if best.error:
        raise best.error
    if best.missing:
        raise FileError(_lacks(file, best, told, sure=len(tried) == 1))
    doubled = [column for column in best.columns.values() if best.names.count(column) > 1]
    if doubled:
        raise FileError(f"{file.path} has a column twice: {', '.join(doubled)}")
    return Header(best.layout, best.columns)


def _try(file: TextFile, layout: Layout, told: Mapping[str, str]) -> _Tried:
    try:
        names = header_of(file, layout)
    except FileError as error:
        return _Tried(layout, (), {}, COLUMNS, error)
    columns: dict[str, str] = {}
    missing: list[str] = []
    for name in (*COLUMNS, *OPTIONAL):
        column = _alike_in(told[name], names) if name in told else _column(name, names)
        if column:
            columns[name] = column
        elif told.get(name, name in COLUMNS):
            missing.append(name)
    return _Tried(layout, names, columns, missing)


def _column(name: str, names: Sequence[str]) -> str:
    """Return the column of a name, or of one that is known for it as well; "" where there is none."""
    return next((found for wanted in (name, *_ALSO.get(name, ())) if (found := _alike_in(wanted, names))), "")


def _alike_in(wanted: str, names: Sequence[str]) -> str:
    """Return the name itself, or else one that is written a little otherwise; "" where there is none."""
    if not wanted or wanted in names:
        return wanted
    return next((name for name in names if _alike(name) == _alike(wanted)), "")


def _alike(name: str) -> str:
    return _NOT_COMPARED.sub("", name).casefold()


def _lacks(file: TextFile, best: _Tried, told: Mapping[str, str], *, sure: bool) -> str:
    lacking = [f"{name} (told to be {told[name]!r})" if told.get(name) else name for name in best.missing]
    hint = f"say which column is meant: --columns {best.missing[0]}=HEADER"
    if len(best.names) == 1:
        hint = "say what stands between the columns with --delimiter" if not sure else "is the --delimiter right?"
    return f"{file.path} lacks the columns {', '.join(lacking)}; {first_line(best.names)}; {hint}"
