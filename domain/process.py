"""A process answers events with commands and timers of its own; it is declared as a value, and its history is a stream.

The process `invitation_expiry` of the user `ann` has the stream `invitation_expiry-ann`, which alone gives its state.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Generic, NamedTuple

from domain.message import Command, Event, Personal, S, value
from schemas.envelope import Envelope, StreamId, id_of

# --- what a process answers with


class Ask(NamedTuple):
    """Decide a command; `step` names what it is for. The answer, also a refusal, is given back to `react`."""

    step: str
    command: Command


class Wait(NamedTuple):
    """Set a timer, which fires once, at `due_at` or soon after; one that is set again under its name replaces it."""

    name: str
    due_at: datetime


class Forget(NamedTuple):
    """Take a timer back. One that is not set is no error."""

    name: str


class Note(NamedTuple):
    """Record one of the process's own events, for its state."""

    event: Event


Action = Ask | Wait | Forget | Note

RETRY = "retry~"
"""So begin the names of timers that the writer sets for itself, to show an event again on which the code failed."""


class Around(NamedTuple):
    """What is given to `react` beside the state and the event.

    Shape: `id` says which instance this is; `timers` are those that it set, by name; `attempts` counts how often each
    step was asked. `command` is the one that gave the event, None for a timer, an answer, and what an earlier turn
    left over: it may hold what must not stand in an event. `stream` and `position` are the event's; where it is only
    foreseen, the position is 0.
    Units: `now` is UTC.
    """

    now: datetime
    id: str
    timers: Mapping[str, datetime]
    attempts: Mapping[str, int]
    command: Command | None
    stream: StreamId
    position: int


def _stateless(_state: Any, _event: Event) -> None:
    return None


def _always(_state: Any, _event: Event) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Process:
    """One kind of process.

    Shape: `listens` are the events that it answers, all of which commands give; `route(event, envelope)` says which
    instance an event belongs to, None for none. `react(state, event, around)` gives actions for these events, and for
    `process.answered` and `timer.fired` of its own. `evolve(state, event)` gives the state after an event of its own
    stream: `events`, which it notes, and those of PROCESS_EVENTS; what it must know of others it notes. Of an event
    that comes again, because the code failed on it, `still(state, event)` says by the state of the event's stream now
    if what it leads to is wanted still. The events in `needs_command` are not shown again, because what they lead to
    stands in the command that gave them, which is gone by then: that stays visible as what went wrong. Where
    `begun_by` names events, the others are shown only to an instance that is there: it listens to much, and most have
    no use for it.
    """

    name: str
    listens: tuple[type[Event], ...]
    route: Callable[[Any, Envelope], str | None]
    react: Callable[[Any, Any, Around], Sequence[Action]]
    events: tuple[type[Event], ...] = ()
    evolve: Callable[[Any, Any], Any] = _stateless
    still: Callable[[Any, Any], bool] = _always
    needs_command: tuple[type[Event], ...] = ()
    begun_by: tuple[type[Event], ...] = ()

    def stream(self, id_: str) -> StreamId:
        return StreamId(f"{self.name}-{id_}")


def same_id(_event: Event, envelope: Envelope) -> str:
    """Return the instance that is called as the event's stream: a `route` for processes about one kind of stream."""
    return id_of(envelope.stream)


# --- events of every process


class Standing(StrEnum):
    """What an instance is about, as a person sees it."""

    ASKING = "ASKING"
    """A command is asked and not answered yet; it goes on in the next turn."""
    WAITING = "WAITING"
    """A timer is set."""
    IDLE = "IDLE"
    """Nothing is open; an event may wake it."""
    BROKEN = "BROKEN"
    """Its stream cannot be read by this version of the code."""


@value
class _OfProcess(Event):
    """Shape: how the instance stands after the event, and its next timer, for those who list instances."""

    standing: str
    next_timer: str | None
    next_due_at: datetime | None


@value
class ProcessAsked(_OfProcess):
    """Shape: `message` is the command, where it is not decided in the transaction that asks it."""

    TYPE: ClassVar = "process.asked"
    step: str
    attempt: int
    command: str
    command_id: str
    message: Annotated[str | None, Personal()]


