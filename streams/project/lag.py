"""Lag is what the log has and the checkpoints of a view have not."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from projections.operations import PartitionLag, ProjectionStatus, State
from projections.projection import Projection
from projections.rows import Checkpoint, View
from schemas.envelope import Topic
from streams.ports import LogReader

Ends = Mapping[tuple[Topic, int], int]


def ends_of(log: LogReader) -> Ends:
    """Return where each partition of the log ends. Raises: LogUnavailable, safe to retry."""
    return {(topic, partition): end for topic in Topic for partition, end in enumerate(log.ends(topic))}


def lags(reached: Sequence[Checkpoint], ends: Ends, topics: Sequence[Topic], now: datetime) -> Sequence[PartitionLag]:
    at = {(checkpoint.topic, checkpoint.partition): checkpoint for checkpoint in reached}
    return [_lag(place, end, at.get(place), now) for place, end in ends.items() if place[0] in topics]


def _lag(place: tuple[Topic, int], end: int, reached: Checkpoint | None, now: datetime) -> PartitionLag:
    behind = max(0, end - (reached.position if reached else 0))
    age_s = max(0.0, (now - reached.recorded_at).total_seconds()) if behind and reached else 0.0
    return PartitionLag(*place, behind, age_s)


def status_of(
    projection: Projection,
    live: View | None,
    builds: Sequence[View],
    *,
    reached: Sequence[Checkpoint],
    ends: Ends,
    now: datetime,
    state: State,
    parked_streams: int = 0,
    error: str | None = None,
) -> ProjectionStatus:
    behind = lags(reached, ends, projection.topics, now)
    return ProjectionStatus(
        name=projection.name,
        role=projection.role,
        live=live,
        builds=builds,
        state=state,
        reached=reached,
        lag_events=sum(lag.lag_events for lag in behind),
        lag_s=max((lag.lag_s for lag in behind), default=0.0),
        lags=behind,
        parked_streams=parked_streams,
        error=error,
    )
