"""These are the rules of an execution: how it begins, what settles its nodes, who approves, and what is tried again."""

from typing import Any, assert_never

from domain.automation.agent_execution import agent_execution_stream
from domain.automation.agent_execution_state import AgentExecution, AgentExecutionStatus
from domain.automation.approver import approver_reads, check_role
from domain.automation.execution import (
    COMMANDS,
    EVENTS,
    AdvanceExecution,
    ApproveNode,
    CancelExecution,
    ExecuteWorkflow,
    ExecutionCommand,
    ExecutionEvent,
    FailNode,
    RejectNode,
    RetryExecution,
    SettleNode,
    WorkflowRetried,
    WorkflowStarted,
    execution_stream,
)
from domain.automation.execution_state import Execution, ExecutionStatus, NodeRun, NodeStatus, evolve_execution
from domain.automation.graph import ApprovalNode, ForeachNode, Node, WaitNode
from domain.automation.node_runs import sub_execution_id, token_of
from domain.automation.tool import execution_of, run_stream, task_id_of
from domain.automation.turn import NOTHING, Turn, bounded_text
from domain.automation.workflow import Workflow, WorkflowStatus, workflow_stream
from domain.given import Given
from domain.message import Decider
from domain.operations.task import Task, TaskStatus, task_stream
from domain.process import Running
from domain.rejection import conflict, invalid, not_allowed, not_found
from schemas.envelope import Actor, ActorType, StreamId
from schemas.json_text import MAX_DEPTH, json_text

MAX_INSIDE = 5
"""Executions inside each other: a workflow that executes itself must end."""

LATE = "the deadline was over"
REJECTED = "rejected by "


def execution_reads(command: ExecutionCommand, actor: Actor) -> tuple[StreamId, ...]:
    match command:
        case ExecuteWorkflow():
            return (workflow_stream(command.workflow_id),)
        case SettleNode(tool_execution=str(id_)):
            return task_stream(task_id_of(id_)), run_stream(id_)
        case SettleNode():
            token = token_of(command.execution_id, command.node_id, command.attempt, command.item)
            inside = sub_execution_id(token)
            return task_stream(token), execution_stream(inside), agent_execution_stream(inside)
        case ApproveNode() | RejectNode():
            return approver_reads(actor)
        case _:
            return ()


def decide_execution(command: ExecutionCommand, state: Execution | None, given: Given) -> tuple[ExecutionEvent, ...]:
    if isinstance(command, ExecuteWorkflow):
        return _begin(command, state, given)
    if state is None:
        raise not_found(f"execution {command.execution_id} is not known")
    if isinstance(command, RetryExecution):
        return _retry(command, state, given)
    if state.status is not ExecutionStatus.RUNNING:
        if isinstance(command, ApproveNode | RejectNode):
            raise not_allowed(f"execution {command.execution_id} is {state.status}")
        return ()
    run = Turn(state, given.now)
    match command:
        case ApproveNode() | RejectNode():
            _judge(command, run, given)
        case CancelExecution():
            run.cancel(command.reason)
        case SettleNode() | FailNode():
            _settle(command, run, given)
        case AdvanceExecution():
            run.advance()
        case _:
            assert_never(command)
    return tuple(run.events)


def _begin(command: ExecuteWorkflow, state: Execution | None, given: Given) -> tuple[ExecutionEvent, ...]:
    if state is not None:
        raise conflict(f"execution {command.execution_id} has begun already; a new one needs a new execution_id")
    if execution_of(command.execution_id) is not None:
        raise invalid("an execution_id that begins so is that of a tool's task; take another one")
    if (command.parent or command.depth) and given.actor.type is not ActorType.SYSTEM:
        raise not_allowed("`parent` and `depth` are given by the engine")
    if command.depth > MAX_INSIDE:
        raise not_allowed(f"more than {MAX_INSIDE} executions are inside each other")
    workflow: Workflow | None = given.streams.get(workflow_stream(command.workflow_id))
    if workflow is None:
        raise not_found(f"workflow {command.workflow_id} is not known")
    if workflow.status is not WorkflowStatus.ACTIVE:
        raise not_allowed(f"workflow {command.workflow_id} is {workflow.status}; publish or activate it")
    started = WorkflowStarted(
        workflow_id=command.workflow_id,
        execution_id=command.execution_id,
        timestamp=given.now,
        name=workflow.name,
        version=workflow.version,
        nodes=workflow.nodes,
        graph=workflow.graph,
        input=json_text(command.input, depth=2 * MAX_DEPTH),
        parent=command.parent,
        depth=command.depth,
    )
    run = Turn(evolve_execution(None, started), given.now)
    run.advance()
    return (started, *run.events)


