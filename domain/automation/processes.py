"""These processes of the automation context do for executions what others have to answer, and give them their turns."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from domain.automation.agent_execution import (
    AgentExecutionCancelled,
    AgentExecutionCompleted,
    AgentExecutionFailed,
    CancelAgentExecution,
    ExecuteAgent,
)
from domain.automation.conversation_ids import answer_of
from domain.automation.execution import (
    AdvanceExecution,
    CancelExecution,
    ExecuteWorkflow,
    FailNode,
    NodeCompleted,
    NodeFailed,
    NodeStarted,
    NodeWaiting,
    SettleNode,
    TurnEnded,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
)
from domain.automation.execution_state import Execution, ExecutionStatus, NodeStatus
from domain.automation.graph import WAITING_TYPES
from domain.automation.node_runs import parsed, sub_execution_id, token_of
from domain.automation.tool import (
    CancelToolExecution,
    ExecuteTool,
    ToolExecutionCancelled,
    ToolExecutionCompleted,
    ToolExecutionFailed,
    execution_of,
)
from domain.automation.tool_processes import next_try
from domain.automation.turn import bounded_text
from domain.message import Event, filled, value
from domain.operations.processes import later
from domain.operations.task import CancelTask, RequestTask, TaskCancelled, TaskCompleted, TaskFailed, TaskTimedOut
from domain.process import Action, Around, Ask, Forget, Note, Process, ProcessAnswered, TimerFired, Wait
from domain.rejection import Kind, free_again
from schemas.envelope import Envelope, id_of
from schemas.json_text import json_value

# --- a run of a node that somebody else has to answer

_DUE, _AGAIN, _FREE = "due", "again", "free"
_TASK, _EXECUTION, _TOOL, _AGENT = "request_task", "execute", "execute_tool", "execute_agent"
_SETTLE, _TIME, _FAIL, _CANCEL = "settle", "time", "fail", "cancel"
_WORK = (_TASK, _EXECUTION, _TOOL, _AGENT)

_OfTask = TaskCompleted | TaskFailed | TaskTimedOut | TaskCancelled
_OfTool = ToolExecutionCompleted | ToolExecutionFailed | ToolExecutionCancelled
_OfAgent = AgentExecutionCompleted | AgentExecutionFailed | AgentExecutionCancelled
_OfExecution = WorkflowCompleted | WorkflowFailed | WorkflowCancelled
_OfNode = NodeStarted | NodeWaiting | NodeCompleted | NodeFailed
_Ended = _OfTask | _OfTool | _OfAgent | _OfExecution
_Heard = _OfNode | _Ended


@value
class ToolWanted(Event):
    """A node is a tool's; what is asked of it, also later, where the tool was executed too often. JSON."""

    TYPE: ClassVar = "workflow_node.tool.wanted"
    tool_id: str
    parameters: str


@value
class Work:
    """What is known of a run of a node.

    Shape: `refused` is why its work could not be begun, None while nothing speaks against it; `tool` is what is asked
    of a tool, None where no tool does it.
    """

    refused: str | None = None
    tool: ToolWanted | None = None


def _run_of(event: _Heard, envelope: Envelope) -> str | None:
    match event:
        case NodeStarted():
            wanted = event.kind is not None or event.workflow is not None
        case WorkflowCompleted() | WorkflowFailed() | WorkflowCancelled():
            return event.parent
        case AgentExecutionCompleted() | AgentExecutionFailed() | AgentExecutionCancelled():
            # conversations wait for agents too
            return event.parent if answer_of(event.parent) is None else None
        case ToolExecutionCompleted() | ToolExecutionFailed() | ToolExecutionCancelled():
            # others wait for executions of tools too
            parent = event.parent or ""
            return parent if event.execution_id == sub_execution_id(parent) else None
        case TaskCompleted() | TaskFailed() | TaskTimedOut() | TaskCancelled():
            # of those that nobody asked for here no instance is begun
            id_ = id_of(envelope.stream)
            return id_ if "~" in id_ and execution_of(id_) is None else None
        case NodeWaiting() | NodeCompleted() | NodeFailed():
            wanted = event.node_type in WAITING_TYPES
    return token_of(event.execution_id, event.node_id, event.attempt, event.item) if wanted else None


def evolve_workflow_node(state: Work | None, event: Event) -> Work | None:
    match event:
        case ToolWanted():
            return Work(tool=event)
        case ProcessAnswered(step=step) if step in _WORK and event.refused and _free_at(event) is None:
            return replace(state or Work(), refused=event.reason or "")
        case _:
            return state


def react_workflow_node(
    state: Work | None, event: _Heard | TimerFired | ProcessAnswered, around: Around
) -> Sequence[Action]:
    work = state or Work()
    match event:
        case NodeStarted():
            due = [] if event.due_at is None else [Wait(_DUE, event.due_at)]
            return [*due, *_wanted(event, around.id)]
        case NodeWaiting():
            return [] if event.until is None else [Wait(_DUE, event.until)]
        case NodeCompleted() | NodeFailed():
            return [Forget(_DUE), Forget(_AGAIN), *_cancel(work, around)]
        case ProcessAnswered():
            return _answered(event, around)
        case TimerFired(name="free") if work.tool is not None:
            return [_execute_tool(work.tool, around.id)]
        case TimerFired():
            return [_settle(work, around.id, _TIME) if work.refused is None else _fail(around.id, work.refused)]
        case _:
            return _ended(work, event, around)


