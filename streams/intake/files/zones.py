"""A time without an offset is that of a zone, whose clocks skip an hour and repeat one when daylight saving turns."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

_HOUR = timedelta(hours=1)

ABBREVIATIONS: Mapping[str, int] = {
    abbreviation: hours
    for hours, abbreviations in (
        (0, "Z UTC GMT WET"),
        (1, "CET WEST BST"),
        (2, "CEST EET SAST"),
        (3, "EEST MSK"),
        (9, "JST KST"),
        (10, "AEST"),
        (11, "AEDT"),
        (12, "NZST"),
        (13, "NZDT"),
        (-4, "EDT"),
        (-5, "EST CDT"),
        (-6, "CST MDT"),
        (-7, "MST PDT"),
        (-8, "PST"),
    )
    for abbreviation in abbreviations.split()
}
"""Hours before UTC, as far as one meaning is the usual one. Source: RFC 822, and the zones of tzdata."""


class InGap(ValueError):  # noqa: N818
    """The clocks of the zone skipped this time. A retry gives the same answer."""


class Clock:
    """Turns local times into instants, in the order in which they are read.

    Shape: where the clocks repeat an hour, a time is its first pass unless that would be a step back by more than
    `slack`: then it is the second one. `strict` refuses a time that the clocks skipped; else it is taken as a clock
    that was not yet put forward shows it.
    """

    def __init__(self, zone: tzinfo, *, strict: bool, slack: timedelta = timedelta(minutes=5)) -> None:
        self.zone = zone
        self._strict = strict
        self._slack = slack
        self._last: datetime | None = None
        self._falling = False

    def instant(self, local: datetime, abbreviation: str = "") -> datetime:
        """Return the instant in UTC. Raises: InGap; OverflowError; ValueError, the abbreviation is of no known zone."""
        at = self._resolved(local, abbreviation)
        self.saw(at)
        return at

    def saw(self, at: datetime) -> None:
        """Learn of an instant that said its offset itself."""
        if self._last is not None and at != self._last:
            self._falling = at < self._last
        self._last = at

    def _resolved(self, local: datetime, abbreviation: str) -> datetime:
        if self.zone is UTC and not abbreviation:
            return local.replace(tzinfo=UTC)
        first = local.replace(tzinfo=self.zone).astimezone(UTC)
        second = local.replace(tzinfo=self.zone, fold=1).astimezone(UTC)
        if abbreviation:
            for fold, at in ((0, first), (1, second)):
                if local.replace(tzinfo=self.zone, fold=fold).tzname() == abbreviation:
                    return at
            return _abbreviated(local, abbreviation)
        if first == second:
            return first
        if second < first:
            if self._strict:
                raise InGap(f"the clocks of {self.zone} skipped {local.isoformat(' ')}")
            return first
        return second if self._is_second_pass(first, second) else first

    def _is_second_pass(self, first: datetime, second: datetime) -> bool:
        if self._last is None:
            return False
        if self._falling and self._strict:
            # a file that begins with its newest row
            return second < self._last
        if self._strict:
            return first <= self._last
        return first < self._last - self._slack


def _abbreviated(local: datetime, abbreviation: str) -> datetime:
    if abbreviation not in ABBREVIATIONS:
        raise ValueError(f"the zone {abbreviation} is not known")
    return local.replace(tzinfo=timezone(ABBREVIATIONS[abbreviation] * _HOUR)).astimezone(UTC)


def zone_of(name: str) -> tzinfo:
    """Return a zone by its IANA name. Raises: KeyError, ValueError or OSError, there is none of this name."""
    return UTC if name.upper() in {"UTC", "Z"} else ZoneInfo(name)
