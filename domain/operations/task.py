"""These are the commands, the events, the state and the rules of a task, which a worker outside claims and does."""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, assert_never

from pydantic import Field, StringConstraints

from domain.backoff import backoff
from domain.given import Given
from domain.message import Command, Decider, Event, classes_of, filled, known, value
from domain.operations.delivery import DELIVER, SENDER, delivery_of
from domain.rejection import conflict, not_allowed, not_found
from schemas.envelope import StreamId
from schemas.json_text import MAX_DEPTH, MAX_JSON_BYTES, Json, json_text
from schemas.values import Id, Name, Text

TaskKind = Annotated[str, StringConstraints(max_length=80, pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$")]
"""What a worker has to be able to do, as in `http.check`."""

TaskSeconds = Annotated[int, Field(strict=True, ge=1, le=7 * 86_400)]
Attempts = Annotated[int, Field(strict=True, ge=1, le=100)]

_POSTPONED_FOR = timedelta(days=1)


def task_stream(task_id: str) -> StreamId:
    return StreamId(f"task-{task_id}")


# --- commands


@value
class _OfTask(Command):
    task_id: Id

    @property
    def stream(self) -> StreamId:
        return task_stream(self.task_id)


@value
class RequestTask(_OfTask):
    """Ask whoever can do tasks of this kind.

    Shape: an attempt ends `timeout_s` after its claim, or `heartbeat_s` after its last heartbeat where that is given.
    An attempt that fails or ends without an answer is followed by another, up to `attempts` of them, the second after
    `backoff_s`, each later one after twice the time of the one before.
    """

    kind: TaskKind
    input: Json = None
    timeout_s: TaskSeconds = 300
    heartbeat_s: TaskSeconds | None = None
    attempts: Attempts = 3
    backoff_s: Annotated[int, Field(strict=True, ge=0, le=86_400)] = 5


@value
class ClaimTask(_OfTask):
    """Take the task for this worker; whoever says an `attempt` gets that one or nothing."""

    worker: Name
    attempt: Annotated[int, Field(strict=True)] | None = None


@value
class HeartbeatTask(_OfTask):
    """Say that the attempt goes on."""

    attempt: Annotated[int, Field(strict=True)]


Tokens = Annotated[int, Field(strict=True, ge=0, le=1_000_000_000)]


@value
class ModelUse:
    """What a language model was given and gave, as its provider counts it."""

    provider: Name
    model: Name
    input_tokens: Tokens
    output_tokens: Tokens


@value
class CompleteTask(_OfTask):
    """Give the output of the attempt; `usage` says which model was used for it, and how much."""

    attempt: Annotated[int, Field(strict=True)]
    output: Json = None
    usage: ModelUse | None = None


@value
class FailTask(_OfTask):
    """Say that the attempt failed; without `retryable` there is no other one."""

    attempt: Annotated[int, Field(strict=True)]
    error: Text
    retryable: bool = True


@value
class PostponeTask(_OfTask):
    """Say that the attempt was not made and does not count; a day after the first time it is as if it had failed."""

    attempt: Annotated[int, Field(strict=True)]
    reason: Text
    retry_after_s: Annotated[int, Field(strict=True, ge=1, le=3_600)]


@value
class TimeOutTask(_OfTask):
    """End an attempt whose lease is over; before that it changes nothing."""


@value
class CancelTask(_OfTask):
    reason: Text = ""


TaskCommand = (
    RequestTask | ClaimTask | HeartbeatTask | CompleteTask | FailTask | PostponeTask | TimeOutTask | CancelTask
)

# --- events


@value
class TaskRequested(Event):
    """Shape: `input` is JSON."""

    TYPE: ClassVar = "task.requested"
    kind: str
    input: str
    timeout_s: int
    heartbeat_s: int | None
    attempts: int
    backoff_s: int


@value
class TaskClaimed(Event):
    TYPE: ClassVar = "task.claimed"
    worker: str
    attempt: int
    claimed_at: datetime
    lease_until: datetime


@value
class TaskHeartbeat(Event):
    TYPE: ClassVar = "task.heartbeat"
    attempt: int
    lease_until: datetime


@value
class TaskModelUsed(Event):
    """Shape: it comes just before task.completed."""

    TYPE: ClassVar = "task.model.used"
    attempt: int
    provider: str
    model: str
    input_tokens: int
    output_tokens: int


@value
class TaskCompleted(Event):
    """Shape: `output` is JSON."""

    TYPE: ClassVar = "task.completed"
    attempt: int
    output: str


@value
class TaskFailed(Event):
    """Shape: `retry_at` is when another attempt may begin, None where there is none."""

    TYPE: ClassVar = "task.failed"
    attempt: int
    error: str
    retryable: bool
    retry_at: datetime | None


@value
class TaskPostponed(Event):
    """Shape: `postponed` counts how often that was done; `since` is when it was done first."""

    TYPE: ClassVar = "task.postponed"
    attempt: int
    reason: str
    retry_at: datetime
    postponed: int
    since: datetime


@value
class TaskTimedOut(Event):
    """Shape: `retry_at` as in task.failed."""

    TYPE: ClassVar = "task.timed_out"
    attempt: int
    retry_at: datetime | None


@value
class TaskCancelled(Event):
    TYPE: ClassVar = "task.cancelled"
    reason: str


TaskEvent = (
    TaskRequested
    | TaskClaimed
    | TaskHeartbeat
    | TaskModelUsed
    | TaskCompleted
    | TaskFailed
    | TaskPostponed
    | TaskTimedOut
    | TaskCancelled
)

# --- state


class TaskStatus(StrEnum):
    WAITING = "WAITING"
    """A worker may claim it, from `ready_at` on."""
    CLAIMED = "CLAIMED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    CANCELLED = "CANCELLED"


@value
class Task:
    """Shape: `attempt` counts the claims, of which `postponed` were none in truth, since `postponed_since`.

    `ended_by` is the answer that ended it: JSON where it is COMPLETED.
    """

    requested: TaskRequested
    status: TaskStatus = TaskStatus.WAITING
    attempt: int = 0
    claimed_at: datetime | None = None
    lease_until: datetime | None = None
    ready_at: datetime | None = None
    ended_by: str = ""
    postponed: int = 0
    postponed_since: datetime | None = None

    @property
    def is_over(self) -> bool:
        return self.status not in (TaskStatus.WAITING, TaskStatus.CLAIMED)

    @property
    def answer(self) -> str:
        """Return the output of a task that is over, as JSON, or in words why there is none."""
        return f"the task was cancelled: {self.ended_by}" if self.status is TaskStatus.CANCELLED else self.ended_by


def evolve_task(state: Task | None, event: TaskEvent) -> Task:
    if isinstance(event, TaskRequested):
        return Task(requested=event)
    task = known(state)
    match event:
        case TaskClaimed():
            return replace(
                task,
                status=TaskStatus.CLAIMED,
                attempt=event.attempt,
                claimed_at=event.claimed_at,
                lease_until=event.lease_until,
            )
        case TaskHeartbeat():
            return replace(task, lease_until=event.lease_until)
        case TaskModelUsed():
            return task
        case TaskCompleted():
            return replace(task, status=TaskStatus.COMPLETED, ended_by=event.output)
        case TaskFailed():
            return _after(task, TaskStatus.FAILED, event.retry_at, event.error)
        case TaskPostponed():
            waits = _after(task, TaskStatus.FAILED, event.retry_at, event.reason)
            return replace(waits, postponed=event.postponed, postponed_since=event.since)
        case TaskTimedOut():
            return _after(task, TaskStatus.TIMED_OUT, event.retry_at, "no answer came in time")
        case TaskCancelled():
            return replace(task, status=TaskStatus.CANCELLED, ended_by=event.reason)
        case _:
            assert_never(event)


def _after(task: Task, status: TaskStatus, retry_at: datetime | None, reason: str) -> Task:
    if retry_at is None:
        return replace(task, status=status, ended_by=reason)
    return replace(task, status=TaskStatus.WAITING, ready_at=retry_at)


# --- rules


def decide_task(command: TaskCommand, state: Task | None, given: Given) -> tuple[TaskEvent, ...]:
    if isinstance(command, RequestTask):
        is_delivery = command.kind == DELIVER or delivery_of(command.task_id) is not None
        if is_delivery and given.actor != SENDER:
            # whoever does it is given the events that its input names
            raise not_allowed(
                f"the kind {DELIVER} and ids like webhook-shop~1 are for what is sent to webhook endpoints; take others"
            )
        if state is not None:
            raise conflict(f"task {command.task_id} is requested already; a new task needs a new task_id")
        # what the engine asks for may have the input of a node in it
        input_ = json_text(command.input, most=2 * MAX_JSON_BYTES, depth=2 * MAX_DEPTH)
        return (filled(TaskRequested, command, input=input_),)
    if state is None:
        raise not_found(f"task {command.task_id} is not known")
    match command:
        case ClaimTask():
            return _claim(command, state, given.now)
        case HeartbeatTask() | CompleteTask() | FailTask() | PostponeTask():
            return _answer(command, state, given.now)
        case TimeOutTask():
            if state.status is not TaskStatus.CLAIMED or given.now < (state.lease_until or given.now):
                return ()
            return (TaskTimedOut(attempt=state.attempt, retry_at=_retry_at(state, given.now)),)
        case CancelTask():
            return () if state.is_over else (TaskCancelled(reason=command.reason),)
        case _:
            assert_never(command)


def _answer(
    command: HeartbeatTask | CompleteTask | FailTask | PostponeTask, state: Task, now: datetime
) -> tuple[TaskEvent, ...]:
    """Take what a worker says of its attempt. Raises: CommandRejected, it is not the one that goes on."""
    output = json_text(command.output) if isinstance(command, CompleteTask) else ""
    if (state.status, state.attempt, state.ended_by) == (TaskStatus.COMPLETED, command.attempt, output):
        return ()
    if state.status is not TaskStatus.CLAIMED or command.attempt != state.attempt:
        stands = f"task {command.task_id} is {state.status} in attempt {state.attempt}"
        raise conflict(f"{stands}; stop the work on attempt {command.attempt}")
    match command:
        case HeartbeatTask():
            lease_until = _lease(state, state.claimed_at or now, now)
            return (TaskHeartbeat(attempt=state.attempt, lease_until=lease_until),)
        case CompleteTask():
            used = (filled(TaskModelUsed, command.usage, attempt=state.attempt),) if command.usage else ()
            return (*used, TaskCompleted(attempt=state.attempt, output=output))
        case FailTask():
            return (filled(TaskFailed, command, retry_at=_retry_at(state, now) if command.retryable else None),)
        case PostponeTask():
            return (_postpone(command, state, now),)
        case _:
            assert_never(command)


def _postpone(command: PostponeTask, state: Task, now: datetime) -> TaskPostponed | TaskFailed:
    since = state.postponed_since or now
    if now >= since + _POSTPONED_FOR:
        return TaskFailed(attempt=state.attempt, error=command.reason, retryable=True, retry_at=_retry_at(state, now))
    retry_at = now + timedelta(seconds=command.retry_after_s)
    return filled(TaskPostponed, command, retry_at=retry_at, postponed=state.postponed + 1, since=since)


def _claim(command: ClaimTask, state: Task, now: datetime) -> tuple[TaskEvent, ...]:
    attempt = state.attempt + 1
    if state.status is not TaskStatus.WAITING or command.attempt not in (None, attempt):
        raise conflict(f"task {command.task_id} is {state.status} in attempt {state.attempt}; claim another one")
    if state.ready_at is not None and now < state.ready_at:
        raise not_allowed(f"task {command.task_id} waits until {state.ready_at.isoformat()} for its next attempt")
    lease_until = _lease(state, now, now)
    return (TaskClaimed(worker=command.worker, attempt=attempt, claimed_at=now, lease_until=lease_until),)


def _lease(state: Task, claimed_at: datetime, now: datetime) -> datetime:
    """Return when an attempt ends by itself, if nothing more is heard of it."""
    asked = state.requested
    end = claimed_at + timedelta(seconds=asked.timeout_s)
    return end if asked.heartbeat_s is None else min(end, now + timedelta(seconds=asked.heartbeat_s))


def _retry_at(state: Task, now: datetime) -> datetime | None:
    made = state.attempt - state.postponed
    if made >= state.requested.attempts:
        return None
    return now + backoff(timedelta(seconds=state.requested.backoff_s), made)


TASK = Decider(
    category="task",
    commands=classes_of(TaskCommand),
    events=classes_of(TaskEvent),
    decide=decide_task,
    evolve=evolve_task,
)
