"""The events of a batch are shown to the processes here, and what these answer is recorded in the same batch."""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from domain import catalog
from domain.message import Command, Event
from domain.process import (
    BEGUN,
    BROKEN,
    NOWHERE,
    Around,
    Ask,
    Forget,
    Note,
    Process,
    ProcessAnswered,
    ProcessAsked,
    ProcessFailed,
    Running,
    TimerFired,
    TimerForgotten,
    TimerSet,
    Wait,
    evolve_process,
    standing_of,
)
from domain.rejection import Kind
from schemas.envelope import Actor, ActorType, Envelope, StreamId, StreamKey, TenantId, category_of, id_of
from schemas.partitioning import partition_of
from streams.identifiers import system_id
from streams.ports import Due, LogDamaged, LogUnavailable, Refusal, Reply, Submission
from streams.write.draft import Draft, Heard, Origin, checked_payload
from streams.write.due import Key
from streams.write.messages import decode_submission, encode_submission
from streams.write.states import StreamState

E = TypeVar("E", bound=Event)

_LOG = logging.getLogger(__name__)

MAX_ASKED = 300
"""Commands that are decided in the transaction of what caused them; what processes ask beyond goes on in the next."""

MAX_ASKED_IN_BATCH = 5_000
"""The same for all causes of a batch together, so that the transaction ends in time."""


class Listeners(NamedTuple):
    """The processes, found by their names and by the events that they listen to.

    Shape: `failed` gets the name of a process for each time that its code fails.
    """

    by_name: Mapping[str, Process]
    by_event: Mapping[type[Event], Sequence[Process]]
    failed: Callable[[str], None]

    @classmethod
    def of(cls, processes: Sequence[Process], failed: Callable[[str], None]) -> "Listeners":
        by_event: dict[type[Event], list[Process]] = {}
        for process in processes:
            for event in process.listens:
                by_event.setdefault(event, []).append(process)
        return cls({process.name: process for process in processes}, by_event, failed)


class _Told(NamedTuple):
    """An event on its way to an instance of a process."""

    process: Process
    id: str
    event: Event
    envelope: Envelope
    command: Command | None = None


