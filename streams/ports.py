"""These ports are what the log and the other keepers of events promise, with the values that pass between them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple, Protocol

from domain.message import Command, Fact
from domain.rejection import Kind
from projections.operations import DeadLetter
from projections.stores import ViewWriter
from schemas.envelope import Actor, Entry, Envelope, Position, StreamId, StreamKey, TenantId, Topic


class LogUnavailable(Exception):  # noqa: N818
    """The log did not take or give the records; nothing of this batch was kept. Retry, under the same ids."""


class LogFull(LogUnavailable):
    """The disk under the log is full; free some space, then retry under the same ids."""


class OutcomeUnknown(LogUnavailable):
    """The connection was lost during a commit: ask again with the same command id, never with a new one."""


class Overloaded(Exception):  # noqa: N818
    """The queue in front of the writer is full; retry after `retry_after_s` seconds."""

    def __init__(self, retry_after_s: int = 1) -> None:
        super().__init__("the queue is full")
        self.retry_after_s = retry_after_s


class LogDamaged(Exception):  # noqa: N818
    """A part of the log cannot be read, is missing or belongs to another log; a retry gives the same answer.

    The message says what to do: restore a backup, or put the right file back.
    """


class LogIdentity(NamedTuple):
    """Which log something belongs to.

    Shape: `id` is a UUID that is made once with the log; `epoch` counts from 1 and grows by one with every restore,
    because what was recorded after the backup's moment is not in the restored log.
    """

    id: str
    epoch: int

    def __str__(self) -> str:
        return f"{self.id}/{self.epoch}"


CommandKey = tuple[TenantId, Actor, str]
"""What tells commands apart: whose, who sent it, and the id that the sender gave it."""


class Submission(NamedTuple):
    """A command on its way to its writer.

    Shape: `command_id` is the sender's idempotency key, unique for the tenant's actor; `expected_version` is the
    version that the sender last saw of the stream, 0 for one that must not exist, None for any. `command_hash` is the
    fingerprint that tells another command under the same key, b"" where the id follows from what is asked.
    `causation_id` None means that nothing but the request itself led to the command. What the writer comes to after
    its `deadline` is refused, and so is, where it is for the sender's `own` things only, what is about another's.
    """

    command_id: str
    tenant_id: TenantId
    name: str
    command: Command
    actor: Actor
    happened_at: datetime | None = None
    expected_version: int | None = None
    correlation_id: str | None = None
    traceparent: str | None = None
    command_hash: bytes = b""
    causation_id: str | None = None
    deadline: datetime | None = None
    own: bool = False

    @property
    def key(self) -> CommandKey:
        return (self.tenant_id, self.actor, self.command_id)


class Recorded(NamedTuple):
    """One event of a reply."""

    type: str
    version: int
    event_id: str


class Refusal(NamedTuple):
    kind: Kind
    reason: str
    actual_version: int | None = None


class Reply(NamedTuple):
    """What a caller is told, once it is durable.

    Shape: an accepted command that changed nothing has no events and the version the stream already had; `position` is
    None then, and for a refusal. `repeated` says that the id was answered before and this is that first answer.
    """

    command_id: str
    outcome: Literal["accepted", "refused"]
    stream: StreamId
    version: int
    events: tuple[Recorded, ...] = ()
    position: Position | None = None
    repeated: bool = False
    refusal: Refusal | None = None


class Answered(NamedTuple):
    """What was answered to a command, and the fingerprint it had then, b"" where that is not known."""

    command_hash: bytes
    reply: Reply


class Mark(NamedTuple):
    """The answer to a command that has no events, for the log to keep; `recorded_at` is when it was given."""

    key: CommandKey
    answered: Answered
    recorded_at: datetime


class Batch(NamedTuple):
    """What the writer makes durable at once, all of it or nothing."""

    events: Sequence[Envelope]
    replies: Sequence[Reply]
    marks: Sequence[Mark] = ()


class Due(NamedTuple):
    """What a process's stream waits for.

    Shape: a timer by its name, with when it is due; or a command that was asked and is not decided yet, by its id, with
    None: it is due at once.
    """

    tenant_id: TenantId
    stream: StreamId
    name: str
    due_at: datetime | None


CALLER_WAITS_S = 15.0
"""How long a caller waits for an answer: longer than a writer's partition needs to get another owner."""

