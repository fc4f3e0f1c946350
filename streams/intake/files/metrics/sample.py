"""A file of readings says these things of each of them, whatever its format."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

from streams.intake.files.logs.fields import moment_of
from streams.intake.files.logs.line import BadLine, Stamp
from streams.intake.files.logs.stamps import local
from streams.intake.files.text import SourceRow
from streams.intake.files.zones import Clock, InGap

_PLAIN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}", re.ASCII)


class Sample(NamedTuple):
    """One reading and the row that says it."""

    device_id: str
    metric: str
    at: datetime
    value: float
    unit: str
    row: SourceRow


@dataclass(frozen=True)
class How:
    """How files of readings are read: what the caller said, else what is usual.

    Shape: "" and () where the caller said nothing. `values` are columns, `metrics` what they are called, in the same
    order. `units` is by metric; its item "" is the unit of all others.
    """

    device_id: str = ""
    metrics: tuple[str, ...] = ()
    units: dict[str, str] = field(default_factory=dict)
    zone: tzinfo = UTC
    time_unit: str = "auto"
    time: str = ""
    values: tuple[str, ...] = ()
    long: bool = False

    def unit(self, metric: str) -> str:
        return self.units.get(metric, self.units.get("", ""))


class BadReading(ValueError):  # noqa: N818
    """The reading is not taken; the message says why, after the kind. A retry gives the same answer."""


class Instants:
    """Turns the times of readings into instants: for each series in its own order, for an hour that comes twice."""

    def __init__(self, how: How) -> None:
        self._zone = how.zone
        self._unit = how.time_unit
        self._clocks: dict[tuple[str, ...], Clock] = {}

    def of(self, column: str, text: str, *series: str) -> datetime:
        """Return the instant of a cell. Raises: BadReading, it says none; one that the zone's clocks skipped."""
        clock = self._clocks.get(series)
        if clock is None:
            clock = self._clocks[series] = Clock(self._zone, strict=True)
        if (plain := _plain(text)) is not None:
            return self._told(column, text, plain, "", clock)
        try:
            when = moment_of(text, self._unit)
        except BadLine as error:
            raise BadReading(f"{column} is not an instant: {error}") from error
        if isinstance(when, Stamp):
            return self._local(column, text, when, clock)
        clock.saw(when)
        return when

    def _local(self, column: str, text: str, when: Stamp, clock: Clock) -> datetime:
        if when.year is None:
            raise BadReading(f"{column} does not say its year: {text!r}; write it like 2026-01-31 08:30:00")
        try:
            at = local(when, when.year)
        except (ValueError, OverflowError) as error:
            raise BadReading(f"{column} is a time that does not exist: {text!r}; {error}") from error
        return self._told(column, text, at, when.zone, clock)

    @staticmethod
    def _told(column: str, text: str, at: datetime, zone: str, clock: Clock) -> datetime:
        try:
            return clock.instant(at, zone)
        except (ValueError, OverflowError) as error:
            hint = "; name the zone of the file with --timezone" if isinstance(error, InGap) else ""
            raise BadReading(f"{column} is a time that does not exist: {text!r}; {error}{hint}") from error


def _plain(text: str) -> datetime | None:
    """Return a time like 2026-01-31 08:30:00 at the speed of C; None for all others, which are read by their forms."""
    # marks and digits alone: where a second is left out, an offset may be as long as it
    try:
        return datetime.fromisoformat(text) if _PLAIN.fullmatch(text) else None
    except ValueError:
        return None