class Reactions:
    """Answers commands by a draft, and lets the processes answer the events of each before the next one.

    What fails in a process is its own: it leaves `process.failed` in its stream, and what caused it stays.
    """

    def __init__(self, draft: Draft, listeners: Listeners, partitions: int) -> None:
        self._draft = draft
        self._by_name, self._by_event, self._count_failed = listeners
        self._partitions = partitions
        self._told: deque[_Told] = deque()
        self._moved: set[Key] = set()
        self._left_of_batch = MAX_ASKED_IN_BATCH
        self._left = 0

    @property
    def is_full(self) -> bool:
        """Return whether the batch has as many commands of processes as it may."""
        return self._left_of_batch <= 0

    def answer(self, submission: Submission) -> Reply:
        reply = self._draft.answer(submission)
        if self._draft.heard:
            self._react_to_all()
        return reply

    def go_on(self, due: Due, *, bare: bool = False) -> None:
        """Do what was due: fire a timer, or decide what was asked in an earlier turn.

        Shape: `bare` leaves the process's code out, because something of it makes the writer itself fail.
        """
        process = self._by_name.get(category_of(due.stream))
        if due.due_at is None:
            self._go_on_asking(process, due, bare=bare)
        else:
            self._fire(process, due, bare=bare)
        self._react_to_all()

    def foreseen(self, due: Due) -> Iterator[StreamKey]:
        """Yield the streams that what is due will probably need, so that they are read together.

        Shape: `react` is a function of values, so it can be asked beforehand; what it says then changes nothing.
        """
        process = self._by_name.get(category_of(due.stream))
        current = self._draft.state(due.tenant_id, due.stream)
        if process is None or due.due_at is None or current.unreadable:
            return
        running = current.state or BEGUN
        around = Around(self._draft.now, id_of(due.stream), running.timers, running.attempts, None)
        fired = TimerFired(name=due.name, due_at=due.due_at, **NOWHERE)
        with suppress(Exception):  # it fails again, and is told of, where it is done
            for action in process.react(running.state, fired, around):
                if isinstance(action, Ask):
                    yield due.tenant_id, action.command.stream

    def _fire(self, process: Process | None, due: Due, *, bare: bool) -> None:
        if (due.tenant_id, due.stream, due.name) in self._moved:
            # set anew or taken back by what fired before it in this batch: it is due at another time, or never
            return
        version = self._draft.state(due.tenant_id, due.stream).version
        id_ = system_id(due.stream, "timer", due.name, str(version))
        origin = Origin(due.tenant_id, actor_of(due.stream), id_, id_, id_)
        assert due.due_at is not None  # noqa: S101 - a timer has a time
        fired = TimerFired(name=due.name, due_at=due.due_at, **NOWHERE)
        envelope, fired = self._record(process, origin, due.stream, fired)
        if bare:
            self._fail(process, origin, due.stream, fired, "the writer failed on what the process did with it")
        elif process is not None:
            self._told.append(_Told(process, id_of(due.stream), fired, envelope))

    def _go_on_asking(self, process: Process | None, due: Due, *, bare: bool) -> None:
        running = self._draft.state(due.tenant_id, due.stream).state
        asked = running.open.get(due.name) if isinstance(running, Running) else None
        if asked is None or bare:
            # its stream cannot be read, or the command not be decided: answered, so that it does not come again
            self._answered(process, due.tenant_id, due.stream, _unanswerable(due, asked), None)
            return
        try:
            partition = partition_of(due.tenant_id, self._partitions)
            submission = decode_submission(
                (asked.message or "").encode(), partition=partition, partitions=self._partitions
            )
            reply = self._draft.decide(submission)
        except ValueError as error:
            _LOG.warning("the command %s of stream %s cannot be read: %s", due.name, due.stream, error)
            self._answered(process, due.tenant_id, due.stream, _unanswerable(due, asked), None)
            return
        self._answered(process, due.tenant_id, due.stream, _answer(asked, reply), submission)

    # --- reacting

    def _react_to_all(self) -> None:
        self._left = min(MAX_ASKED, self._left_of_batch)
        self._route()
        while self._told:
            self._react(self._told.popleft())
            self._route()

    def _route(self) -> None:
        heard, self._draft.heard = self._draft.heard, []
        for one in heard:
            for process in self._by_event[type(one.event)]:
                if (id_ := self._instance(process, one)) is not None:
                    self._told.append(_Told(process, id_, one.event, one.envelope, one.command))

    def _instance(self, process: Process, heard: Heard) -> str | None:
        try:
            return process.route(heard.event, heard.envelope)
        except Exception:  # noqa: BLE001 - a process that breaks must not stop what it listens to
            _LOG.exception("process %s cannot tell whose event %s is", process.name, heard.envelope.event_id)
            self._count_failed(process.name)
            return None

    def _react(self, told: _Told) -> None:
        process, envelope = told.process, told.envelope
        stream = process.stream(told.id)
        origin = _origin(stream, envelope)
        current = self._draft.state(envelope.tenant_id, stream)
        try:
            if current.unreadable:
                raise ValueError(current.unreadable)  # noqa: TRY301 - told of like what fails in the process
            running = current.state or BEGUN
            around = Around(self._draft.now, told.id, running.timers, running.attempts, told.command)
            plan = _Plan(process, stream, running, origin, self._left)
            for action in process.react(running.state, told.event, around):
                plan.take(action)
            payloads = [checked_payload(event) for event in plan.events]
        except (LogUnavailable, LogDamaged):
            raise
        except Exception as error:  # noqa: BLE001 - a process that breaks must not stop what it listens to
            _LOG.exception("process %s failed on event %s", stream, envelope.event_id)
            self._count_failed(process.name)
            self._fail(process, origin, stream, told.event, type(error).__name__)
            return
        if plan.events:
            after = StreamState(current.version + len(plan.events), plan.running, current.made_by or origin.actor)
            self._draft.record(origin, stream, plan.events, payloads, after)
            timers = (event for event in plan.events if isinstance(event, TimerSet | TimerForgotten))
            self._moved.update((envelope.tenant_id, stream, timer.name) for timer in timers)
        self._left -= len(plan.asked)
        self._left_of_batch -= len(plan.asked)
        for asked, submission in plan.asked:
            reply = self._draft.decide(submission)
            self._answered(process, envelope.tenant_id, stream, _answer(asked, reply), submission)

    def _answered(
        self,
        process: Process | None,
        tenant_id: TenantId,
        stream: StreamId,
        answered: ProcessAnswered,
        submission: Submission | None,
    ) -> None:
        """Record the answer to what a process asked, and show it to the process."""
        self._route()
        id_ = system_id(stream, answered.command_id, "answer")
        origin = Origin(tenant_id, actor_of(stream), id_, id_, answered.command_id)
        if submission is not None:
            origin = origin._replace(
                correlation_id=submission.correlation_id or id_,
                happened_at=submission.happened_at,
                traceparent=submission.traceparent,
            )
        envelope, recorded = self._record(process, origin, stream, answered)
        if process is not None:
            self._told.append(_Told(process, id_of(stream), recorded, envelope))

    def _record(self, process: Process | None, origin: Origin, stream: StreamId, event: E) -> tuple[Envelope, E]:
        """Record one event in a process's stream in any case, also where its state cannot take it."""
        current = self._draft.state(origin.tenant_id, stream)
        version, made_by = current.version + 1, current.made_by or origin.actor
        after = StreamState(version, None, made_by, current.unreadable or f"stream {stream} is of no known process")
        standing: Mapping[str, Any] = BROKEN
        if process is not None and not current.unreadable:
            try:
                running = evolve_process(process, current.state, event)
            except Exception:  # noqa: BLE001 - a process that breaks must not stop what it listens to
                _LOG.exception("process %s cannot go on after %s", stream, event.TYPE)
                self._count_failed(process.name)
                after = after._replace(unreadable=f"the state of stream {stream} cannot take {event.TYPE}")
            else:
                after, standing = StreamState(version, running, made_by), standing_of(running)
        event = replace(event, **standing)  # type: ignore[type-var]
        [envelope] = self._draft.record(origin, stream, [event], [checked_payload(event)], after)
        return envelope, event

    def _fail(self, process: Process | None, origin: Origin, stream: StreamId, event: Event, reason: str) -> None:
        failed = ProcessFailed(on=event.TYPE, reason=reason, **NOWHERE)
        self._record(process, origin._replace(command_id=f"{origin.command_id} failed"), stream, failed)


