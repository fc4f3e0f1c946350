"""This reads any part of a tenant's history from any log."""

from collections.abc import Iterator
from datetime import UTC, datetime
from heapq import merge
from typing import NamedTuple

from schemas.envelope import Entry, Envelope, StreamId, TenantId, Topic
from schemas.partitioning import partition_of
from streams.ports import LogReader

_AT_ONCE = 5_000
_NEVER = datetime(1, 1, 1, tzinfo=UTC)


class Selection(NamedTuple):
    """What of a tenant's history is wanted. Shape: None and () mean all. Units: `since` <= recorded_at < `until`."""

    tenant_id: TenantId
    stream: StreamId | None = None
    since: datetime | None = None
    until: datetime | None = None
    types: frozenset[str] = frozenset()

    def holds(self, entry: Entry) -> bool:
        """Tell if an entry is wanted; of one that cannot be read, the time is not known, and it is."""
        if entry.tenant_id != self.tenant_id or (self.stream is not None and entry.stream != self.stream):
            return False
        if self.types and entry.type not in self.types:
            return False
        if not isinstance(entry, Envelope):
            return True
        return (self.since is None or entry.recorded_at >= self.since) and (
            self.until is None or entry.recorded_at < self.until
        )


def replay(log: LogReader, selection: Selection) -> Iterator[Entry]:
    """Yield events and facts in the order they were recorded, to where the log ends at the beginning.

    Shape: those of one partition of a topic in position order.
    Raises: LogUnavailable, start again.
    """
    home = partition_of(selection.tenant_id, log.partitions)
    topics = [
        _timed(log, Topic.EVENTS, home, log.end(Topic.EVENTS, home)),
        # a tenant's facts are in all partitions
        *(_timed(log, Topic.TELEMETRY, *place) for place in enumerate(log.ends(Topic.TELEMETRY))),
    ]
    for _, _, entry in merge(*topics, key=lambda timed: timed[:2]):
        if selection.holds(entry):
            yield entry


def _timed(log: LogReader, topic: Topic, partition: int, end: int) -> Iterator[tuple[datetime, str, Entry]]:
    """Yield a topic's entries with the time that puts them in order; it never goes back within a partition."""
    position, at = 0, _NEVER
    while position < end and (entries := log.read(topic, partition, after=position, limit=_AT_ONCE)):
        for entry in entries:
            if isinstance(entry, Envelope):
                at = max(at, entry.recorded_at)
            yield at, topic.value, entry
        position = entries[-1].position
