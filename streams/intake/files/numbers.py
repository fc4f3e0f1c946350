"""Amounts are read here as people write them; what could be read in two ways is refused until the caller says which."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from streams.intake.files.cells import BadCell, shown
from streams.intake.remembered import remembered

POINT, COMMA = ".", ","

SIGNS: Mapping[str, tuple[str, ...]] = {
    "$": ("USD", "AUD", "CAD", "NZD", "HKD", "SGD", "TWD", "MXN", "ARS", "CLP", "COP"),
    "US$": ("USD",),
    "A$": ("AUD",),
    "C$": ("CAD",),
    "CA$": ("CAD",),
    "NZ$": ("NZD",),
    "HK$": ("HKD",),
    "S$": ("SGD",),
    "R$": ("BRL",),
    "\u20ac": ("EUR",),
    "\u00a3": ("GBP",),
    "\u00a5": ("JPY", "CNY"),
    "\u20b9": ("INR",),
    "\u20a9": ("KRW",),
    "\u20aa": ("ILS",),
    "\u20ba": ("TRY",),
    "\u20b4": ("UAH",),
    "\u20bd": ("RUB",),
    "\u0e3f": ("THB",),
    "kr": ("SEK", "NOK", "DKK", "ISK"),
    "Fr.": ("CHF",),
    "z\u0142": ("PLN",),
    "K\u010d": ("CZK",),
    "Ft": ("HUF",),
}
"""Signs beside an amount, and what each may mean, the likeliest first; the codes themselves are read as well."""

_CODES = sorted(
    {code for codes in SIGNS.values() for code in codes} | {"RON", "BGN", "ZAR", "AED", "SAR", "VND", "IDR"}
)
_SIGN = "|".join(re.escape(sign) for sign in sorted({*SIGNS, *_CODES}, key=len, reverse=True))
_MARKS = str.maketrans(
    # all blanks are one and all apostrophes are, and so are the ways to write a minus
    dict.fromkeys("\u00a0\u2007\u2009\u202f", " ")
    | dict.fromkeys("\u2019\u02bc", "'")
    | dict.fromkeys("\u2212\ufe63\uff0d", "-")
)
_AMOUNT = re.compile(
    rf"([-+(]?) ?({_SIGN})? ?([-+(]?) ?([0-9][0-9.,' ]*[0-9]|[.,]?[0-9]+) ?([-+)]?) ?({_SIGN})? ?([-+)]?)", re.ASCII
)
_PLAIN = re.compile(r"-?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})", re.ASCII)
_POWER = re.compile(r"[-+]?[0-9.,]{1,20}[eE][-+]?[0-9]{1,3}", re.ASCII)
_GROUPED = {
    between: re.compile(
        rf"[1-9][0-9]{{0,2}}(?:{re.escape(between)}[0-9]{{3}})+|[1-9][0-9]?(?:{re.escape(between)}[0-9]{{2}})+{re.escape(between)}[0-9]{{3}}"
    )
    for between in (POINT, COMMA, "'", " ")
}
_LONGEST = 80


class Style(NamedTuple):
    """How a file writes its amounts.

    Shape: `decimal` stands before the decimals; `thousands` between thousands, any where the caller names none;
    `told` says that the caller named the first. `shows` is an amount of the file that is written so, with its line,
    and `other` one that is written in the other way.
    """

    decimal: str = POINT
    thousands: str | None = None
    told: bool = False
    shows: str = ""
    other: str = ""


def style_told(decimal: str | None, thousands: str | None) -> Style | None:
    """Return the style that a caller names; None where it follows from the file."""
    if decimal is None and thousands in {POINT, COMMA}:
        decimal = COMMA if thousands == POINT else POINT
    return None if decimal is None else Style(decimal, thousands, told=True)


class Evidence:
    """What the amounts of a file show about how it writes them."""

    def __init__(self, thousands: str | None = None) -> None:
        self._thousands = thousands
        self._first: dict[str, str] = {}

    def see(self, text: str, line: int) -> None:
        if POINT in text or COMMA in text:
            ways = _ways(text, self._thousands)
            if ways is not None and len(ways) == 1:
                self._first.setdefault(next(iter(ways)), f"{shown(text.strip())} in line {line}")

    def style(self) -> Style:
        """Return the style of the file: decimal points, unless it shows decimal commas and no decimal point."""
        points, commas = self._first.get(POINT, ""), self._first.get(COMMA, "")
        if commas and not points:
            return Style(COMMA, self._thousands, shows=commas)
        return Style(POINT, self._thousands, shows=points, other=commas)


@remembered(8192)
def amount(column: str, text: str, style: Style) -> str:
    """Read an exact amount and return its shortest form: 2.50 and 2.5 say the same. Raises: BadCell."""
    ways = _ways(text, style.thousands)
    if not ways and _POWER.fullmatch(text.strip()):
        raise BadCell(
            f"{column} is written with a power of ten: {shown(text)}; spreadsheets leave out digits so; write them all"
        )
    if not ways:
        raise BadCell(f"{column} is not a finite number: {shown(text)}; {_how(style)}")
    found = ways.get(style.decimal)
    if style.told or len(set(ways.values())) == 1:
        if found is None:
            raise BadCell(f"{column} is not a finite number: {shown(text)}; {_how(style)}")
        return found
    if found is not None and style.shows and not style.other and style.decimal in text:
        return found
    raise BadCell(f"{column} may be read in two ways: {shown(text)}; {_shows(style)}; add --decimal . or --decimal ,")


@remembered(8192)
def currencies_of(text: str) -> tuple[str, ...]:
    """Return what the sign beside an amount may mean, the likeliest first; nothing where there is none."""
    found = _AMOUNT.fullmatch(text.translate(_MARKS).strip()) if len(text) <= _LONGEST else None
    sign = (found[2] or found[6]) if found else None
    return () if sign is None else SIGNS.get(sign, (sign,))


def _how(style: Style) -> str:
    if style.told:
        return f"--decimal says {style.decimal}"
    if style.shows and not style.other:
        return f"{_shows(style)}; write it so, or say with --decimal and --thousands what the file writes"
    return "write a decimal point, and no commas, or say with --decimal and --thousands what the file writes"


def _shows(style: Style) -> str:
    if style.other:
        return f"the file writes {style.shows} and {style.other}"
    return f"the file writes {style.shows}" if style.shows else "nothing in the file shows which"


@remembered(8192)
def _ways(text: str, thousands: str | None) -> Mapping[str, str] | None:
    """Return what an amount is by each decimal separator with which it can be read; None where it is no amount."""
    if len(text) > _LONGEST:
        return None
    bare = text.translate(_MARKS).strip()
    if _PLAIN.fullmatch(bare):
        digits, negative = bare.lstrip("-"), bare.startswith("-")
    else:
        found = _AMOUNT.fullmatch(bare)
        if found is None or (found[2] and found[6]):
            return None
        marks = found[1] + found[3] + found[5] + found[7]
        if marks not in {"", "+", "-", "()"}:
            return None
        digits, negative = found[4], marks in {"-", "()"}
    ways = {decimal: _split(digits, decimal, thousands) for decimal in (POINT, COMMA)}
    return {decimal: _shortest(number, negative=negative) for decimal, number in ways.items() if number is not None}


def _split(digits: str, decimal: str, thousands: str | None) -> str | None:
    """Return a number with a decimal point, read with this decimal separator; None where it cannot be read so."""
    whole, point, decimals = digits.partition(decimal)
    if point and (decimals or decimal == COMMA) and not decimals.isdigit():
        return None
    if whole and not whole.isdigit():
        between = next(one for one in whole if not one.isdigit())
        if between == decimal or thousands not in {None, between} or not _GROUPED[between].fullmatch(whole):
            return None
        whole = whole.replace(between, "")
    return f"{whole or '0'}.{decimals or '0'}"


def _shortest(number: str, *, negative: bool) -> str:
    exact = Decimal(f"-{number}" if negative else number)
    shortest = f"{exact:f}".rstrip("0").removesuffix(".")
    return "0" if shortest == "-0" else shortest
