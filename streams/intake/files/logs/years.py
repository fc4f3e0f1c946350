"""Log lines often leave out their year; it is worked out from the order of the lines and from the file's time."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

AHEAD = timedelta(hours=26)
"""How far in the future a line may be: a clock that is wrong by a zone, and some minutes."""

_LATE_DAYS = 45
"""A line that is this much earlier than the newest one came late; one that is earlier still is of the next year."""

_LATE_DAYS_OVER_NEW_YEAR = 7
"""The same for a line of December after one of January: more than that is a device that was quiet for long."""

_DAYS = 31 * 12
_OLDEST_FILE = datetime(2000, 1, 1, tzinfo=UTC)
"""A file's own time before this was never that of its writing."""


class Moment(NamedTuple):
    """Of the newest line. Units: `second` counts from midnight."""

    turn: int
    month: int
    day: int
    second: int


class Turns:
    """Counts the turns of the year while the lines are read in order: `next` gives 0 in the year of the first line.

    Shape: what counts is the step from the newest line so far. Forward is the same year, however far; back by days is
    a line that came late; back by months is a new year.
    """

    def __init__(self) -> None:
        self.newest: Moment | None = None
        self.leap_turns: set[int] = set()
        self.late = 0

    def next(self, month: int, day: int, second: int = 0) -> int:
        found = Moment(self._turn(month, day), month, day, second)
        if self.newest is None or found > self.newest:
            self.newest = found
        if (month, day) == (2, 29):
            self.leap_turns.add(found.turn)
        return found.turn

    def _turn(self, month: int, day: int) -> int:
        if self.newest is None:
            return 0
        step = 31 * (month - self.newest.month) + day - self.newest.day
        if step >= _DAYS - _LATE_DAYS_OVER_NEW_YEAR:
            self.late += 1
            return self.newest.turn - 1
        if step < -_LATE_DAYS:
            return self.newest.turn + 1
        self.late += step < 0
        return self.newest.turn


def near(now: datetime, modified: datetime) -> datetime:
    """Return the time that a file's newest line should be near to: that of its last writing, where it says one."""
    return min(now, modified) if modified >= _OLDEST_FILE else now


def first_year(turns: Turns, latest: datetime) -> int:
    """Return the year of the first line: the latest with which the newest line is not past `latest` by more than AHEAD.

    Shape: a year in which all leap days exist that the lines name, as far as there is one in nine years.
    """
    if turns.newest is None:
        return latest.year
    limit = (latest + AHEAD).replace(tzinfo=None)
    newest = turns.newest
    possible = [year for year in range(latest.year + 1, latest.year - 10, -1) if _begins(year, newest) <= limit]
    for year in possible:
        first = year - newest.turn
        if all(_is_leap(first + turn) for turn in turns.leap_turns):
            return first
    return possible[0] - newest.turn


def _begins(year: int, of: Moment) -> datetime:
    # a day that the year has not is left to the line that names it
    return datetime(year, of.month, 1) + timedelta(days=of.day - 1, seconds=of.second)  # noqa: DTZ001 - the zone is within AHEAD


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
