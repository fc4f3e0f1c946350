"""This says when a schedule is due next, in its own time zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

# the library takes a sixth, for seconds
_FIELDS = 5


def next_cron(expression: str, zone: str, after: datetime) -> datetime | None:
    """Return the first instant after another one that a cron expression names, None if it never comes.

    Shape: five fields, as `crontab` has them. What falls into the hour that spring leaves out comes when it is over; of
    the hour that autumn has twice a job of fixed hours takes the first, one of every hour or minute both.
    Units: UTC, in whole minutes.
    Raises: ValueError, the expression is not understood.
    Source: Debian's cron, by the library cronsim.
    """
    try:
        found = next(_parsed(expression, after.astimezone(ZoneInfo(zone))), None)
    except CronSimError as error:
        raise ValueError(
            f"cron {expression!r} is not understood ({error}); it has five fields, like 30 2 * * 1-5"
        ) from None
    return None if found is None else found.astimezone(UTC)


def _parsed(expression: str, local: datetime) -> CronSim:
    if len(expression.split()) != _FIELDS:
        raise CronSimError("Bad number of fields")
    return CronSim(expression, local)


def next_beat(began: datetime, every: timedelta, after: datetime) -> datetime:
    """Return the first instant after another one that is a multiple of `every` from the beginning. Units: UTC."""
    return began + every * max(1, (after - began) // every + 1)
