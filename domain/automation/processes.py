"""These processes of the automation context do for executions what others have to answer, and give them their turns."""

from collections.abc import Sequence

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
from domain.automation.graph import WAITING_TYPES
from domain.automation.node_runs import parsed, sub_execution_id, token_of
from domain.message import Event, filled
from domain.operations.processes import later
from domain.operations.task import CancelTask, RequestTask, TaskCancelled, TaskCompleted, TaskFailed, TaskTimedOut
from domain.process import Action, Around, Ask, Forget, Process, ProcessAnswered, TimerFired, Wait
from schemas.envelope import Envelope, id_of
from schemas.json_text import json_value

# --- a run of a node that somebody else has to answer

_DUE, _AGAIN = "due", "again"
_TASK, _EXECUTION, _SETTLE, _TIME, _FAIL, _CANCEL = "request_task", "execute", "settle", "time", "fail", "cancel"

_OfTask = TaskCompleted | TaskFailed | TaskTimedOut | TaskCancelled
_OfExecution = WorkflowCompleted | WorkflowFailed | WorkflowCancelled
_OfNode = NodeStarted | NodeWaiting | NodeCompleted | NodeFailed
_Heard = _OfNode | _OfTask | _OfExecution


def _run_of(event: _Heard, envelope: Envelope) -> str | None:
    match event:
        case NodeStarted():
            wanted = event.kind is not None or event.workflow is not None
        case WorkflowCompleted() | WorkflowFailed() | WorkflowCancelled():
            return event.parent
        case TaskCompleted() | TaskFailed() | TaskTimedOut() | TaskCancelled():
            # of those that nobody asked for here no instance is begun
            id_ = id_of(envelope.stream)
            return id_ if "~" in id_ else None
        case NodeWaiting() | NodeCompleted() | NodeFailed():
            wanted = event.node_type in WAITING_TYPES
    return token_of(event.execution_id, event.node_id, event.attempt, event.item) if wanted else None


def evolve_workflow_node(state: str | None, event: Event) -> str | None:
    """Return why the task or the execution could not be begun, None while nothing speaks against it."""
    match event:
        case ProcessAnswered(step=step) if step in (_TASK, _EXECUTION) and event.refused:
            return event.reason
        case _:
            return state


def react_workflow_node(
    state: str | None, event: _Heard | TimerFired | ProcessAnswered, around: Around
) -> Sequence[Action]:
    match event:
        case NodeStarted():
            due = [] if event.due_at is None else [Wait(_DUE, event.due_at)]
            return [*due, _wanted(event, around.id)]
        case NodeWaiting():
            return [] if event.until is None else [Wait(_DUE, event.until)]
        case NodeCompleted() | NodeFailed():
            return [Forget(_DUE), Forget(_AGAIN), *_cancel(around)]
        case ProcessAnswered():
            return _answered(event, around)
        case TimerFired():
            return [_settle(around.id, _TIME) if state is None else _fail(around.id, state)]
        case _:
            return _ended(event, around)


def _wanted(event: NodeStarted, token: str) -> Ask:
    input_ = json_value(event.input)
    if event.kind is not None:
        return Ask(_TASK, filled(RequestTask, event, task_id=token, kind=event.kind, input=input_))
    execute = ExecuteWorkflow(
        execution_id=sub_execution_id(token),
        workflow_id=event.workflow or "",
        input=input_,
        parent=token,
        depth=event.depth + 1,
    )
    return Ask(_EXECUTION, execute)


def _ended(event: _OfTask | _OfExecution, around: Around) -> Sequence[Action]:
    asked = around.attempts.keys() & {_TASK, _EXECUTION}
    goes_on = isinstance(event, TaskFailed | TaskTimedOut) and event.retry_at is not None
    return [] if goes_on or not asked else [_settle(around.id, _SETTLE)]


def _answered(event: ProcessAnswered, around: Around) -> Sequence[Action]:
    if not event.refused:
        return []
    if event.step in (_TASK, _EXECUTION):
        return [_fail(around.id, event.reason or "")]
    if event.step == _CANCEL:
        return []
    # the execution cannot be read now, or its tenant is suspended
    return [Wait(_AGAIN, around.now + later(around.attempts[event.step]))]


def _cancel(around: Around) -> Sequence[Action]:
    """Stop what goes on for a node that has ended otherwise."""
    if _SETTLE in around.attempts:
        return []
    if _TASK in around.attempts:
        return [Ask(_CANCEL, CancelTask(task_id=around.id, reason="its node does not wait for it any longer"))]
    if _EXECUTION in around.attempts:
        return [Ask(_CANCEL, CancelExecution(execution_id=sub_execution_id(around.id), reason="its node has ended"))]
    return []


def _settle(token: str, step: str) -> Ask:
    return Ask(step, filled(SettleNode, parsed(token)))


def _fail(token: str, error: str) -> Ask:
    return Ask(_FAIL, filled(FailNode, parsed(token), error=error))


WORKFLOW_NODE = Process(
    name="workflow_node",
    listens=(
        *(NodeStarted, NodeWaiting, NodeCompleted, NodeFailed),
        *(TaskCompleted, TaskFailed, TaskTimedOut, TaskCancelled),
        *(WorkflowCompleted, WorkflowFailed, WorkflowCancelled),
    ),
    route=_run_of,
    evolve=evolve_workflow_node,
    react=react_workflow_node,
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
