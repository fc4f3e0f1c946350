"""This process of the automation context asks models and tools for what an agent's run waits for."""

from collections.abc import Sequence
from typing import assert_never

from domain.automation.agent_execution import (
    ActionApproved,
    ActionFailed,
    ActionProposed,
    ActionRetried,
    AgentExecutionAsked,
    AgentExecutionCancelled,
    AgentExecutionFailed,
    AgentExecutionStarted,
    EvaluateAction,
    FailAgentExecution,
    PrepareAgentExecution,
    RetryAction,
    SettleAction,
    TakeAnswer,
    action_token,
    chat_task_id,
)
from domain.automation.agent_execution_state import AgentExecution, AgentExecutionStatus
from domain.automation.tool import (
    CancelToolExecution,
    ExecuteTool,
    ToolExecutionCancelled,
    ToolExecutionCompleted,
    ToolExecutionFailed,
)
from domain.automation.tool_processes import next_try
from domain.message import Event, filled
from domain.operations.processes import later
from domain.operations.task import CancelTask, RequestTask, TaskCancelled, TaskCompleted, TaskFailed, TaskTimedOut
from domain.process import Action, Around, Ask, Forget, Process, ProcessAnswered, TimerFired, Wait
from domain.rejection import Kind, free_again
from schemas.envelope import Envelope, id_of
from schemas.json_text import json_value

CHAT = "chat.complete"

# what a command is asked for, and of which step or action it is after the "~"
_PREPARE, _CHAT, _ANSWER, _EVALUATE, _TOOL, _SETTLE = "prepare", "chat", "answer", "evaluate", "tool", "settle"
_AGAIN, _CANCEL, _FAIL = "again", "cancel", "fail"

_HEARTBEAT_S = 60
"""A worker that is gone is noticed after that time, and not only when the model had all of its time."""

_OfTask = TaskCompleted | TaskFailed | TaskTimedOut | TaskCancelled
_OfTool = ToolExecutionCompleted | ToolExecutionFailed | ToolExecutionCancelled
_OfRun = (
    AgentExecutionStarted
    | AgentExecutionAsked
    | ActionProposed
    | ActionApproved
    | ActionRetried
    | ActionFailed
    | AgentExecutionFailed
    | AgentExecutionCancelled
)
_Heard = _OfRun | _OfTask | _OfTool


def _run_of(event: _Heard, envelope: Envelope) -> str | None:
    match event:
        case TaskCompleted() | TaskFailed() | TaskTimedOut() | TaskCancelled():
            name = id_of(envelope.stream)
        case ToolExecutionCompleted() | ToolExecutionFailed() | ToolExecutionCancelled():
            name = event.parent or ""
        case _:
            return event.execution_id
    # a run of a workflow's node has more parts in its name; of those that nobody asked for here nothing is begun
    execution_id, *of = name.split("~")
    return execution_id if len(of) == 1 else None


def evolve_agent_run(state: str | None, event: Event) -> str | None:
    """Return why the run cannot go on, None while nothing speaks against it."""
    match event:
        case ProcessAnswered(step=step) if event.refused and _kind(step) in (
            _PREPARE,
            _CHAT,
            _ANSWER,
            _EVALUATE,
            _SETTLE,
        ):
            return state or event.reason
        case _:
            return state


def react_agent_run(
    state: str | None, event: _Heard | TimerFired | ProcessAnswered, around: Around
) -> Sequence[Action]:
    match event:
        case TimerFired():
            return [_again(state, event.name, around.id)]
        case ProcessAnswered():
            return _answered(state, event, around)
        case TaskFailed() | TaskTimedOut() if event.retry_at is not None:
            return []
        case TaskCompleted() | TaskFailed() | TaskTimedOut() | TaskCancelled():
            step = _last_step(around)
            return [] if step is None else [Ask(f"{_ANSWER}~{step}", TakeAnswer(execution_id=around.id, step=step))]
        case ToolExecutionCompleted() | ToolExecutionFailed() | ToolExecutionCancelled():
            return _tool_ended(event, around)
        case _:
            return _of_run(event, around)


def _of_run(event: _OfRun, around: Around) -> Sequence[Action]:
    match event:
        case AgentExecutionStarted():
            prepare = PrepareAgentExecution(execution_id=around.id, model_id=event.model_id, tools=event.tools)
            return [Ask(_PREPARE, prepare)]
        case AgentExecutionAsked():
            task_id = chat_task_id(around.id, event.step)
            request = RequestTask(task_id=task_id, kind=CHAT, input=json_value(event.input), heartbeat_s=_HEARTBEAT_S)
            return [Ask(f"{_CHAT}~{event.step}", request)]
        case ActionProposed():
            return [Ask(f"{_EVALUATE}~{event.action_id}", filled(EvaluateAction, event))]
        case ActionApproved() | ActionRetried():
            return [_execute(event, around.id)]
        case ActionFailed():
            return _stop_tool(event, around)
        case AgentExecutionFailed() | AgentExecutionCancelled():
            return [*(Forget(name) for name in around.timers), *_stop_chat(around)]
        case _:
            assert_never(event)


