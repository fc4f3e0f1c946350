"""How far a view is behind the log: its checkpoints against the log's ends."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from projections.operations import PartitionLag
from projections.rows import Checkpoint
from schemas.envelope import Topic
from streams.ports import LogReader

Ends = Mapping[tuple[Topic, int], int]


def ends_of(log: LogReader) -> Ends:
    """Return where each partition of the log ends. Raises: LogUnavailable, safe to retry."""
    return {(topic, partition): log.end(topic, partition) for topic in Topic for partition in range(log.partitions)}


def lags(reached: Sequence[Checkpoint], ends: Ends, topics: Sequence[Topic], now: datetime) -> Sequence[PartitionLag]:
    at = {(checkpoint.topic, checkpoint.partition): checkpoint for checkpoint in reached}
    return [_lag(place, end, at.get(place), now) for place, end in ends.items() if place[0] in topics]


def _lag(place: tuple[Topic, int], end: int, reached: Checkpoint | None, now: datetime) -> PartitionLag:
    behind = max(0, end - (reached.position if reached else 0))
    age_s = max(0.0, (now - reached.recorded_at).total_seconds()) if behind and reached else 0.0
    return PartitionLag(*place, behind, age_s)


def total(lags: Sequence[PartitionLag]) -> tuple[int, float]:
    """Return all records not read, and the greatest age."""
    return sum(lag.lag_events for lag in lags), max((lag.lag_s for lag in lags), default=0.0)