def _retry(command: RetryExecution, state: Execution, given: Given) -> tuple[ExecutionEvent, ...]:
    if state.status is not ExecutionStatus.FAILED:
        raise not_allowed(f"execution {command.execution_id} is {state.status}; only one that FAILED is tried again")
    run = Turn(state, given.now)
    run.emit(WorkflowRetried(**run.about, nodes=state.unhandled))
    run.advance()
    return tuple(run.events)


def _judge(command: ApproveNode | RejectNode, run: Turn, given: Given) -> None:
    node, stands = run.state.graph.nodes.get(command.node_id), run.state.nodes.get(command.node_id)
    if not isinstance(node, ApprovalNode) or stands is None or stands.status is not NodeStatus.WAITING:
        raise not_allowed(f"node {command.node_id} of execution {command.execution_id} waits for nobody's approval")
    check_role(node.role, f"node {node.id}", given)
    if isinstance(command, ApproveNode):
        run.complete(node, _approval(command, given))
    else:
        run.fail(node, f"{REJECTED}{given.actor.id}: {command.reason}")
    run.advance()


def _approval(command: ApproveNode, given: Given) -> str:
    try:
        return bounded_text({"by": given.actor.id, "note": command.note})
    except ValueError as error:
        raise invalid(f"the note {error}") from error


def _settle(command: SettleNode | FailNode, run: Turn, given: Given) -> None:
    node, stands = run.state.graph.nodes[command.node_id], run.state.nodes.get(command.node_id)
    going = (NodeStatus.RUNNING, NodeStatus.WAITING)
    if stands is None or stands.status not in going or stands.attempt != command.attempt:
        return
    if command.item is not None and command.item not in stands.going:
        return
    if isinstance(command, FailNode):
        run.fail(node, command.error, command.item)
    else:
        answer = _answer(command, node, stands, given)
        if answer is None:
            return
        is_good, text = answer
        if is_good:
            run.complete(node, text, command.item)
        else:
            run.fail(node, text, command.item)
    if command.item is not None:
        assert isinstance(node, ForeachNode)  # noqa: S101 - only such a node has items
        run.go_on_with(node)
    run.advance()


def _answer(command: SettleNode, node: Node, stands: NodeRun, given: Given) -> tuple[bool, str] | None:
    """Return whether the node's work went well, with its output or why not; None while it goes on."""
    token = token_of(command.execution_id, command.node_id, command.attempt, command.item)
    by = command.tool_execution
    task: Task | None = given.streams.get(task_stream(token if by is None else task_id_of(by)))
    if task is not None and task.is_over:
        return task.status is TaskStatus.COMPLETED, task.answer
    tool: Running[Any] | None = None if by is None else given.streams.get(run_stream(by))
    if tool is not None and tool.state is not None and tool.state.refused is not None:
        return False, tool.state.refused
    sub: Execution | None = given.streams.get(execution_stream(sub_execution_id(token)))
    if sub is not None and sub.status is not ExecutionStatus.RUNNING:
        ok = sub.status is ExecutionStatus.COMPLETED
        return ok, sub.output if ok else f"its execution {sub.execution_id} is {sub.status}: {sub.error}"
    agent: AgentExecution | None = given.streams.get(agent_execution_stream(sub_execution_id(token)))
    if agent is not None and agent.status is not AgentExecutionStatus.RUNNING:
        ok = agent.status is AgentExecutionStatus.COMPLETED
        why = f"the agent's execution {agent.execution_id} is {agent.status}: {agent.error}"
        return ok, bounded_text(agent.output) if ok else why
    due_at = stands.due_at if command.item is None else stands.going[command.item]
    if due_at is not None and due_at <= given.now:
        return (True, NOTHING) if isinstance(node, WaitNode) else (False, LATE)
    return None


EXECUTION = Decider(
    category="execution",
    commands=COMMANDS,
    events=EVENTS,
    decide=decide_execution,
    evolve=evolve_execution,
    reads=execution_reads,
)
