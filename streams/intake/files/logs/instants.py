"""The times of log lines become instants, with the year and the zone that they leave out."""

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

from streams.intake.files.logs.line import BadLine, Stamp
from streams.intake.files.logs.stamps import local, no_such_time, offset_of
from streams.intake.files.logs.years import Turns, first_year
from streams.intake.files.zones import Clock

YearOf = Callable[[Stamp], int]
"""Tells the year of a stamp that says none; it is asked once for each, in their order."""


class InOrder:
    """The year of each line of a file, from that of its first one."""

    def __init__(self, first: int) -> None:
        self.turns = Turns()
        self._first = first

    def __call__(self, stamp: Stamp) -> int:
        return self._first + self.turns.next(stamp.month, stamp.day, seconds_of(stamp))


def nearest(now: datetime) -> YearOf:
    """Return what tells the year of a line that was written just now."""

    def year_of(stamp: Stamp) -> int:
        turns = Turns()
        turns.next(stamp.month, stamp.day, seconds_of(stamp))
        return first_year(turns, now)

    return year_of


class Instants:
    """Turns the times of lines into instants, in their order."""

    def __init__(self, zone: tzinfo, year_of: YearOf) -> None:
        self.year_of = year_of
        self._clock = Clock(zone, strict=False)

    def of(self, when: Stamp | datetime, shown: str) -> datetime:
        """Return the instant in UTC. Raises: BadLine."""
        if isinstance(when, datetime):
            self._clock.saw(when)
            return when
        year = self.year_of(when) if when.year is None else when.year
        try:
            at = local(when, year)
            if when.zone and (offset := offset_of(when.zone)):
                return at.replace(tzinfo=offset).astimezone(UTC)
        except (ValueError, OverflowError):
            raise no_such_time(shown if when.year else f"{shown} in {year}") from None
        try:
            return self._clock.instant(at, when.zone)
        except (ValueError, OverflowError) as error:
            raise BadLine(f"the time cannot be told: {shown}; {error}") from error


def seconds_of(stamp: Stamp) -> int:
    return 3600 * stamp.hour + 60 * stamp.minute + stamp.second
