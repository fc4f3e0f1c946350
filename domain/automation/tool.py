"""These are the commands, the events and the state of a tool, a task that workflows and agents ask for."""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, assert_never

from pydantic import Field, StringConstraints

from domain.message import Command, Event, classes_of, filled, known, value
from domain.operations.task import Attempts, TaskKind, TaskSeconds
from schemas.envelope import StreamId
from schemas.json_text import Json, JsonObject
from schemas.values import Id, Name, Text

MAX_PER_MINUTE = 30
"""Source: the domain model, limits."""

MINUTE = timedelta(minutes=1)

ToolExecutionId = Annotated[Id, StringConstraints(max_length=100)]

PerMinute = Annotated[int, Field(strict=True, ge=1, le=MAX_PER_MINUTE)]

RUN = "tool_run"
"""The name of the process that has an execution done; its instances are called as executions."""

_TASK_PREFIX = "tool-run-"


def tool_stream(tool_id: str) -> StreamId:
    return StreamId(f"tool-{tool_id}")


def run_stream(execution_id: str) -> StreamId:
    return StreamId(f"{RUN}-{execution_id}")


def task_id_of(execution_id: str) -> str:
    """Return the id of the task that does an execution."""
    return f"{_TASK_PREFIX}{execution_id}"


def execution_of(task_id: str) -> str | None:
    """Return the execution that a task does, None where its name is that of another task."""
    return task_id.removeprefix(_TASK_PREFIX) if task_id.startswith(_TASK_PREFIX) else None


# --- commands


@value
class _OfTool(Command):
    tool_id: Id

    @property
    def stream(self) -> StreamId:
        return tool_stream(self.tool_id)


@value
class RegisterTool(_OfTool):
    """Make a task of some kind a tool.

    Shape: `parameters` is a JSON Schema of what a caller may give, draft 2020-12; what it does not name is refused.
    What is in `fixed` no caller can change: the task's input has it in place of what was given under the same name.
    """

    name: Name
    description: Text = ""
    kind: TaskKind
    parameters: JsonObject
    fixed: JsonObject | None = None
    limit_per_minute: PerMinute = MAX_PER_MINUTE
    timeout_s: TaskSeconds = 300
    attempts: Attempts = 3


@value
class UpdateTool(_OfTool):
    """Make another version of the tool; what is left out stays as it is."""

    name: Name | None = None
    description: Text | None = None
    kind: TaskKind | None = None
    parameters: JsonObject | None = None
    fixed: JsonObject | None = None
    limit_per_minute: PerMinute | None = None
    timeout_s: TaskSeconds | None = None
    attempts: Attempts | None = None


@value
class RetireTool(_OfTool):
    """It is not executed any more; what runs goes on."""

    reason: Text = ""


@value
class ExecuteTool(_OfTool):
    """Have the tool's task done. Shape: `parent` is given by the engine, for whoever waits for the end."""

    execution_id: ToolExecutionId
    parameters: Json = None
    parent: str | None = None


@value
class CancelToolExecution(_OfTool):
    execution_id: ToolExecutionId
    reason: Text = ""


@value
class SettleToolExecution(_OfTool):
    """Take over how the task ended; before that it changes nothing."""

    IS_OURS: ClassVar = True
    execution_id: ToolExecutionId


@value
class FailToolExecution(_OfTool):
    IS_OURS: ClassVar = True
    execution_id: ToolExecutionId
    error: Text


ToolCommand = (
    RegisterTool | UpdateTool | RetireTool | ExecuteTool | CancelToolExecution | SettleToolExecution | FailToolExecution
)

# --- events


@value
class _Says(Event):
    """Shape: `parameters` and `fixed` are JSON."""

    version: int
    name: str
    description: str
    kind: str
    parameters: str
    fixed: str | None
    limit_per_minute: int
    timeout_s: int
    attempts: int


@value
class ToolRegistered(_Says):
    TYPE: ClassVar = "tool.registered"


@value
class ToolUpdated(_Says):
    """All that it says now."""

    TYPE: ClassVar = "tool.updated"


@value
class ToolRetired(Event):
    TYPE: ClassVar = "tool.retired"
    reason: str


@value
class _OfExecution(Event):
    """Shape: `parent` is who waits for the end, None where nobody does."""

    tool_id: str
    tool_version: int
    execution_id: str
    parent: str | None
    timestamp: datetime


@value
class ToolExecutionStarted(_OfExecution):
    """Shape: `parameters` is what the caller gave, `input` what the task is given; both are JSON."""

    TYPE: ClassVar = "tool.execution.started"
    kind: str
    parameters: str
    input: str
    timeout_s: int
    attempts: int


@value
class _ExecutionEnded(_OfExecution):
    duration_ms: int


@value
class ToolExecutionCompleted(_ExecutionEnded):
    """Shape: `output` is JSON."""

    TYPE: ClassVar = "tool.execution.completed"
    output: str


@value
class ToolExecutionFailed(_ExecutionEnded):
    TYPE: ClassVar = "tool.execution.failed"
    error: str


@value
class ToolExecutionCancelled(_ExecutionEnded):
    TYPE: ClassVar = "tool.execution.cancelled"
    reason: str


ToolEvent = (
    ToolRegistered
    | ToolUpdated
    | ToolRetired
    | ToolExecutionStarted
    | ToolExecutionCompleted
    | ToolExecutionFailed
    | ToolExecutionCancelled
)

# --- state


@value
class ToolRun:
    tool_version: int
    started_at: datetime
    parent: str | None


@value
class Tool:
    """What a tool says now.

    Shape: `running` are the executions that have not ended, by their ids; `began` is when the last ones did, at most as
    many as any tool may have in a minute.
    """

    version: int
    name: str
    description: str
    kind: str
    parameters: str
    fixed: str | None
    limit_per_minute: int
    timeout_s: int
    attempts: int
    retired: bool = False
    running: Mapping[str, ToolRun] = field(default_factory=dict)
    began: tuple[datetime, ...] = ()


def evolve_tool(state: Tool | None, event: ToolEvent) -> Tool:
    if isinstance(event, ToolRegistered):
        return filled(Tool, event)
    tool = known(state)
    match event:
        case ToolUpdated():
            return filled(Tool, event, retired=tool.retired, running=tool.running, began=tool.began)
        case ToolRetired():
            return replace(tool, retired=True)
        case ToolExecutionStarted():
            run = filled(ToolRun, event, started_at=event.timestamp)
            began = (*tool.began, event.timestamp)[-MAX_PER_MINUTE:]
            return replace(tool, running={**tool.running, event.execution_id: run}, began=began)
        case ToolExecutionCompleted() | ToolExecutionFailed() | ToolExecutionCancelled():
            running = {id_: run for id_, run in tool.running.items() if id_ != event.execution_id}
            return replace(tool, running=running)
        case _:
            assert_never(event)


COMMANDS = classes_of(ToolCommand)
EVENTS = classes_of(ToolEvent)
