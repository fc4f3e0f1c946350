"""How a file of invoices is written is told with these options."""

from collections.abc import Callable
from typing import Any

import click

from streams.intake.files.dates import is_format
from streams.intake.files.invoice_header import COLUMNS, MAY_BE_LEFT_OUT, OPTIONAL
from streams.intake.files.invoice_kind import is_rule

_NAMES = (*COLUMNS, *OPTIONAL)
_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|", "pipe": "|", "space": " "}
_SEPARATORS = {"point": ".", "dot": ".", "comma": ",", "apostrophe": "'", "space": " "}


class _Column(click.ParamType):
    name = "name=header"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        given, equals, column = str(value).partition("=")
        name = next((one for one in _NAMES if one.casefold() == given.strip().casefold()), None)
        if not equals or name is None:
            self.fail(f"{value!r} is not NAME=HEADER with a NAME of {', '.join(_NAMES)}", param, ctx)
        if not column.strip() and name not in (*MAY_BE_LEFT_OUT, *OPTIONAL):
            self.fail(f"{name} is needed; say which column it is: --columns {name}=HEADER", param, ctx)
        return name, column.strip()


class _Character(click.ParamType):
    name = "character"

    def __init__(self, names: dict[str, str], *, only: str = "") -> None:
        self._names = names
        self._only = only

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        found = self._names.get(str(value), str(value))
        if len(found) != 1 or found in '"\r\n' or (self._only and found not in self._only):
            choice = ", ".join(name for name, one in self._names.items() if not self._only or one in self._only)
            self.fail(f"{value!r} is not one of {choice}, or one character", param, ctx)
        return found


class _DateFormat(click.ParamType):
    name = "format"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not is_format(str(value)):
            self.fail(f"{value!r} does not say day, month and year; write it like %d.%m.%Y %H:%M", param, ctx)
        return str(value)


class _Rule(click.ParamType):
    name = "kind"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not is_rule(value):
            self.fail(f"{value!r} is not one of invoice, credit_note, online-retail or credit_note=PATTERN", param, ctx)
        return str(value)


def invoice_options(command: Callable[..., None]) -> Callable[..., None]:
    for decorate in (
        click.option(
            "--kind",
            type=_Rule(),
            help="What documents are that no column Kind says it of. invoice or credit_note: all of them are that."
            " 'credit_note=CN-*': those of such numbers are credit notes. online-retail: those of the letter C and"
            " digits alone, like C536379, are. Without it, all are invoices, except that such a number with a negative"
            " sum is a credit note, and that numbers like CN-1 are refused.",
        ),
        click.option(
            "--date-format", type=_DateFormat(), help="How dates are written, like '%d.%m.%Y %H:%M'; else as ISO 8601."
        ),
        click.option(
            "--thousands",
            type=_Character(_SEPARATORS, only=".,' "),
            help="What stands between thousands: point, comma, apostrophe or space. Else it is found.",
        ),
        click.option(
            "--decimal",
            type=_Character(_SEPARATORS, only=".,"),
            help="What stands before decimals: point or comma. Else it is found where the file shows it.",
        ),
        click.option(
            "--delimiter",
            type=_Character(_DELIMITERS),
            help="What stands between the columns: comma, semicolon, tab, bar, or any one character. Else it is found.",
        ),
        click.option(
            "--columns",
            type=_Column(),
            multiple=True,
            help="The column of a name, like UnitPrice=Preis; with nothing after the = there is none. Give it once for"
            f" each of {', '.join(_NAMES)} that is called otherwise.",
        ),
    ):
        command = decorate(command)
    return command
