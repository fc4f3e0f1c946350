"""This reads what the log holds of a time that was looked at before."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice

from domain.fleet.definitions import Defined
from schemas.envelope import Envelope, TenantId, Topic
from streams.ports import LogReader

READ_ENTRIES = 5_000

PART_RECORDS = 50_000
"""Records of the past that are read at once: a worker that does one thing for too long is taken for dead."""


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


class LookBack:
    """Watches that are still to be shown what was recorded before them, one after the other, in bounded parts."""

    def __init__(self) -> None:
        self._waiting: list[tuple[TenantId, Defined]] = []
        self._past: Iterator[Envelope] | None = None

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, tenant_id: TenantId, defined: Defined) -> None:
        self._waiting.append((tenant_id, defined))

    def first(self) -> tuple[TenantId, Defined]:
        return self._waiting[0]

    def drop(self) -> None:
        """Go on to the next watch: the first one was changed or removed meanwhile."""
        self._waiting.pop(0)
        self._past = None

    def part(self, log: LogReader, partition: int, end: int) -> Sequence[Envelope]:
        """Return what is next for the first watch, up to the position `end`; the last part drops it.

        Raises: LogUnavailable, it is begun anew then: what a watch was shown already is not shown to it again.
        """
        _, defined = self._waiting[0]
        past, self._past = self._past or facts_since(log, partition, defined.since, end), None
        records = list(islice(past, PART_RECORDS))
        if len(records) == PART_RECORDS:
            self._past = past
        else:
            self._waiting.pop(0)
        return records
