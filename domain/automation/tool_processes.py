"""This process of the automation context has executions of tools done, as tasks."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar

from domain.automation.tool import (
    RUN,
    FailToolExecution,
    SettleToolExecution,
    Tool,
    ToolExecutionCancelled,
    ToolExecutionStarted,
    execution_of,
    task_id_of,
)
from domain.message import Event, filled, value
from domain.operations.processes import later
from domain.operations.task import CancelTask, RequestTask, TaskCancelled, TaskCompleted, TaskFailed, TaskTimedOut
from domain.process import Action, Around, Ask, Note, Process, ProcessAnswered, TimerFired, Wait
from schemas.envelope import Envelope, id_of
from schemas.json_text import json_value

_AGAIN = "again"
_TASK, _SETTLE, _FAIL, _CANCEL = "request_task", "settle", "fail", "cancel"


@value
class ToolRunNoted(Event):
    """An execution is being done; of which tool it is."""

    TYPE: ClassVar = "tool_run.noted"
    tool_id: str


@value
class Run:
    """Shape: `refused` is why the task could not be requested, None while nothing speaks against it."""

    tool_id: str
    refused: str | None = None


_MOST_APART = 60

_OfTask = TaskCompleted | TaskFailed | TaskTimedOut | TaskCancelled


def next_try(free_at: datetime, tried: int) -> datetime:
    """Return when to ask again for a tool that was executed too often, after so many tries.

    Shape: the longer somebody waits, the later they ask, at most a minute: else all that wait would ask at the same
    instant, again and again.
    """
    return free_at + timedelta(seconds=min(tried - 1, _MOST_APART))


_Heard = ToolExecutionStarted | ToolExecutionCancelled | _OfTask


def _run_of(event: _Heard, envelope: Envelope) -> str | None:
    if isinstance(event, ToolExecutionStarted | ToolExecutionCancelled):
        return event.execution_id
    return execution_of(id_of(envelope.stream))


def evolve_tool_run(state: Run | None, event: Event) -> Run | None:
    match event:
        case ToolRunNoted():
            return Run(tool_id=event.tool_id)
        case ProcessAnswered(step=step) if step == _TASK and event.refused and state is not None:
            return replace(state, refused=event.reason or "")
        case _:
            return state


def react_tool_run(state: Run | None, event: _Heard | TimerFired | ProcessAnswered, around: Around) -> Sequence[Action]:
    if isinstance(event, ToolExecutionStarted):
        request = filled(RequestTask, event, task_id=task_id_of(around.id), input=json_value(event.input))
        return [Note(ToolRunNoted(tool_id=event.tool_id)), Ask(_TASK, request)]
    if state is None:
        # a task that nobody asked for here, which only has such a name
        return []
    match event:
        case ToolExecutionCancelled():
            return [Ask(_CANCEL, CancelTask(task_id=task_id_of(around.id), reason="the execution was cancelled"))]
        case TimerFired():
            return [_end(state, around.id)]
        case ProcessAnswered():
            return _answered(state, event, around)
        case TaskFailed() | TaskTimedOut() if event.retry_at is not None:
            return []
        case _:
            return [_end(state, around.id)]


def _answered(state: Run, event: ProcessAnswered, around: Around) -> Sequence[Action]:
    if not event.refused or event.step == _CANCEL:
        return []
    if event.step == _TASK:
        return [_end(state, around.id)]
    # the tool cannot be read now, or its tenant is suspended
    return [Wait(_AGAIN, around.now + later(around.attempts[event.step]))]


def _end(state: Run, execution_id: str) -> Ask:
    if state.refused is not None:
        return Ask(_FAIL, FailToolExecution(tool_id=state.tool_id, execution_id=execution_id, error=state.refused))
    return Ask(_SETTLE, SettleToolExecution(tool_id=state.tool_id, execution_id=execution_id))


def _is_wanted(tool: Tool | None, event: Event) -> bool:
    """Return whether an execution is to be done still: not once it was cancelled."""
    return not isinstance(event, ToolExecutionStarted) or (tool is not None and event.execution_id in tool.running)


TOOL_RUN = Process(
    name=RUN,
    listens=(ToolExecutionStarted, ToolExecutionCancelled, TaskCompleted, TaskFailed, TaskTimedOut, TaskCancelled),
    route=_run_of,
    events=(ToolRunNoted,),
    evolve=evolve_tool_run,
    react=react_tool_run,
    still=_is_wanted,
)
