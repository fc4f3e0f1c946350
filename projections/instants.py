"""Columns, and stores whose own type is too coarse, hold an instant as microseconds since the Unix epoch."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

DAY = 86_400_000_000

NO_DAY = -(1 << 22)
"""The day of rows that lack it, which no writer of ours wrote."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def stretches(days: Collection[int]) -> Sequence[tuple[int, int]]:
    """Return from when to when these days since 1970 go, those that follow each other together; NO_DAY is left out."""
    found: list[tuple[int, int]] = []
    for day in sorted(days):
        if day == NO_DAY:
            continue
        start = day * DAY
        first = found.pop()[0] if found and found[-1][1] == start else start
        found.append((first, start + DAY))
    return found


def from_microseconds(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND
