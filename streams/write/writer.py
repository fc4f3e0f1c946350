"""The writer decides commands, a batch at a time, and appends their events to the log in one step."""

import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

from uuid_utils import uuid7

from domain import catalog
from domain.identity.tenant import admit
from domain.message import Command, Event, Process
from domain.rejection import CommandRejected, Kind
from schemas.envelope import Actor, ActorType, Entry, Envelope, Position, StreamId, StreamKey, TenantId, Topic
from schemas.partitioning import partition_of
from schemas.payload import encoded
from streams.identifiers import named_uuid
from streams.ports import Batch, Clock, EventLog, Recorded, Refusal, Reply, Submission

_LOG = logging.getLogger(__name__)

MAX_CACHED_STREAMS = 20_000
"""Streams whose state stays in memory; the least recently used leave first and are read from the log again."""

MAX_REACTIONS = 1_000
"""Commands that processes may add to one batch: more is a loop between two processes."""


class StreamState(NamedTuple):
    version: int
    state: Any
    unreadable: str | None = None


NOTHING = StreamState(0, None)


class Writer:
    """Decides commands against one log; one instance at a time may write a partition.

    Not safe for threads: `write` is called by one at a time.
    """

    def __init__(
        self,
        log: EventLog,
        clock: Clock,
        *,
        processes: Sequence[Process] = catalog.PROCESSES,
        max_cached_streams: int = MAX_CACHED_STREAMS,
    ) -> None:
        self._log = log
        self._clock = clock
        self._processes = processes
        self._max_cached = max_cached_streams
        self._cache: OrderedDict[StreamKey, StreamState] = OrderedDict()

    def write(self, submissions: Sequence[Submission], commit: Callable[[Batch], None] | None = None) -> list[Reply]:
        """Decide a batch and make its events durable, all of them or none; one reply for each submission, in order.

        Shape: `commit` makes the batch durable in place of the log's `append`, where more is committed with it.
        Raises: LogUnavailable, nothing of the batch was kept; send it again under the same command ids.
        """
        draft = _Draft(self._load(submissions), self._log, self._clock, self._processes)
        replies = [draft.answer(submission) for submission in submissions]
        try:
            (commit or self._log.append)(Batch(draft.events, replies))
        except Exception:
            # what became of the batch is the log's to say: the next one reads it again
            self._cache.clear()
            raise
        self._keep(draft.states)
        return replies

    def forget(self) -> None:
        """Drop all states from memory: another writer may have written since."""
        self._cache.clear()

    def _load(self, submissions: Sequence[Submission]) -> "_Loaded":
        ids = {(s.tenant_id, s.command_id) for s in submissions}
        earlier = self._log.find_commands(ids)
        keys = {key for s in submissions for key in ((s.tenant_id, s.command.stream), _tenant_key(s.tenant_id))}
        states = {key: self._cache[key] for key in keys if key in self._cache}
        missing = [key for key in keys if key not in states]
        if missing:
            history = self._log.read_streams(missing)
            states |= {key: fold(history.get(key, ())) for key in missing}
        return _Loaded(earlier, states)

    def _keep(self, states: Mapping[StreamKey, StreamState]) -> None:
        for key, state in states.items():
            self._cache[key] = state
            self._cache.move_to_end(key)
        while len(self._cache) > self._max_cached:
            self._cache.popitem(last=False)


class _Loaded(NamedTuple):
    earlier: Mapping[tuple[TenantId, str], Sequence[Envelope]]
    states: MutableMapping[StreamKey, StreamState]


class _Draft:
    """One batch being decided: its effects are in here until the log has them."""

    def __init__(self, loaded: _Loaded, log: EventLog, clock: Clock, processes: Sequence[Process]) -> None:
        self.states = loaded.states
        self.events: list[Envelope] = []
        self._earlier = loaded.earlier
        self._log = log
        self._now = clock.now()
        self._processes = processes
        self._answers: dict[tuple[TenantId, str], Reply] = {}
        self._ends: dict[int, int] = {}
        self._reactions: deque[Submission] = deque()
        self._reacted = 0

    def answer(self, submission: Submission) -> Reply:
        reply = self._answer(submission)
        while self._reactions:
            self._reacted += 1
            if self._reacted > MAX_REACTIONS:
                raise RuntimeError(f"more than {MAX_REACTIONS} commands of processes in one batch: a loop")
            self._answer(self._reactions.popleft())
        return reply

    def _answer(self, submission: Submission) -> Reply:
        key = (submission.tenant_id, submission.command_id)
        if caused := self._earlier.get(key):
            return _first_reply(submission.command_id, caused)
        if (given := self._answers.get(key)) is not None and given.events:
            return given._replace(repeated=True)
        reply = self._answers[key] = self._decide(submission)
        return reply

    def _decide(self, submission: Submission) -> Reply:
        stream = submission.command.stream
        current = self._state(submission.tenant_id, stream)
        if refusal := self._refusal(submission, current):
            return Reply(submission.command_id, "refused", stream, current.version, refusal=refusal)
        try:
            decider = catalog.decider_of(type(submission.command))
            events = decider.decide(submission.command, current.state)
            state = current.state
            for event in events:
                state = decider.evolve(state, event)
            envelopes = self._envelopes(submission, stream, current.version, events)
        except CommandRejected as rejected:
            refusal = Refusal(rejected.kind, rejected.reason)
            return Reply(submission.command_id, "refused", stream, current.version, refusal=refusal)
        except Exception:  # noqa: BLE001
            # one command that breaks a rule's code must not stop everyone else's; nothing of it was recorded
            _LOG.exception("deciding %s %s failed", submission.name, submission.command_id)
            refusal = Refusal(Kind.NOT_NOW, f"{submission.name} failed inside; the server's log says why")
            return Reply(submission.command_id, "refused", stream, current.version, refusal=refusal)
        version = current.version + len(events)
        if events:
            self.states[submission.tenant_id, stream] = StreamState(version, state)
            self.events += envelopes
            self._ends[envelopes[-1].partition] = envelopes[-1].position
            self._react(submission, envelopes, events)
        return _accepted(submission.command_id, stream, version, envelopes)

    def _refusal(self, submission: Submission, current: StreamState) -> Refusal | None:
        tenant = self._state(*_tenant_key(submission.tenant_id))
        for state in (tenant, current):
            if state.unreadable:
                return Refusal(Kind.NOT_NOW, state.unreadable)
        if rejected := admit(submission.command, submission.tenant_id, tenant.state):
            return Refusal(rejected.kind, rejected.reason)
        expected = submission.expected_version
        if expected is not None and expected != current.version:
            reason = f"stream {submission.command.stream} is at version {current.version}, not {expected}"
            return Refusal(Kind.CONFLICT, reason, current.version)
        return None

    def _state(self, tenant_id: TenantId, stream: StreamId) -> StreamState:
        key = (tenant_id, stream)
        if (state := self.states.get(key)) is None:
            # only a process's command names a stream that was not loaded with the batch
            state = self.states[key] = fold(self._log.read_streams([key]).get(key, ()))
        return state

    def _envelopes(
        self, submission: Submission, stream: StreamId, version: int, events: Sequence[Event]
    ) -> list[Envelope]:
        partition = partition_of(submission.tenant_id, self._log.partitions)
        if partition not in self._ends:
            self._ends[partition] = self._log.end(Topic.EVENTS, partition)
        end = self._ends[partition]
        return [
            Envelope(
                event_id=str(uuid7()),
                type=event.TYPE,
                schema_version=event.VERSION,
                tenant_id=submission.tenant_id,
                stream=stream,
                version=version + n,
                topic=Topic.EVENTS,
                partition=partition,
                position=end + n,
                happened_at=submission.happened_at or self._now,
                recorded_at=self._now,
                actor=submission.actor,
                correlation_id=submission.correlation_id or submission.command_id,
                causation_id=submission.command_id,
                data=_checked_payload(event),
                traceparent=submission.traceparent,
            )
            for n, event in enumerate(events, 1)
        ]

    def _react(self, submission: Submission, envelopes: Sequence[Envelope], events: Sequence[Event]) -> None:
        for process in self._processes:
            for envelope, event in zip(envelopes, events, strict=True):
                if isinstance(event, process.events):
                    commands = process.react(event, envelope)
                    self._reactions.extend(
                        _reaction(process, submission, envelope, n, c) for n, c in enumerate(commands)
                    )


def fold(history: Sequence[Entry]) -> StreamState:
    """Return the state and version that a stream's history gives."""
    if not history:
        return NOTHING
    decider = catalog.decider_for_category(history[0].stream.partition("-")[0])
    state = None
    for entry in history:
        if decider is None or not isinstance(entry, Envelope):
            reason = f"stream {history[0].stream} has an event that cannot be read, at position {entry.position}"
            return StreamState(len(history), None, reason)
        state = decider.evolve(state, catalog.event_from(entry))
    return StreamState(len(history), state)


def _tenant_key(tenant_id: TenantId) -> StreamKey:
    return (tenant_id, StreamId(f"tenant-{tenant_id}"))


def _checked_payload(event: Event) -> dict[str, Any]:
    # encoded here and not by the log, so that a value its schema cannot hold fails its own command alone
    return encoded(event.TYPE, event.VERSION, catalog.payload_of(event))


def _reaction(process: Process, cause: Submission, envelope: Envelope, n: int, command: Command) -> Submission:
    return Submission(
        command_id=named_uuid(process.name, envelope.event_id, str(n)),
        tenant_id=cause.tenant_id,
        name=type(command).__name__,
        command=command,
        actor=Actor(ActorType.SYSTEM, process.name),
        happened_at=cause.happened_at,
        correlation_id=envelope.correlation_id,
        traceparent=cause.traceparent,
    )


def _accepted(command_id: str, stream: StreamId, version: int, envelopes: Sequence[Envelope]) -> Reply:
    last = envelopes[-1] if envelopes else None
    return Reply(
        command_id=command_id,
        outcome="accepted",
        stream=stream,
        version=version,
        events=tuple(Recorded(e.type, e.version, e.event_id) for e in envelopes),
        position=Position(last.topic, last.partition, last.position) if last else None,
    )


def _first_reply(command_id: str, caused: Sequence[Envelope]) -> Reply:
    return _accepted(command_id, caused[0].stream, caused[-1].version, caused)._replace(repeated=True)
