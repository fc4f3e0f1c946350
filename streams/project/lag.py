"""Lag is what the log has and the checkpoints of a view have not."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from projections.operations import PartitionLag, ProjectionStatus, State, sums
from projections.projection import Projection
from projections.rows import Checkpoint, View
from schemas.envelope import Envelope, Position, Topic
from streams.ports import LogReader, LogUnavailable

Ends = Mapping[tuple[Topic, int], int]

RecordedAt = Callable[[Position], datetime | None]
"""Says when the record at a place was recorded, None where that is not known."""

_REMEMBERED = 10_000


def ends_of(log: LogReader) -> Ends:
    """Return where each partition of the log ends. Raises: LogUnavailable, safe to retry."""
    return {(topic, partition): end for topic in Topic for partition, end in enumerate(log.ends(topic))}


def positions_of(reached: Iterable[Checkpoint]) -> Mapping[tuple[Topic, int], int]:
    """Return the position up to which each partition was read; one of which nothing was read is left out."""
    return {(at.topic, at.partition): at.position for at in reached}


def places(reached: Iterable[Checkpoint], ends: Ends, topics: Sequence[Topic]) -> Sequence[Position]:
    """Return how far each partition was read, also those of which nothing was."""
    at = positions_of(reached)
    return [Position(*place, at.get(place, 0)) for place in ends if place[0] in topics]


def lags_of(
    read: Mapping[tuple[Topic, int], int], ends: Ends, now: datetime, recorded_at: RecordedAt
) -> Sequence[PartitionLag]:
    """Return how far somebody is behind in each partition that the log has."""
    return [_lag(place, end, read.get(place, 0), now, recorded_at) for place, end in ends.items()]


def _lag(place: tuple[Topic, int], end: int, read: int, now: datetime, recorded_at: RecordedAt) -> PartitionLag:
    if end <= read:
        return PartitionLag(*place, 0, 0.0)
    oldest = recorded_at(Position(*place, read + 1))
    return PartitionLag(*place, end - read, None if oldest is None else max(0.0, (now - oldest).total_seconds()))


def status_of(
    projection: Projection,
    live: View | None,
    builds: Sequence[View],
    *,
    reached: Sequence[Checkpoint] | None,
    ends: Ends,
    now: datetime,
    recorded_at: RecordedAt,
    state: State,
    parked: tuple[int, int] | None,
    error: str | None = None,
) -> ProjectionStatus:
    """Shape: `reached` is None where the store does not say, `ends` has nothing where the log does not.

    `parked` counts streams and records, None where the store does not say.
    """
    own = {place: end for place, end in ends.items() if place[0] in projection.topics}
    read = {(at.topic, at.partition): at for at in reached or ()}

    def at_most(place: Position) -> datetime | None:
        # what is not known is not older than what was read last
        last = read.get(place[:2])
        return recorded_at(place) or (last.recorded_at if last else None)

    behind = [] if reached is None else lags_of({place: at.position for place, at in read.items()}, own, now, at_most)
    lag_events, lag_s = sums(behind)
    return ProjectionStatus(
        name=projection.name,
        role=projection.role,
        live=live,
        builds=builds,
        state=state,
        reached=reached or (),
        lag_events=lag_events,
        lag_s=lag_s,
        lags=behind,
        parked_streams=parked[0] if parked else None,
        parked_records=parked[1] if parked else None,
        error=error,
    )


class Oldest:
    """Knows when the oldest unread records were recorded; a record never changes, so each is read once."""

    def __init__(self, log: LogReader) -> None:
        self._log = log
        self._known: dict[Position, datetime] = {}

    def recorded_at(self, place: Position) -> datetime | None:
        """Return what is known, without asking the log."""
        return self._known.get(place)

    def learn(self, reached: Iterable[Position], ends: Ends, within_s: float) -> None:
        """Read what comes after these places, as many as the time allows."""
        deadline = time.monotonic() + within_s
        for place in sorted({place for place in reached if ends.get(place[:2], 0) > place.position}):
            unread = place._replace(position=place.position + 1)
            if unread in self._known:
                continue
            if time.monotonic() > deadline:
                return
            try:
                found = self._log.read(*place[:2], after=place.position, limit=1)
            except LogUnavailable:
                return
            while len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            # records are recorded in order: one that comes later is not older
            if found and isinstance(found[0], Envelope):
                self._known[unread] = found[0].recorded_at