def _kind(step: str) -> str:
    return step.partition("~")[0]


def _execute(event: ActionApproved | ActionRetried, execution_id: str) -> Ask:
    token = action_token(execution_id, event.action_id)
    execute = ExecuteTool(
        tool_id=event.tool_id, execution_id=token, parameters=json_value(event.parameters), parent=token
    )
    return Ask(f"{_TOOL}~{event.action_id}", execute)


def _last_step(around: Around) -> int | None:
    """Return the step in which the model was asked last; before that no other one is open."""
    return max((int(name.partition("~")[2]) for name in around.attempts if _kind(name) == _CHAT), default=None)


def _tool_ended(event: _OfTool, around: Around) -> Sequence[Action]:
    action_id = (event.parent or "").partition("~")[2]
    if f"{_TOOL}~{action_id}" not in around.attempts or f"{_CANCEL}~{action_id}" in around.attempts:
        return []
    match event:
        case ToolExecutionCompleted():
            return [_settle(around.id, action_id, output=event.output)]
        case ToolExecutionFailed():
            return [_settle(around.id, action_id, error=event.error)]
        case ToolExecutionCancelled():
            return [_settle(around.id, action_id, error=f"the execution of the tool was cancelled: {event.reason}")]


def _settle(execution_id: str, action_id: str, *, output: str | None = None, error: str = "") -> Ask:
    settle = SettleAction(execution_id=execution_id, action_id=action_id, output=output, error=error)
    return Ask(f"{_SETTLE}~{action_id}", settle)


def _answered(state: str | None, event: ProcessAnswered, around: Around) -> Sequence[Action]:
    kind, _, of = event.step.partition("~")
    if not event.refused or kind == _CANCEL:
        return []
    reason = event.reason or ""
    if kind == _TOOL:
        if event.kind != Kind.NOT_NOW:
            return [_settle(around.id, of, error=reason)]
        free_at = free_again(reason)
        tried = around.attempts[event.step]
        again_at = around.now + later(tried) if free_at is None else next_try(free_at, tried)
        return [Wait(f"{_AGAIN}~{of}", again_at)]
    if kind in (_AGAIN, _FAIL):
        # the run cannot be read now, or its tenant is suspended
        return [Wait(event.step, around.now + later(around.attempts[event.step]))]
    return [_fail(state or reason, around.id)]


def _again(state: str | None, timer: str, execution_id: str) -> Ask:
    kind, _, action_id = timer.partition("~")
    if kind == _AGAIN:
        return Ask(timer, RetryAction(execution_id=execution_id, action_id=action_id))
    return _fail(state or "", execution_id)


def _fail(reason: str, execution_id: str) -> Ask:
    return Ask(_FAIL, FailAgentExecution(execution_id=execution_id, error=reason))


def _stop_chat(around: Around) -> Sequence[Action]:
    step = _last_step(around)
    if step is None:
        return []
    return [Ask(_CANCEL, CancelTask(task_id=chat_task_id(around.id, step), reason="its run has ended"))]


def _stop_tool(event: ActionFailed, around: Around) -> Sequence[Action]:
    """Stop the execution of a tool that goes on although its action has ended: the run has."""
    is_open = f"{_TOOL}~{event.action_id}" in around.attempts and f"{_SETTLE}~{event.action_id}" not in around.attempts
    if not is_open or f"{_AGAIN}~{event.action_id}" in around.timers:
        return []
    cancel = CancelToolExecution(
        tool_id=event.tool_id, execution_id=action_token(around.id, event.action_id), reason="its run has ended"
    )
    return [Ask(f"{_CANCEL}~{event.action_id}", cancel)]


def _is_wanted(run: AgentExecution | None, event: Event) -> bool:
    """Return whether what an event leads to is wanted still: not once its run has ended."""
    begins = AgentExecutionStarted | AgentExecutionAsked | ActionProposed | ActionApproved | ActionRetried
    return not isinstance(event, begins) or (run is not None and run.status is AgentExecutionStatus.RUNNING)


AGENT_RUN = Process(
    name="agent_run",
    listens=(
        *(AgentExecutionStarted, AgentExecutionAsked, AgentExecutionFailed, AgentExecutionCancelled),
        *(ActionProposed, ActionApproved, ActionRetried, ActionFailed),
        *(TaskCompleted, TaskFailed, TaskTimedOut, TaskCancelled),
        *(ToolExecutionCompleted, ToolExecutionFailed, ToolExecutionCancelled),
    ),
    route=_run_of,
    evolve=evolve_agent_run,
    react=react_agent_run,
    still=_is_wanted,
)
