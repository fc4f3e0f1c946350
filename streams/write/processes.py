"""The events of a batch are shown to the processes here, and what these answer is recorded in the same batch."""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from domain import catalog
from domain.message import Command, Event
from domain.operations.retry import ProcessRetryRequested
from domain.process import (
    BEGUN,
    BROKEN,
    NOWHERE,
    RETRY,
    Around,
    Ask,
    Process,
    ProcessAnswered,
    ProcessAsked,
    ProcessFailed,
    ProcessGaveUp,
    Running,
    TimerFired,
    TimerForgotten,
    TimerSet,
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
from streams.write.messages import decode_submission
from streams.write.plan import Plan
from streams.write.retries import Missed, missed_of
from streams.write.states import StreamState

E = TypeVar("E", bound=Event)

_LOG = logging.getLogger(__name__)

_UNROUTED = "unrouted-"
"""So begin the ids of streams for events of which a process could not tell whose they are."""

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
        # the writer itself listens to what a person asks of the processes
        by_event: dict[type[Event], list[Process]] = {ProcessRetryRequested: []}
        for process in processes:
            for event in process.listens:
                by_event.setdefault(event, []).append(process)
        return cls({process.name: process for process in processes}, by_event, failed)


class _Told(NamedTuple):
    """An event on its way to an instance of a process.

    Shape: `attempts` counts how often it was shown, with this time.
    """

    process: Process
    id: str
    event: Event
    envelope: Envelope
    command: Command | None = None
    attempts: int = 1


class Reactions:
    """Answers commands by a draft, and lets the processes answer the events of each before the next one.

    What fails in a process is its own: it leaves `process.failed` in its stream and a timer that shows the event to it
    again, and what caused it stays.
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
        if process is None or due.due_at is None or current.unreadable or missed_of(due.name):
            return
        running = current.state or BEGUN
        around = self._around(id_of(due.stream), running, None, due.stream, 0)
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
        if process is None:
            return
        missed = missed_of(due.name)
        if bare:
            missed = missed.again if missed else Missed(due.stream, envelope.version)
            self._fail(process, origin, due.stream, fired.TYPE, "the writer failed on what the process did", missed)
        elif missed:
            self._show_again(process, origin, due.stream, missed.again)
        else:
            self._told.append(_Told(process, id_of(due.stream), fired, envelope))

    def _show_again(self, process: Process, origin: Origin, stream: StreamId, missed: Missed) -> None:
        """Show a process an event that it failed on before; what is there beside the event is that of now."""
        on = ""
        id_: str | None = id_of(stream)
        try:
            envelope = self._draft.recorded(origin.tenant_id, missed.stream, missed.version)
            on = envelope.type
            event = catalog.event_from(envelope)
            if id_of(stream).startswith(_UNROUTED):
                id_ = process.route(event, envelope)
            now = self._draft.state(origin.tenant_id, missed.stream)
            if not now.unreadable and not process.still(now.state, event):
                return
        except (LogUnavailable, LogDamaged):
            raise
        except Exception as error:  # noqa: BLE001 - a process that breaks must not stop what it listens to
            _LOG.exception("process %s failed again on version %d of %s", stream, missed.version, missed.stream)
            self._count_failed(process.name)
            self._fail(process, origin, stream, on, type(error).__name__, missed)
            return
        if id_ is not None and type(event) in process.needs_command:
            # tried again it would do less than was wanted, and say that all is done
            gone = "the command that gave it is gone; do what it should have led to"
            self._fail(process, origin, stream, on, gone, None)
        elif id_ is not None:
            self._told.append(_Told(process, id_, event, envelope, attempts=missed.attempts))

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
            if isinstance(one.event, ProcessRetryRequested):
                self._try_again_now(one.event, one.envelope)
            for process in self._by_event[type(one.event)]:
                if (id_ := self._instance(process, one)) is not None and self._is_for(process, id_, one):
                    self._told.append(_Told(process, id_, one.event, one.envelope, one.command))

    def _is_for(self, process: Process, id_: str, heard: Heard) -> bool:
        """Return whether an event begins an instance, or the instance is there."""
        begins = not process.begun_by or type(heard.event) in process.begun_by
        return begins or self._draft.state(heard.envelope.tenant_id, process.stream(id_)).version > 0

    def _try_again_now(self, asked: ProcessRetryRequested, envelope: Envelope) -> None:
        """Make due what is to be shown again to an instance; it is shown in the next tick."""
        stream = StreamId(asked.process)
        process = self._by_name.get(category_of(stream))
        origin, now = _origin(stream, envelope), self._draft.now
        running = self._draft.state(envelope.tenant_id, stream).state
        for name in running.given_up:
            self._record(process, origin, stream, TimerSet(name=name, due_at=now, **NOWHERE))
        for name, due_at in running.timers.items():
            # what is due is shown in the next tick as it is
            if due_at > now and (missed := missed_of(name)):
                wait = missed.at_once(now)
                self._record(process, origin, stream, TimerForgotten(name=name, **NOWHERE))
                self._record(process, origin, stream, TimerSet(name=wait.name, due_at=wait.due_at, **NOWHERE))

    def _instance(self, process: Process, heard: Heard) -> str | None:
        envelope = heard.envelope
        try:
            return process.route(heard.event, envelope)
        except Exception as error:  # noqa: BLE001 - a process that breaks must not stop what it listens to
            _LOG.exception("process %s cannot tell whose event %s is", process.name, envelope.event_id)
            self._count_failed(process.name)
            # nobody's yet: it waits in a stream of its own until the process can tell
            stream = process.stream(f"{_UNROUTED}{envelope.event_id}")
            missed = Missed(envelope.stream, envelope.version)
            self._fail(process, _origin(stream, envelope), stream, envelope.type, type(error).__name__, missed)
            return None

    def _react(self, told: _Told) -> None:
        process, envelope = told.process, told.envelope
        stream = process.stream(told.id)
        current = self._draft.state(envelope.tenant_id, stream)
        try:
            if current.unreadable:
                raise ValueError(current.unreadable)  # noqa: TRY301 - told of like what fails in the process
            running = current.state or BEGUN
            around = self._around(told.id, running, told.command, envelope.stream, envelope.position)
            if not (actions := process.react(running.state, told.event, around)):
                return
            origin = _origin(stream, envelope)
            plan = Plan(process, stream, running, origin, self._left)
            for action in actions:
                plan.take(action)
            payloads = [checked_payload(event) for event in plan.events]
        except (LogUnavailable, LogDamaged):
            raise
        except Exception as error:  # noqa: BLE001 - a process that breaks must not stop what it listens to
            _LOG.exception("process %s failed on event %s", stream, envelope.event_id)
            self._count_failed(process.name)
            missed = Missed(envelope.stream, envelope.version, told.attempts)
            self._fail(process, _origin(stream, envelope), stream, envelope.type, type(error).__name__, missed)
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

    def _fail(  # noqa: PLR0917 - all of it is what is recorded
        self, process: Process, origin: Origin, stream: StreamId, on: str, reason: str, missed: Missed | None
    ) -> None:
        """Say that the process failed, and when it is shown the event again; never, if it is not `missed`."""
        origin = origin._replace(command_id=f"{origin.command_id} failed")
        self._record(process, origin, stream, ProcessFailed(on=on, reason=reason, **NOWHERE))
        if missed is None:
            return
        if wait := missed.retry(self._draft.now):
            self._record(process, origin, stream, TimerSet(name=wait.name, due_at=wait.due_at, **NOWHERE))
        else:
            timer = missed.at_once(self._draft.now).name
            self._record(process, origin, stream, ProcessGaveUp(on=on, reason=reason, timer=timer, **NOWHERE))

    def _around(
        self, id_: str, running: Running[Any], command: Command | None, stream: StreamId, position: int
    ) -> Around:
        timers = {name: due_at for name, due_at in running.timers.items() if not name.startswith(RETRY)}
        return Around(self._draft.now, id_, timers, running.attempts, command, stream, position)


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