MARK_DAYS = 7
"""How long the answer to a command without events is known."""


class LogReader(Protocol):
    """Reads both topics of the log, from any place."""

    @property
    def partitions(self) -> int:
        """Return the number of partitions, fixed when the log was made."""

    def end(self, topic: Topic, partition: int) -> int:
        """Return the position of the last record, 0 for an empty partition.

        Raises: LogUnavailable, safe to retry.
        """

    def ends(self, topic: Topic) -> Sequence[int]:
        """Return `end` of each partition of a topic, asked for at once.

        Raises: LogUnavailable, safe to retry.
        """

    def read(self, topic: Topic, partition: int, *, after: int, limit: int) -> Sequence[Entry]:
        """Return the records that follow position `after`, in order.

        Shape: about `limit` events or facts, in whole records; () at the end. A record of facts is one entry, which
        holds all that a request says of a stream. Positions grow, those of facts not by one. A record that cannot be
        decoded comes as Undecodable, in its place.
        Raises: LogUnavailable, safe to retry.
        """

    def wait(self, ends: Mapping[tuple[Topic, int], int], timeout_s: float) -> bool:
        """Wait until any of the partitions ends past the position given for it; False when the time ran out."""

    def read_stream(self, tenant_id: TenantId, stream: StreamId, *, after: int, limit: int) -> Sequence[Entry]:
        """Return a stream's events with a version greater than `after`, in order; an unknown stream gives ().

        Raises: LogUnavailable, safe to retry.
        """

    def tenants(self, partition: int) -> Sequence[TenantId]:
        """Return the tenants that have an event in the partition, in order.

        Raises: LogUnavailable, safe to retry.
        """


class EventLog(LogReader, Protocol):
    """The log as its one writer sees it: what it reads is what it appended."""

    def append(self, batch: Batch) -> None:
        """Make a batch durable: when this returns, it survives `kill -9` and power loss.

        Shape: events in position order, continuing each partition's end without a hole, and each stream's version.
        Raises: LogUnavailable, nothing was kept; OutcomeUnknown, ask `find_commands`.
        """

    def read_streams(self, keys: Collection[StreamKey]) -> Mapping[StreamKey, Sequence[Entry]]:
        """Return the whole history of each stream; a stream without events is left out.

        Raises: LogUnavailable, safe to retry.
        """

    def find_commands(self, keys: Collection[CommandKey]) -> Mapping[CommandKey, Answered]:
        """Return what each command was answered, for those that are known: they have events, or a mark.

        Shape: events are known for ever; a mark for MARK_DAYS where the log keeps marks, not at all where it does not.
        Raises: LogUnavailable, safe to retry.
        """

    def due(self, now: datetime, limit: int) -> Sequence[Due]:
        """Return what processes wait for that is due now, of each partition the oldest commands and timers first.

        Shape: at most `limit` of commands and of timers of a partition; the events that were appended say what is
        waited for, and what is done.
        Raises: LogUnavailable, safe to retry.
        """

    def next_due(self) -> datetime | None:
        """Return when the next is due, datetime.min in UTC for at once, None where nothing waits; from memory.

        Shape: any thread may ask.
        """


class FactSubmission(NamedTuple):
    """One observation, of a device or of another stream of the fact's category.

    Shape: `device_id` is the stream's id in that category. `fact_id` is the sender's own; without one a log line is
    known by its request and its place there, and a reading is always known by stream, metric and instant.
    """

    device_id: str
    happened_at: datetime
    fact: Fact
    fact_id: str | None = None


class TelemetryReply(NamedTuple):
    """Shape: `repeated` counts facts that the request says twice, and those of records that the log already had, where
    the log knows them (Kafka does not). `positions` are where the facts are, one for each partition that has some.
    """

    accepted: int
    repeated: int
    positions: tuple[Position, ...] = ()


