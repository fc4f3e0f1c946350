"""This reads what the log holds of a time that was looked at before."""

from collections.abc import Iterator
from datetime import datetime

from schemas.envelope import Envelope, Topic
from streams.ports import LogReader

READ_ENTRIES = 5_000


def facts_since(log: LogReader, partition: int, since: datetime, end: int) -> Iterator[Envelope]:
    """Yield the facts up to the position `end` that were recorded since an instant. Raises: LogUnavailable."""
    after = _before(log, partition, since, end)
    while after < end:
        entries = log.read(Topic.TELEMETRY, partition, after=after, limit=READ_ENTRIES)
        if not entries:
            return
        yield from (entry for entry in entries if isinstance(entry, Envelope) and entry.position <= end)
        after = entries[-1].position


def _before(log: LogReader, partition: int, since: datetime, end: int) -> int:
    """Return a position after which everything comes that was recorded since an instant, by halving what there is."""
    low, high = 0, end
    while low < high:
        middle = (low + high) // 2
        entries = log.read(Topic.TELEMETRY, partition, after=middle, limit=1)
        first = next((entry for entry in entries if isinstance(entry, Envelope)), None)
        if first is None or first.recorded_at >= since:
            high = middle
        else:
            low = middle + 1
    return low
