"""These are the commands, the events, the state and the rules of one command that a device is to execute."""

from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, assert_never

from pydantic import Field

from domain.execution.script import USUAL_TIMEOUT_S, Script, Shell, TimeoutS, digest_of, script_stream
from domain.fleet.device import RETIRED, Device, device_stream
from domain.given import Given
from domain.message import Command, Decider, Event, classes_of, filled, known, value
from domain.rejection import conflict, not_allowed, not_found
from schemas.envelope import Actor, StreamId
from schemas.values import Body, Id, Text

PATIENCE = timedelta(seconds=120)
"""After a command's timeout, until it is over without a result. Source: the domain model, ExecutionWatchdog."""

# --- commands


@value
class _OfExecution(Command):
    execution_id: Id

    @property
    def stream(self) -> StreamId:
        return StreamId(f"command_execution-{self.execution_id}")


@value
class RunCommand(_OfExecution):
    """Have a device execute a command; its agent asks for it and reports the result."""

    device_id: Id
    shell: Shell
    body: Body
    timeout_s: TimeoutS = USUAL_TIMEOUT_S


@value
class RunScript(_OfExecution):
    """Have a device execute a script as it is now; a later change of the script does not change it."""

    device_id: Id
    script_id: Id
    timeout_s: TimeoutS | None = None


@value
class StartExecution(_OfExecution):
    """Say that the device has begun."""


@value
class ReportResult(_OfExecution):
    """Say how it ended, with an exit code if it ran, with an `error` if it could not.

    Shape: `stdout` is at most 64 Ki characters, and `truncated` says that it was longer.
    Units: `duration_ms` is in milliseconds.
    """

    exit_code: Annotated[int, Field(strict=True, ge=-(2**31), le=2**32)] | None = None
    stdout: Text = ""
    truncated: bool = False
    duration_ms: Annotated[int, Field(strict=True, ge=0, le=2**53)] = 0
    error: Text | None = None


@value
class CancelExecution(_OfExecution):
    reason: Text = ""


@value
class TimeOutExecution(_OfExecution):
    """Say that no result came in time; a process sends it."""

    IS_OURS: ClassVar = True


ExecutionCommand = RunCommand | RunScript | StartExecution | ReportResult | CancelExecution | TimeOutExecution

# --- events


@value
class CommandDispatched(Event):
    """Shape: `script_id` is that of the script whose text this is, None for a command; `digest` is its SHA-256."""

    TYPE: ClassVar = "command.dispatched"
    device_id: str
    shell: str
    body: str
    digest: str
    timeout_s: int
    script_id: str | None


@value
class CommandStarted(Event):
    TYPE: ClassVar = "command.started"
    by: str


@value
class CommandCompleted(Event):
    TYPE: ClassVar = "command.completed"
    exit_code: int
    stdout: str
    truncated: bool
    duration_ms: int


@value
class CommandFailed(Event):
    TYPE: ClassVar = "command.failed"
    error: str
    duration_ms: int


@value
class CommandTimedOut(Event):
    """Shape: `was` is the status in which it was waited for."""

    TYPE: ClassVar = "command.timed_out"
    was: str


@value
class CommandCancelled(Event):
    TYPE: ClassVar = "command.cancelled"
    reason: str


ExecutionEvent = (
    CommandDispatched | CommandStarted | CommandCompleted | CommandFailed | CommandTimedOut | CommandCancelled
)

# --- state


class ExecutionStatus(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    CANCELLED = "CANCELLED"


OPEN = (ExecutionStatus.PENDING, ExecutionStatus.RUNNING)
_WITH_RESULT = (ExecutionStatus.COMPLETED, ExecutionStatus.FAILED)


@value
class Execution:
    dispatched: CommandDispatched
    status: ExecutionStatus = ExecutionStatus.PENDING
    result: CommandCompleted | CommandFailed | None = None


def evolve_execution(state: Execution | None, event: ExecutionEvent) -> Execution:
    match event:
        case CommandDispatched():
            return Execution(dispatched=event)
        case CommandStarted():
            return replace(known(state), status=ExecutionStatus.RUNNING)
        case CommandCompleted():
            return replace(known(state), status=ExecutionStatus.COMPLETED, result=event)
        case CommandFailed():
            return replace(known(state), status=ExecutionStatus.FAILED, result=event)
        case CommandTimedOut():
            return replace(known(state), status=ExecutionStatus.TIMED_OUT)
        case CommandCancelled():
            return replace(known(state), status=ExecutionStatus.CANCELLED)
        case _:
            assert_never(event)


# --- rules


def decide_execution(command: ExecutionCommand, state: Execution | None, given: Given) -> tuple[ExecutionEvent, ...]:
    if isinstance(command, RunCommand | RunScript):
        if state is not None:
            raise conflict(f"execution {command.execution_id} is known already")
        return (_dispatched(command, given),)
    if state is None:
        raise not_found(f"execution {command.execution_id} is not known")
    match command:
        case StartExecution():
            return (CommandStarted(by=given.actor.id),) if state.status is ExecutionStatus.PENDING else ()
        case ReportResult():
            return _reported(command, state)
        case CancelExecution():
            return (CommandCancelled(reason=command.reason),) if state.status in OPEN else ()
        case TimeOutExecution():
            return (CommandTimedOut(was=state.status.value),) if state.status in OPEN else ()
        case _:
            assert_never(command)


def _dispatched(command: RunCommand | RunScript, given: Given) -> CommandDispatched:
    _refuse_retired(command.device_id, given.streams.get(device_stream(command.device_id)))
    if isinstance(command, RunCommand):
        return filled(
            CommandDispatched, command, shell=command.shell.value, digest=digest_of(command.body), script_id=None
        )
    script: Script | None = given.streams.get(script_stream(command.script_id))
    if script is None:
        raise not_found(f"script {command.script_id} is not known")
    return CommandDispatched(
        device_id=command.device_id,
        shell=script.shell,
        body=script.body,
        digest=script.digest,
        timeout_s=command.timeout_s or script.timeout_s,
        script_id=command.script_id,
    )


def _refuse_retired(device_id: str, device: Device | None) -> None:
    if device is None:
        raise not_found(f"device {device_id} is not known; register it first")
    if device.status in RETIRED:
        raise not_allowed(f"device {device_id} is {device.status}")


def _reported(command: ReportResult, state: Execution) -> tuple[ExecutionEvent, ...]:
    """A result that comes late counts too: what a device did, it did."""
    if (command.exit_code is None) == (command.error is None):
        raise not_allowed("a result has an exit_code if it ran, or an error if it could not: give one of them")
    result: CommandCompleted | CommandFailed = (
        filled(CommandCompleted, command) if command.error is None else filled(CommandFailed, command)
    )
    if state.status in _WITH_RESULT:
        if result == state.result:
            return ()
        raise conflict(f"execution {command.execution_id} has another result already")
    return (result,)


def execution_reads(command: ExecutionCommand, _actor: Actor) -> tuple[StreamId, ...]:
    match command:
        case RunCommand():
            return (device_stream(command.device_id),)
        case RunScript():
            return (device_stream(command.device_id), script_stream(command.script_id))
        case _:
            return ()


COMMAND_EXECUTION = Decider(
    category="command_execution",
    commands=classes_of(ExecutionCommand),
    events=classes_of(ExecutionEvent),
    decide=decide_execution,
    evolve=evolve_execution,
    reads=execution_reads,
)