@value
class ProcessAnswered(_OfProcess):
    """Shape: `kind` and `reason` of a refusal; `stream` and `version` are those of the command's reply."""

    TYPE: ClassVar = "process.answered"
    step: str
    attempt: int
    command_id: str
    outcome: str
    kind: str | None
    reason: str | None
    stream: str
    version: int

    @property
    def refused(self) -> bool:
        return self.kind is not None


@value
class ProcessFailed(_OfProcess):
    """The process's code failed on an event, which comes again later; `reason` names the error and no values."""

    TYPE: ClassVar = "process.failed"
    on: str
    reason: str


@value
class ProcessGaveUp(_OfProcess):
    """The event that it failed on does not come again by itself any more; somebody may ask for it.

    Shape: `timer` shows it again when it is set. Its name ends with the event's version and stream.
    """

    TYPE: ClassVar = "process.gave_up"
    on: str
    reason: str
    timer: str


@value
class TimerSet(_OfProcess):
    TYPE: ClassVar = "timer.set"
    name: str
    due_at: datetime


@value
class TimerForgotten(_OfProcess):
    TYPE: ClassVar = "timer.forgotten"
    name: str


@value
class TimerFired(_OfProcess):
    TYPE: ClassVar = "timer.fired"
    name: str
    due_at: datetime


PROCESS_EVENTS: tuple[type[Event], ...] = (
    ProcessAsked,
    ProcessAnswered,
    ProcessFailed,
    ProcessGaveUp,
    TimerSet,
    TimerForgotten,
    TimerFired,
)

# --- the state of every process


@value
class Running(Generic[S]):
    """What is known of an instance.

    Shape: `open` are the commands that are asked and not answered, by their ids; `given_up` are the timers that would
    show it again what it failed on for the last time, as a set that can be shown.
    """

    state: S | None
    open: Mapping[str, ProcessAsked]
    attempts: Mapping[str, int]
    timers: Mapping[str, datetime]
    given_up: Mapping[str, bool] = field(default_factory=dict)


BEGUN: Running[Any] = Running(state=None, open={}, attempts={}, timers={})


def evolve_process(process: Process, running: Running[Any] | None, event: Event) -> Running[Any]:
    """Return what is known of an instance after an event of its stream."""
    before = after = running or BEGUN
    match event:
        case ProcessFailed():
            # not shown to the process: its code is what failed
            return before
        case ProcessGaveUp():
            return replace(before, given_up={**before.given_up, event.timer: True})
        case ProcessAsked():
            attempts = {**before.attempts, event.step: event.attempt}
            after = replace(before, open={**before.open, event.command_id: event}, attempts=attempts)
        case ProcessAnswered():
            after = replace(before, open=_without(before.open, event.command_id))
        case TimerSet():
            timers = {**before.timers, event.name: event.due_at}
            after = replace(before, timers=timers, given_up=_without(before.given_up, event.name))
        case TimerForgotten() | TimerFired():
            after = replace(before, timers=_without(before.timers, event.name))
        case _:
            pass
    if isinstance(event, TimerSet | TimerForgotten | TimerFired) and event.name.startswith(RETRY):
        # the writer's own, not shown to the process
        return after
    return replace(after, state=process.evolve(before.state, event))


def standing_of(running: Running[Any]) -> dict[str, Any]:
    """Return the fields of an event of a process that say how the instance stands after it."""
    standing = Standing.ASKING if running.open else Standing.WAITING if running.timers else Standing.IDLE
    name, due_at = min(running.timers.items(), key=lambda timer: (timer[1], timer[0]), default=(None, None))
    return {"standing": standing.value, "next_timer": name, "next_due_at": due_at}


BROKEN: Mapping[str, Any] = {"standing": Standing.BROKEN.value, "next_timer": None, "next_due_at": None}
NOWHERE: Mapping[str, Any] = {"standing": "", "next_timer": None, "next_due_at": None}
"""Stands in an event until it is known how the instance stands after it."""


def _without(mapping: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return {other: value for other, value in mapping.items() if other != name}
