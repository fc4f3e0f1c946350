"""A log line says when it was written, by whom and what; these are its parts, whatever form it had."""

from datetime import datetime
from typing import NamedTuple


class Stamp(NamedTuple):
    """A time as a line says it, without an offset from UTC.

    Shape: `year` is None where the line does not say it; `zone` is the abbreviation that it names, like CET.
    """

    year: int | None
    month: int
    day: int
    hour: int
    minute: int
    second: int
    microsecond: int = 0
    zone: str = ""


class Line(NamedTuple):
    """What one line says.

    Shape: `when` is None where it says no time, and else `stamp` is the text of it; `severity` is None where it is to
    be guessed from the message; `said` is what else it says, as words like `status=404`.
    """

    when: Stamp | datetime | None
    message: str
    stamp: str = ""
    host: str = ""
    program: str = ""
    pid: str = ""
    severity: str | None = None
    user: str = ""
    ip: str = ""
    said: tuple[str, ...] = ()


class BadLine(ValueError):  # noqa: N818
    """The line is not taken; the message says why, after the kind. A retry gives the same answer."""