class TelemetryLog(Protocol):
    """Takes facts in batches."""

    def append_facts(
        self, tenant_id: TenantId, facts: Sequence[FactSubmission], actor: Actor, key: str = ""
    ) -> TelemetryReply:
        """Make the facts of a request durable, in a record for each stream; `key` is the request's own, if it has one.

        Shape: the same facts under the same key have records with the same ids. Of two readings of one stream, metric
        and instant the one that was recorded last counts.
        Raises: LogUnavailable, safe to retry with the same facts.
        """


class Parked(NamedTuple):
    """Shape: `streams` of decided events wait behind a letter; `records` counts all letters, of facts too."""

    streams: int
    records: int


NOTHING_PARKED = Parked(0, 0)


class DeadLetters(Protocol):
    """Keeps what could not go into the table of a view: the poison record and what follows it in its stream."""

    def park(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters, once for each (view, topic, partition, position); one parked again adds its attempts.

        Shape: a letter's `view` is the table, `devices_v1`.
        Raises: StoreUnavailable, safe to retry.
        """

    def parked_streams(self, table: str) -> frozenset[StreamKey]:
        """Return the streams of decided events that have a letter of this table.

        Raises: StoreUnavailable, safe to retry.
        """

    def parked(self) -> Mapping[str, Parked]:
        """Return how much is parked of each table that has a letter, in one question however many tables there are.

        Raises: StoreUnavailable, safe to retry.
        """

    def letters(self, table: str) -> Iterator[DeadLetter]:
        """Yield a table's letters in (topic, partition, position) order, all that are there when it begins.

        Shape: letters may be removed while it goes on.
        Raises: StoreUnavailable, start again.
        """

    def page(
        self, tenant_id: TenantId, *, table: str | None, after: tuple[str, Position] | None, limit: int
    ) -> Sequence[DeadLetter]:
        """Return a tenant's letters in (view, topic, partition, position) order, at most `limit`.

        Raises: StoreUnavailable, safe to retry.
        """

    def remove(self, letters: Sequence[DeadLetter]) -> None:
        """Forget letters: they were taken after all, or discarded. A letter that is not there is no error.

        Raises: StoreUnavailable, safe to retry.
        """


class Stores(NamedTuple):
    """What a role keeps: its views, and what they could not take."""

    views: ViewWriter
    dead_letters: DeadLetters


class WorkerGroup(NamedTuple):
    """The workers of one kind who keep no view, as the broker knows them.

    Shape: `kind` is what `factline worker` calls them, `running` how many processes there are. `read` says up to which
    position of the log they are, by topic and partition; `waiting` counts the commands that are not decided yet, None
    for those who read the log.
    """

    kind: str
    running: int
    read: Mapping[tuple[Topic, int], int]
    waiting: int | None


class WatchState(NamedTuple):
    """Something that correlation remembers of a partition: `value` None means that it is forgotten."""

    key: str
    position: int
    value: bytes | None


class WatchStates(Protocol):
    """Keeps what correlation knows, so that it goes on after a restart where it was."""

    def load(self, partition: int) -> Sequence[WatchState]:
        """Return everything that is remembered of a partition.

        Raises: StoreUnavailable, safe to retry.
        """

    def keep(self, partition: int, states: Sequence[WatchState]) -> None:
        """Keep states in their order: one is there only if those before it are; after a return all survive `kill -9`.

        Shape: a state of a lesser position than what is kept under its key changes nothing.
        Raises: StoreUnavailable, safe to retry with the same or newer states.
        """


class AnomalyScorer(Protocol):
    """Learns what is usual for one metric of one device."""

    def beyond(self, value: float, at: datetime) -> float | None:
        """Return the bound that a reading is beyond if it is unusual at that instant, else None; then learn it.

        Shape: the same readings in the same order give the same answers, also after `dump`.
        """

    def dump(self) -> bytes:
        """Return what was learned."""


NewScorer = Callable[[float, bytes | None], AnomalyScorer]
"""Makes what learns a metric, from a watch's quantile and what was learned before."""


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the current instant, UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)
