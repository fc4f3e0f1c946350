"""One batch is decided in a draft, command by command; what one of them breaks is its own."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from domain import catalog
from domain.given import Given
from domain.identity.tenant import admit
from domain.message import Command, Decider, Event
from domain.rejection import CommandRejected, Kind, not_now
from schemas.envelope import Actor, Envelope, StreamId, StreamKey, TenantId, Topic
from schemas.partitioning import partition_of
from schemas.payload import encoded
from streams.identifiers import new_id
from streams.ports import Answered, CommandKey, EventLog, Mark, Refusal, Reply, Submission
from streams.write.answers import accepted, again, is_final
from streams.write.states import StreamState

_LOG = logging.getLogger(__name__)

_LOOK_BACK = 100  # events at the end of a partition, in case the last ones cannot be read


class Known(NamedTuple):
    """What is known of the commands and the streams of a batch, and when partitions had their last events."""

    answered: MutableMapping[CommandKey, Answered]
    states: MutableMapping[StreamKey, StreamState]
    recorded_at: MutableMapping[int, datetime]


class Origin(NamedTuple):
    """Where events come from: what all of one command have in their envelopes."""

    tenant_id: TenantId
    actor: Actor
    command_id: str
    correlation_id: str
    causation_id: str
    happened_at: datetime | None = None
    traceparent: str | None = None
    command_hash: bytes = b""


class Heard(NamedTuple):
    """An event that some process listens to, and the command that gave it."""

    envelope: Envelope
    event: Event
    command: Command


class Draft:
    """One batch being decided: its effects are in here until the log has them.

    Shape: what is known before the batch is filled further, by `load`; `heard` are the events of the types `listened`
    to, in their order, for whoever takes them out.
    """

    def __init__(
        self,
        known: Known,
        log: EventLog,
        now: datetime,
        *,
        listened: Collection[type[Event]],
        load: Callable[[Collection[StreamKey]], Mapping[StreamKey, StreamState]],
    ) -> None:
        self._answered, self._states, self._recorded_at = known
        self.events: list[Envelope] = []
        self.marks: list[Mark] = []
        self.heard: list[Heard] = []
        self.now = now
        self._log = log
        self._listened = listened
        self._load = load
        self._ends: dict[int, int] = {}

    def answer(self, submission: Submission) -> Reply:
        """Return the first answer to a command that is known, else decide it. Raises: LogUnavailable; LogDamaged."""
        key = submission.key
        if first := self._answered.get(key):
            return again(submission, first)
        if submission.deadline is not None and submission.deadline < self.now:
            reason = f"the deadline was over at {submission.deadline.isoformat()}; nothing was done"
            return _refused(submission, Refusal(Kind.EXPIRED, reason))
        reply = self.decide(submission)
        # a tenant that is not known keeps nothing: what is refused before it is registered may be sent again
        if is_final(reply) and (reply.events or self.state(*tenant_key(submission.tenant_id)).version):
            answered = self._answered[key] = Answered(submission.command_hash, reply)
            if not reply.events:
                self.marks.append(Mark(key, answered, self.now))
        return reply

    def decide(self, submission: Submission) -> Reply:
        """Decide a command, whatever was answered before. Raises: LogUnavailable; LogDamaged."""
        stream = submission.command.stream
        current = self.state(submission.tenant_id, stream)
        refusal = self._refusal(submission, current)
        if refusal is None:
            try:
                decider = catalog.decider_of(type(submission.command))
                given = self._given(decider, submission, current)
                events = decider.decide(submission.command, current.state, given)
                state = current.state
                for event in events:
                    state = decider.evolve(state, catalog.as_recorded(event))
                payloads = [checked_payload(event) for event in events]
            except CommandRejected as rejected:
                refusal = Refusal(rejected.kind, rejected.reason)
            except Exception:  # noqa: BLE001 - one command that breaks a rule's code must not stop everyone else's
                return self._failed(submission)
        if refusal is not None:
            return _refused(submission, refusal, current.version)
        if not events:
            return Reply(submission.command_id, "accepted", stream, current.version)
        made_by = current.made_by or submission.actor
        after = StreamState(current.version + len(events), state, made_by)
        envelopes = self.record(_origin(submission), stream, events, payloads, after)
        for envelope, event in zip(envelopes, events, strict=True):
            if type(event) in self._listened:
                self.heard.append(Heard(envelope, event, submission.command))
        return accepted(submission.command_id, envelopes)

    def _failed(self, submission: Submission) -> Reply:
        _LOG.exception("deciding %s %s failed", submission.name, submission.command_id)
        refusal = Refusal(Kind.NOT_NOW, f"{submission.name} failed inside; the server's log says why")
        return _refused(submission, refusal)

    def _refusal(self, submission: Submission, current: StreamState) -> Refusal | None:
        tenant = self.state(*tenant_key(submission.tenant_id))
        for state in (tenant, current):
            if state.unreadable:
                return Refusal(Kind.NOT_NOW, state.unreadable)
        if rejected := admit(submission.command, submission.tenant_id, tenant.state):
            return Refusal(rejected.kind, rejected.reason)
        if submission.own and (other := self._not_own(submission, current)):
            return Refusal(Kind.NOT_ALLOWED, f"{other} is not there, or not yours; you may act on your own only")
        expected = submission.expected_version
        if expected is not None and expected != current.version:
            reason = f"stream {submission.command.stream} is at version {current.version}, not {expected}"
            return Refusal(Kind.CONFLICT, reason, current.version)
        return None

    def _not_own(self, submission: Submission, current: StreamState) -> StreamId | None:
        """Return a stream that the command is about and that its sender did not make; its own stream may be new."""
        command, actor = submission.command, submission.actor
        if current.version and current.made_by != actor:
            return command.stream
        reads = catalog.decider_of(type(command)).reads
        others = reads(command, actor) if reads else ()
        return next((one for one in others if self.state(submission.tenant_id, one).made_by != actor), None)

    def _given(self, decider: Decider, submission: Submission, current: StreamState) -> Given:
        """Return what a rule may know besides. Raises: CommandRejected, a stream that it names cannot be read."""
        streams: dict[StreamId, Any] = {}
        for stream in decider.reads(submission.command, submission.actor) if decider.reads else ():
            other = self.state(submission.tenant_id, stream)
            if other.unreadable:
                raise not_now(other.unreadable)
            streams[stream] = other.state
        return Given(self.now, submission.actor, current.made_by, streams)

    def state(self, tenant_id: TenantId, stream: StreamId) -> StreamState:
        """Return what is known of a stream, with what the draft has of it. Raises: LogUnavailable; LogDamaged."""
        key = (tenant_id, stream)
        if (state := self._states.get(key)) is None:
            # only processes name a stream that was not loaded with the batch, and a decider that failed
            state = self._states[key] = self._load([key])[key]
        return state

    def recorded(self, tenant_id: TenantId, stream: StreamId, version: int) -> Envelope:
        """Return an event of before this batch. Raises: LogUnavailable; LogDamaged; ValueError, it cannot be read."""
        for entry in self._log.read_stream(tenant_id, stream, after=version - 1, limit=1):
            if isinstance(entry, Envelope):
                return entry
        raise ValueError(f"version {version} of stream {stream} cannot be read")

    def record(
        self,
        origin: Origin,
        stream: StreamId,
        events: Sequence[Event],
        payloads: Sequence[Mapping[str, Any]],
        after: StreamState,
    ) -> list[Envelope]:
        """Put events at the end of their stream, which is then as `after`. Raises: LogUnavailable."""
        partition = partition_of(origin.tenant_id, self._log.partitions)
        if partition not in self._ends:
            self._begin(partition)
        end, recorded_at = self._ends[partition], self._recorded_at[partition]
        version = after.version - len(events)
        envelopes = [
            Envelope(
                event_id=new_id(),
                type=event.TYPE,
                schema_version=event.VERSION,
                tenant_id=origin.tenant_id,
                stream=stream,
                version=version + n,
                topic=Topic.EVENTS,
                partition=partition,
                position=end + n,
                happened_at=origin.happened_at or recorded_at,
                recorded_at=recorded_at,
                actor=origin.actor,
                correlation_id=origin.correlation_id,
                causation_id=origin.causation_id,
                data=payload,
                traceparent=origin.traceparent,
                command_id=origin.command_id,
                command_hash=origin.command_hash,
            )
            for n, (event, payload) in enumerate(zip(events, payloads, strict=True), 1)
        ]
        self._states[origin.tenant_id, stream] = after
        self.events += envelopes
        self._ends[partition] = end + len(events)
        return envelopes

    def _begin(self, partition: int) -> None:
        """Find where a partition ends, and when its events of this batch are recorded: never before its last one."""
        end = self._log.end(Topic.EVENTS, partition)
        last = self._recorded_at.get(partition) or _last_recorded(self._log, partition, end)
        self._recorded_at[partition] = self.now if last is None else max(self.now, last)
        self._ends[partition] = end


def _last_recorded(log: EventLog, partition: int, end: int) -> datetime | None:
    last = log.read(Topic.EVENTS, partition, after=max(0, end - _LOOK_BACK), limit=_LOOK_BACK)
    return max((entry.recorded_at for entry in last if isinstance(entry, Envelope)), default=None)


def streams_of(submission: Submission) -> Iterator[StreamKey]:
    """Yield the streams that a command is decided on."""
    tenant_id, command = submission.tenant_id, submission.command
    yield tenant_id, command.stream
    yield tenant_key(tenant_id)
    if reads := catalog.decider_of(type(command)).reads:
        with suppress(Exception):  # it fails again, and is told of, where its command is decided
            for stream in reads(command, submission.actor):
                yield tenant_id, stream


def tenant_key(tenant_id: TenantId) -> StreamKey:
    return (tenant_id, StreamId(f"tenant-{tenant_id}"))


def _refused(submission: Submission, refusal: Refusal, version: int = 0) -> Reply:
    return Reply(submission.command_id, "refused", submission.command.stream, version, refusal=refusal)


def checked_payload(event: Event) -> dict[str, Any]:
    # encoded here and not by the log, so that a value its schema cannot hold fails its own command alone
    return encoded(event.TYPE, event.VERSION, catalog.payload_of(event), catalog.apart_of(event))


def _origin(submission: Submission) -> Origin:
    return Origin(
        submission.tenant_id,
        submission.actor,
        submission.command_id,
        submission.correlation_id or submission.command_id,
        submission.causation_id or submission.command_id,
        submission.happened_at,
        submission.traceparent,
        submission.command_hash,
    )