class _Plan:
    """What an instance does in answer to one event: the events of its stream, and the commands it asks now."""

    def __init__(self, process: Process, stream: StreamId, running: Running, origin: Origin, left: int) -> None:
        self.running = running
        self.events: list[Event] = []
        self.asked: list[tuple[ProcessAsked, Submission]] = []
        self._process = process
        self._stream = stream
        self._origin = origin
        self._left = left

    def take(self, action: Any) -> None:
        timers = self.running.timers
        match action:
            case Ask(step, command):
                self._ask(step, command)
            case Wait(name, due_at):
                if not name or " " in name:
                    raise ValueError("a timer's name has no spaces: that is how it differs from a command's id")
                if timers.get(name) != due_at:
                    self._add(TimerSet(name=name, due_at=due_at, **NOWHERE))
            case Forget(name):
                if name in timers:
                    self._add(TimerForgotten(name=name, **NOWHERE))
            case Note(event):
                if type(event) not in self._process.events:
                    raise TypeError(f"{type(event).__name__} is not among the events of process {self._process.name}")
                self._add(event)
            case _:
                raise TypeError(f"{type(action).__name__} is no action")

    def _ask(self, step: str, command: Command) -> None:
        attempt = self.running.attempts.get(step, 0) + 1
        origin, name = self._origin, catalog.name_of(type(command))
        submission = Submission(
            command_id=asked_id(self._stream, step, attempt),
            tenant_id=origin.tenant_id,
            name=name,
            command=command,
            actor=origin.actor,
            happened_at=origin.happened_at,
            correlation_id=origin.correlation_id,
            traceparent=origin.traceparent,
            causation_id=origin.causation_id,
        )
        now = len(self.asked) < self._left
        message = None if now else encode_submission(submission).decode()
        asked = ProcessAsked(
            step=step, attempt=attempt, command=name, command_id=submission.command_id, message=message, **NOWHERE
        )
        self._add(asked)
        if now:
            self.asked.append((asked, submission))

    def _add(self, event: Event) -> None:
        self.running = evolve_process(self._process, self.running, event)
        standing = {} if type(event) in self._process.events else standing_of(self.running)
        self.events.append(replace(event, **standing))  # type: ignore[type-var]


def asked_id(stream: StreamId, step: str, attempt: int) -> str:
    """Return the id of the command that an instance asks for a step: the same whoever sends it for the instance."""
    return system_id(stream, step, str(attempt))


def actor_of(stream: StreamId) -> Actor:
    """Return who asks the commands of an instance."""
    return Actor(ActorType.SYSTEM, category_of(stream))


def _answer(asked: ProcessAsked, reply: Reply) -> ProcessAnswered:
    refusal = reply.refusal
    return ProcessAnswered(
        step=asked.step,
        attempt=asked.attempt,
        command_id=asked.command_id,
        outcome=reply.outcome,
        kind=None if refusal is None else refusal.kind.value,
        reason=None if refusal is None else refusal.reason,
        stream=reply.stream,
        version=reply.version,
        **NOWHERE,
    )


def _unanswerable(due: Due, asked: ProcessAsked | None) -> ProcessAnswered:
    refusal = Refusal(Kind.NOT_NOW, "the command failed inside, or what asked it cannot be read")
    asked = asked or ProcessAsked(step="", attempt=0, command="", command_id=due.name, message=None, **NOWHERE)
    return _answer(asked, Reply(due.name, "refused", due.stream, 0, refusal=refusal))


def _origin(stream: StreamId, cause: Envelope) -> Origin:
    return Origin(
        cause.tenant_id,
        actor_of(stream),
        system_id(stream, cause.event_id),
        cause.correlation_id,
        cause.event_id,
        cause.happened_at,
        cause.traceparent,
    )
