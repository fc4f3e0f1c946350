"""This process of the operations context ends the attempts of tasks whose leases are over."""

from collections.abc import Sequence
from datetime import timedelta

from domain.backoff import backoff
from domain.operations.task import (
    TaskCancelled,
    TaskClaimed,
    TaskCompleted,
    TaskFailed,
    TaskHeartbeat,
    TaskPostponed,
    TaskTimedOut,
    TimeOutTask,
)
from domain.process import Action, Around, Ask, Forget, Process, ProcessAnswered, TimerFired, Wait, same_id

_LEASE, _TIME_OUT = "lease", "time_out"
_FIRST_RETRY = timedelta(seconds=10)

_OfTask = TaskClaimed | TaskHeartbeat | TaskCompleted | TaskFailed | TaskPostponed | TaskTimedOut | TaskCancelled


def react_task_lease(_state: None, event: _OfTask | TimerFired | ProcessAnswered, around: Around) -> Sequence[Action]:
    match event:
        case TaskClaimed() | TaskHeartbeat():
            return [Wait(_LEASE, event.lease_until)]
        case TimerFired():
            return [Ask(_TIME_OUT, TimeOutTask(task_id=around.id))]
        case ProcessAnswered():
            # the task cannot be read now, or its tenant is suspended
            return [Wait(_LEASE, around.now + later(around.attempts[_TIME_OUT]))] if event.refused else []
        case _:
            return [Forget(_LEASE)]


def later(attempts: int) -> timedelta:
    """Return the time until what was refused is asked again."""
    return backoff(_FIRST_RETRY, attempts)


TASK_LEASE = Process(
    name="task_lease",
    listens=(TaskClaimed, TaskHeartbeat, TaskCompleted, TaskFailed, TaskPostponed, TaskTimedOut, TaskCancelled),
    route=same_id,
    react=react_task_lease,
)
