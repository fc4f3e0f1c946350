"""These are the processes of the execution context: schedules run, and a command without a result is given up."""

from collections.abc import Sequence
from datetime import timedelta

from domain.backoff import backoff
from domain.execution.command_execution import (
    PATIENCE,
    CommandCancelled,
    CommandCompleted,
    CommandDispatched,
    CommandFailed,
    CommandTimedOut,
    RunScript,
    TimeOutExecution,
)
from domain.execution.schedule import (
    FireSchedule,
    ScheduleCreated,
    ScheduleFired,
    SchedulePaused,
    ScheduleRemoved,
    ScheduleResumed,
)
from domain.process import Action, Around, Ask, Forget, Process, ProcessAnswered, TimerFired, Wait, same_id

_FIRST_RETRY, _LAST_RETRY = timedelta(minutes=2), timedelta(hours=1)


def _retry(around: Around, step: str) -> timedelta:
    """Return the time until the next attempt of what could not be done now."""
    return backoff(_FIRST_RETRY, around.attempts[step], _LAST_RETRY)


# --- a command of which no result comes is over

_LATE, _GIVE_UP = "late", "give_up"
_Ended = CommandCompleted | CommandFailed | CommandTimedOut | CommandCancelled


def react_execution_watchdog(
    _state: None, event: CommandDispatched | _Ended | TimerFired | ProcessAnswered, around: Around
) -> Sequence[Action]:
    match event:
        case CommandDispatched():
            return [Wait(_LATE, around.now + timedelta(seconds=event.timeout_s) + PATIENCE)]
        case TimerFired():
            return [Ask(_GIVE_UP, TimeOutExecution(execution_id=around.id))]
        case ProcessAnswered():
            return [Wait(_LATE, around.now + _retry(around, _GIVE_UP))] if event.refused else []
        case _:
            return [Forget(_LATE)]


EXECUTION_WATCHDOG = Process(
    name="execution_watchdog",
    listens=(CommandDispatched, CommandCompleted, CommandFailed, CommandTimedOut, CommandCancelled),
    route=same_id,
    react=react_execution_watchdog,
)

# --- a schedule runs its script at each of its times

_RUN, _FIRE = "run", "fire"
_OfSchedule = ScheduleCreated | ScheduleFired | SchedulePaused | ScheduleResumed | ScheduleRemoved


def react_schedule_runner(
    _state: None, event: _OfSchedule | TimerFired | ProcessAnswered, around: Around
) -> Sequence[Action]:
    match event:
        case ScheduleCreated() | ScheduleResumed():
            return [Wait(_RUN, event.next_run_at)]
        case ScheduleFired():
            return [*_runs(event, around), Wait(_RUN, event.next_run_at)]
        case TimerFired():
            return [Ask(_FIRE, FireSchedule(schedule_id=around.id))]
        case ProcessAnswered():
            # a device that is gone stays visible as the instance's last error, and does not keep the others waiting
            is_stuck = event.refused and event.step == _FIRE
            return [Wait(_RUN, around.now + _retry(around, _FIRE))] if is_stuck else []
        case _:
            return [Forget(_RUN)]


def _runs(event: ScheduleFired, around: Around) -> list[Action]:
    due = f"{event.due_at:%Y%m%dT%H%M%SZ}"
    return [
        Ask(
            f"run:{device_id}",
            RunScript(
                execution_id=f"{around.id}~{due}~{number}",
                device_id=device_id,
                script_id=event.script_id,
                timeout_s=event.timeout_s,
            ),
        )
        for number, device_id in enumerate(event.device_ids, 1)
    ]


SCHEDULE_RUNNER = Process(
    name="schedule_runner",
    listens=(ScheduleCreated, ScheduleFired, SchedulePaused, ScheduleResumed, ScheduleRemoved),
    route=same_id,
    react=react_schedule_runner,
)
