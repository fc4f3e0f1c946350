"""These ports say what a reader waits for, what an operator sees of the views, and how new records are followed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from projections.rows import Checkpoint, Role, View
from schemas.envelope import Envelope, Position, StreamId, TenantId, Topic

OK = "ok"

DEGRADED = "degraded"
"""What the state of a part begins with that does not do its work, while everything else goes on without it."""

UPDATE = "update this worker to that release"
"""Part of what is said of a view that met a record of a newer release: it goes on when this is done."""


class Progress(Protocol):
    """How far the live views are: what a read with a consistency token waits for.

    Shape: `waits` says that `reached` may wait for another machine, and so must not be asked on the event loop.
    """

    waits: bool

    def reached(self, view: str) -> Sequence[Checkpoint] | None:
        """Return how far the live build of a view has read each topic and partition, None where none is live yet.

        Raises: StoreUnavailable, safe to retry.
        """

    def wait_for(self, views: Sequence[str], position: Position, timeout_s: float) -> bool:
        """Wait until each of the views has read the position; False when the time ran out.

        Shape: a view that does not read the position's topic has nothing to wait for.
        Raises: StoreUnavailable, safe to retry.
        """

    def missing(self, view: str, tenant_id: TenantId, position: Position) -> "DeadLetter | None":
        """Return the letter of a tenant's record that the live build has passed without it: parked, or discarded.

        Raises: StoreUnavailable, safe to retry.
        """


class DeadLetter(NamedTuple):
    """A record that one build of a view could not take, or that follows one that it could not.

    Shape: `view` is the build's table, `devices_v1`. `attempts` is 0 for a record that was never tried because an
    earlier one of its stream is parked.
    """

    view: str
    topic: Topic
    partition: int
    position: int
    tenant_id: TenantId
    stream: StreamId
    type: str
    reason: str
    attempts: int
    parked_at: datetime


State = Literal["live", "waiting", "stopped", "rebuilding"]


class PartitionLag(NamedTuple):
    """How far somebody is behind in one partition of a topic.

    Units: `lag_events` counts records not yet read; `lag_s` is the age in seconds of the oldest of them, 0 where
    nothing is left to read, None where there is one and its age is not known.
    """

    topic: Topic
    partition: int
    lag_events: int
    lag_s: float | None


def sums(lags: Sequence[PartitionLag]) -> tuple[int | None, float | None]:
    """Return how many records are not read, and the age of the oldest of them; None for what is not known."""
    if not lags:
        return None, None
    ages = [lag.lag_s for lag in lags if lag.lag_s is not None]
    return sum(lag.lag_events for lag in lags), max(ages) if len(ages) == len(lags) else None


class ProjectionStatus(NamedTuple):
    """How a projection is doing.

    Shape: `state` is "live", "waiting" (its store or the log does not answer; `error` says why, it goes on by itself),
    "stopped" (it gave up; `error` says why) or "rebuilding". `live` is None where nothing is live yet, or the store
    does not answer. `lags` has every partition of the topics it reads, or none where they cannot be told; `lag_events`
    is their sum and `lag_s` the greatest of them: None, and never 0, while the store or the log does not answer.
    `parked_streams` wait behind a dead letter, `parked_records` counts all that is parked; None where nobody knows.
    """

    name: str
    role: Role
    live: View | None
    builds: Sequence[View]
    state: State
    reached: Sequence[Checkpoint]
    lag_events: int | None
    lag_s: float | None
    lags: Sequence[PartitionLag]
    parked_streams: int | None
    parked_records: int | None
    error: str | None


class WorkerStatus(NamedTuple):
    """How those are doing who read the log, or the queue of commands, for something else than a view.

    Shape: `kind` is what `factline worker` calls them. `running` counts the processes, None where nobody knows; the
    embedded profile has one. `lags` as in ProjectionStatus; a queue of commands has no partitions here.
    """

    kind: str
    running: int | None
    lag_events: int | None
    lag_s: float | None
    lags: Sequence[PartitionLag]
    error: str | None


class Operations(Protocol):
    """What an operator asks of the running system, without changing it."""

    def projections(self) -> Sequence[ProjectionStatus]:
        """Return the status of every projection, in the catalog's order, within two seconds whatever is away."""

    def workers(self) -> Sequence[WorkerStatus]:
        """Return the status of the other workers, within two seconds whatever is away."""

    def dead_letters(
        self, tenant_id: TenantId, *, table: str | None, after: tuple[str, Position] | None, limit: int
    ) -> Sequence[DeadLetter]:
        """Return a tenant's dead letters in (view, topic, partition, position) order, at most `limit`.

        Shape: `table` is of one build (`devices_v1`), None for all; `after` is (view, position) of the last letter
        already seen.
        Raises: StoreUnavailable, safe to retry.
        """

    def health(self) -> Mapping[str, str]:
        """Return each part's name with "ok" or what is wrong with it; only "ok" everywhere is ready to serve.

        Shape: within two seconds whatever is away.
        """


class Feed(Protocol):
    """The newest records of a tenant, as they are written: what live answers are made of."""

    def ends(self, tenant_id: TenantId, about: StreamId | None = None) -> Sequence[Position]:
        """Return the last position of each partition that gets records of the tenant: first that of events.

        Shape: of telemetry, only the partition with what is about the stream `about`, where one is named.
        Raises: StoreUnavailable, safe to retry.
        """

    def since(self, tenant_id: TenantId, after: Position, *, limit: int) -> tuple[Sequence[Envelope], Position]:
        """Return the tenant's own records after a position, and the position up to which all were looked at.

        Shape: the facts of a record come one by one, with its position and their `place` in it. At most about `limit`
        records are looked at, so the answer may be empty and the position still move on.
        Raises: StoreUnavailable, safe to retry.
        """

    def wait(self, after: Sequence[Position], timeout_s: float) -> bool:
        """Wait until the log goes past any of the positions; False when the time ran out.

        Raises: StoreUnavailable, safe to retry.
        """