def _wanted(event: NodeStarted, token: str) -> Sequence[Action]:
    input_ = json_value(event.input)
    if event.node_type == "tool":
        wanted = ToolWanted(tool_id=input_["tool"], parameters=bounded_text(input_["input"]))
        return [Note(wanted), _execute_tool(wanted, token)]
    if event.node_type == "agent":
        execution_id, agent_id = sub_execution_id(token), input_["agent"]
        run = ExecuteAgent(execution_id=execution_id, agent_id=agent_id, input=input_["input"], parent=token)
        return [Ask(_AGENT, run)]
    if event.kind is not None:
        return [Ask(_TASK, filled(RequestTask, event, task_id=token, kind=event.kind, input=input_))]
    execute = ExecuteWorkflow(
        execution_id=sub_execution_id(token),
        workflow_id=event.workflow or "",
        input=input_,
        parent=token,
        depth=event.depth + 1,
    )
    return [Ask(_EXECUTION, execute)]


def _execute_tool(wanted: ToolWanted, token: str) -> Ask:
    parameters, id_ = json_value(wanted.parameters), sub_execution_id(token)
    execute = ExecuteTool(tool_id=wanted.tool_id, execution_id=id_, parameters=parameters, parent=token)
    return Ask(_TOOL, execute)


def _ended(work: Work, event: _Ended, around: Around) -> Sequence[Action]:
    asked = around.attempts.keys() & {*_WORK}
    goes_on = isinstance(event, TaskFailed | TaskTimedOut) and event.retry_at is not None
    if goes_on or not asked:
        return []
    if isinstance(event, ToolExecutionCancelled):
        if _CANCEL in around.attempts:
            return []
        # its task may not be cancelled yet, so there is nothing to settle the node with
        return [_fail(around.id, f"the execution of the tool was cancelled: {event.reason}")]
    return [_settle(work, around.id, _SETTLE)]


def _answered(event: ProcessAnswered, around: Around) -> Sequence[Action]:
    if not event.refused or event.step == _CANCEL:
        return []
    if (free_at := _free_at(event)) is not None:
        return [Wait(_FREE, next_try(free_at, around.attempts[_TOOL]))]
    if event.step in _WORK:
        return [_fail(around.id, event.reason or "")]
    # the execution cannot be read now, or its tenant is suspended
    return [Wait(_AGAIN, around.now + later(around.attempts[event.step]))]


def _free_at(event: ProcessAnswered) -> datetime | None:
    """Return when a tool may be executed that was executed too often, None for any other answer."""
    return free_again(event.reason or "") if event.step == _TOOL and event.kind == Kind.NOT_NOW else None


def _cancel(work: Work, around: Around) -> Sequence[Action]:
    """Stop what goes on for a node that has ended otherwise."""
    if _FREE in around.timers:
        return [Forget(_FREE)]
    if _SETTLE in around.attempts:
        return []
    if work.tool is not None:
        tool = CancelToolExecution(
            tool_id=work.tool.tool_id, execution_id=sub_execution_id(around.id), reason="its node has ended"
        )
        return [] if _FAIL in around.attempts else [Ask(_CANCEL, tool)]
    if _TASK in around.attempts:
        return [Ask(_CANCEL, CancelTask(task_id=around.id, reason="its node does not wait for it any longer"))]
    inside = sub_execution_id(around.id)
    if _EXECUTION in around.attempts:
        return [Ask(_CANCEL, CancelExecution(execution_id=inside, reason="its node has ended"))]
    if _AGENT in around.attempts:
        return [Ask(_CANCEL, CancelAgentExecution(execution_id=inside, reason="its node has ended"))]
    return []


def _settle(work: Work, token: str, step: str) -> Ask:
    tool_execution = None if work.tool is None else sub_execution_id(token)
    return Ask(step, filled(SettleNode, parsed(token), tool_execution=tool_execution))


def _fail(token: str, error: str) -> Ask:
    return Ask(_FAIL, filled(FailNode, parsed(token), error=error))


def _is_wanted(execution: Execution | None, event: Event) -> bool:
    """Return whether the work of a node is wanted still: not once the node, or its execution, has ended."""
    if not isinstance(event, NodeStarted):
        return True
    if execution is None or execution.status is not ExecutionStatus.RUNNING:
        return False
    run = execution.nodes.get(event.node_id)
    if run is None or run.attempt != event.attempt:
        return False
    return run.status is NodeStatus.RUNNING if event.item is None else event.item in run.going


WORKFLOW_NODE = Process(
    name="workflow_node",
    listens=(
        *(NodeStarted, NodeWaiting, NodeCompleted, NodeFailed),
        *(TaskCompleted, TaskFailed, TaskTimedOut, TaskCancelled),
        *(WorkflowCompleted, WorkflowFailed, WorkflowCancelled),
        *(ToolExecutionCompleted, ToolExecutionFailed, ToolExecutionCancelled),
        *(AgentExecutionCompleted, AgentExecutionFailed, AgentExecutionCancelled),
    ),
    route=_run_of,
    events=(ToolWanted,),
    evolve=evolve_workflow_node,
    react=react_workflow_node,
    still=_is_wanted,
)

# --- an execution that needs more than one turn

_TURN, _ADVANCE = "turn", "advance"


def _execution_of(event: TurnEnded, _envelope: Envelope) -> str:
    return event.execution_id


def react_workflow_turn(
    _state: None, event: TurnEnded | TimerFired | ProcessAnswered, around: Around
) -> Sequence[Action]:
    match event:
        case TurnEnded():
            # a timer that is due now is a transaction of its own
            return [Wait(_TURN, around.now)]
        case TimerFired():
            return [Ask(_ADVANCE, AdvanceExecution(execution_id=around.id))]
        case ProcessAnswered():
            return [Wait(_TURN, around.now + later(around.attempts[_ADVANCE]))] if event.refused else []


WORKFLOW_TURN = Process(name="workflow_turn", listens=(TurnEnded,), route=_execution_of, react=react_workflow_turn)
