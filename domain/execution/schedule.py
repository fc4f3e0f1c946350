"""These are the commands, the events, the state and the rules of a schedule, which runs a script."""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, assert_never

from pydantic import Field, StringConstraints

from domain.execution.script import TimeoutS, script_stream
from domain.execution.times import next_beat, next_cron
from domain.given import Given
from domain.message import Command, Decider, Event, classes_of, filled, known, value
from domain.rejection import conflict, invalid, not_allowed, not_found
from schemas.envelope import Actor, StreamId
from schemas.values import Id, Text, Zone

ScheduleId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""Short enough to stand in the ids of the executions that it leads to."""

Cron = Annotated[str, StringConstraints(min_length=1, max_length=200)]

EverySeconds = Annotated[int, Field(strict=True, ge=60, le=366 * 86_400)]

# --- commands


@value
class _OfSchedule(Command):
    schedule_id: ScheduleId

    @property
    def stream(self) -> StreamId:
        return StreamId(f"schedule-{self.schedule_id}")


@value
class ScheduleScript(_OfSchedule):
    """Run a script on devices by a cron expression, or every so many seconds.

    Shape: exactly one of `cron` (five fields, in `timezone`) and `every_s`.
    Units: `every_s` counts seconds from now, at least a minute.
    """

    script_id: Id
    device_ids: Annotated[tuple[Id, ...], Field(min_length=1, max_length=100)]
    cron: Cron | None = None
    every_s: EverySeconds | None = None
    timezone: Zone = "UTC"
    timeout_s: TimeoutS | None = None


@value
class PauseSchedule(_OfSchedule):
    reason: Text = ""


@value
class ResumeSchedule(_OfSchedule):
    """Go on from now; what it would have run meanwhile is not run."""


@value
class RemoveSchedule(_OfSchedule):
    reason: Text = ""


@value
class FireSchedule(_OfSchedule):
    """Run it if it is due; a process sends it. What was missed while nothing ran is run once."""

    IS_OURS: ClassVar = True


ScheduleCommand = ScheduleScript | PauseSchedule | ResumeSchedule | RemoveSchedule | FireSchedule

# --- events


@value
class ScheduleCreated(Event):
    TYPE: ClassVar = "schedule.created"
    script_id: str
    device_ids: tuple[str, ...]
    cron: str | None
    every_s: int | None
    timezone: str
    timeout_s: int | None
    next_run_at: datetime


@value
class ScheduleFired(Event):
    """Shape: `due_at` is when it was to run; `next_run_at` is later than when it ran."""

    TYPE: ClassVar = "schedule.fired"
    script_id: str
    device_ids: tuple[str, ...]
    timeout_s: int | None
    due_at: datetime
    next_run_at: datetime


@value
class SchedulePaused(Event):
    TYPE: ClassVar = "schedule.paused"
    reason: str


@value
class ScheduleResumed(Event):
    TYPE: ClassVar = "schedule.resumed"
    next_run_at: datetime


@value
class ScheduleRemoved(Event):
    TYPE: ClassVar = "schedule.removed"
    reason: str


ScheduleEvent = ScheduleCreated | ScheduleFired | SchedulePaused | ScheduleResumed | ScheduleRemoved

# --- state


class ScheduleStatus(StrEnum):
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    REMOVED = "REMOVED"


@value
class Schedule:
    """Shape: `beat_at` is an instant from which `every_s` is counted."""

    created: ScheduleCreated
    beat_at: datetime
    next_run_at: datetime
    status: ScheduleStatus = ScheduleStatus.ACTIVE


def evolve_schedule(state: Schedule | None, event: ScheduleEvent) -> Schedule:
    match event:
        case ScheduleCreated():
            return Schedule(created=event, beat_at=event.next_run_at, next_run_at=event.next_run_at)
        case ScheduleFired():
            return replace(known(state), next_run_at=event.next_run_at)
        case SchedulePaused():
            return replace(known(state), status=ScheduleStatus.PAUSED)
        case ScheduleResumed():
            return replace(
                known(state),
                status=ScheduleStatus.ACTIVE,
                beat_at=event.next_run_at,
                next_run_at=event.next_run_at,
            )
        case ScheduleRemoved():
            return replace(known(state), status=ScheduleStatus.REMOVED)
        case _:
            assert_never(event)


# --- rules


def decide_schedule(command: ScheduleCommand, state: Schedule | None, given: Given) -> tuple[ScheduleEvent, ...]:
    if isinstance(command, ScheduleScript):
        if state is not None:
            raise conflict(f"schedule {command.schedule_id} is known already; take another id")
        return (_created(command, given),)
    if state is None:
        raise not_found(f"schedule {command.schedule_id} is not known")
    match command:
        case FireSchedule():
            is_due = state.status is ScheduleStatus.ACTIVE and given.now >= state.next_run_at
            return (_fired(state, given.now),) if is_due else ()
        case PauseSchedule():
            _refuse_removed(command, state)
            return () if state.status is ScheduleStatus.PAUSED else (SchedulePaused(reason=command.reason),)
        case ResumeSchedule():
            _refuse_removed(command, state)
            resumed = ScheduleResumed(next_run_at=_first(state.created, given.now))
            return (resumed,) if state.status is ScheduleStatus.PAUSED else ()
        case RemoveSchedule():
            return () if state.status is ScheduleStatus.REMOVED else (ScheduleRemoved(reason=command.reason),)
        case _:
            assert_never(command)


def _created(command: ScheduleScript, given: Given) -> ScheduleCreated:
    if (command.cron is None) == (command.every_s is None):
        raise invalid("a schedule has either cron or every_s: give one of them")
    if twice := {device for device in command.device_ids if command.device_ids.count(device) > 1}:
        raise invalid(f"device_ids names {min(twice)} more than once")
    if given.streams.get(script_stream(command.script_id)) is None:
        raise not_found(f"script {command.script_id} is not known")
    return filled(ScheduleCreated, command, next_run_at=_first(command, given.now))


def _first(of: ScheduleScript | ScheduleCreated, now: datetime) -> datetime:
    if of.cron is None:
        return now + timedelta(seconds=known(of.every_s))
    try:
        found = next_cron(of.cron, of.timezone, now)
    except ValueError as error:
        raise invalid(str(error)) from None
    if found is None:
        raise invalid(f"cron {of.cron!r} names no time that will come")
    return found


def _fired(state: Schedule, now: datetime) -> ScheduleFired:
    """What was missed is run once: the next run is the first after now."""
    of = state.created
    after = max(now, state.next_run_at)
    every_s = of.every_s
    next_at = _first(of, after) if every_s is None else next_beat(state.beat_at, timedelta(seconds=every_s), after)
    return filled(ScheduleFired, of, due_at=state.next_run_at, next_run_at=next_at)


def _refuse_removed(command: ScheduleCommand, state: Schedule) -> None:
    if state.status is ScheduleStatus.REMOVED:
        raise not_allowed(f"schedule {command.schedule_id} is removed")


def schedule_reads(command: ScheduleCommand, _actor: Actor) -> tuple[StreamId, ...]:
    return (script_stream(command.script_id),) if isinstance(command, ScheduleScript) else ()


SCHEDULE = Decider(
    category="schedule",
    commands=classes_of(ScheduleCommand),
    events=classes_of(ScheduleEvent),
    decide=decide_schedule,
    evolve=evolve_schedule,
    reads=schedule_reads,
)
