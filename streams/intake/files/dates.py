"""Dates are read here as a file writes them, and brought to UTC from the time zone that the caller names."""

import re
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

from streams.intake.files.cells import BadCell, shown
from streams.intake.remembered import remembered

_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}.*)?", re.ASCII)


class Dates(NamedTuple):
    """How dates are written.

    Shape: `format` is one of strptime's, None is ISO 8601; `zone` is the time zone of those that say none.
    """

    format: str | None = None
    zone: tzinfo = UTC


def is_format(text: str) -> bool:
    """Tell if a format says a whole day."""
    day = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
    try:
        return datetime.strptime(day.strftime(text), text).date() == day.date()  # noqa: DTZ007 - only the day is compared
    except ValueError:
        return False


@remembered(4096)
def date(column: str, text: str, dates: Dates) -> datetime:
    """Read a date or an instant; a date alone is the beginning of its day, a time that comes twice the first of both.

    Raises: BadCell, it is none, or the clocks of the time zone jumped over it.
    """
    found = _parsed(text.strip(), dates.format)
    if found is None:
        hint = "write it like 2026-01-31 08:30:00, or name the --date-format"
        if dates.format:
            hint = f"--date-format says like {datetime(2026, 1, 31, 8, 30, tzinfo=UTC).strftime(dates.format)}"
        raise BadCell(f"{column} is not an instant: {shown(text)}; {hint}")
    try:
        return _in_utc(found, dates.zone)
    except OverflowError:
        raise BadCell(f"{column} is not an instant: {shown(text)}; it must be of the years 1 to 9999 in UTC") from None
    except LookupError:
        raise BadCell(f"{column} never was: {shown(text)}; the clocks of {dates.zone} jumped over it") from None


def _parsed(text: str, format_: str | None) -> datetime | None:
    try:
        if format_ is not None:
            return datetime.strptime(text, format_)  # noqa: DTZ007 - the zone comes after
        return datetime.fromisoformat(text) if _ISO.fullmatch(text) else None
    except ValueError:
        return None


def _in_utc(found: datetime, zone: tzinfo) -> datetime:
    """Raises: OverflowError; LookupError, no clock of the zone ever showed this."""
    if found.tzinfo is not None:
        return found.astimezone(UTC)
    instant = found.replace(tzinfo=zone).astimezone(UTC)
    # a day may begin after midnight; another time that does not come back is none
    is_a_day = found == datetime.combine(found.date(), datetime.min.time())
    if not is_a_day and instant.astimezone(zone).replace(tzinfo=None) != found:
        raise LookupError
    return instant
