"""An execution goes on here as far as it can in one turn: it runs nodes, decides edges, and ends."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from domain.automation.execution import (
    COMMANDS,
    EVENTS,
    AdvanceExecution,
    ApproveNode,
    CancelExecution,
    ExecuteWorkflow,
    Execution,
    ExecutionCommand,
    ExecutionEvent,
    ExecutionStatus,
    FailNode,
    NodeCompleted,
    NodeFailed,
    NodeRun,
    NodeStarted,
    NodeStatus,
    NodeWaiting,
    RejectNode,
    RetryExecution,
    SettleNode,
    TurnEnded,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRetried,
    WorkflowStarted,
    evolve_execution,
    execution_stream,
)
from domain.automation.expressions import NoValue, evaluate, mentioned
from domain.automation.graph import (
    AgentNode,
    ApprovalNode,
    ConditionNode,
    Edge,
    ForeachNode,
    JoinNode,
    Node,
    ParallelNode,
    TaskNode,
    ToolNode,
    TransformNode,
    WaitNode,
    Work,
    WorkflowNode,
)
from domain.automation.node_runs import sub_execution_id, token_of
from domain.automation.workflow import Workflow, WorkflowStatus, workflow_stream
from domain.given import Given
from domain.identity.api_key import ALL_SCOPES, ApiKey, api_key_stream
from domain.identity.user import Role, User, UserStatus, user_stream
from domain.message import Decider
from domain.operations.task import Task, TaskStatus, task_stream
from domain.rejection import conflict, not_allowed, not_found
from schemas.envelope import Actor, ActorType, StreamId
from schemas.json_text import MAX_DEPTH, json_text, json_value

MAX_STEPS = 200
"""Nodes that run in one turn; what is ready then goes on in the next, so that a transaction stays short."""

MAX_INSIDE = 5
"""Executions inside each other: a workflow that executes itself must end."""

MAX_OUTPUT_BYTES = 256 * 1024

CANCELLED = "cancelled"
LATE = "the deadline was over"
REJECTED = "rejected by "
_NOTHING = "null"


def execution_reads(command: ExecutionCommand, actor: Actor) -> tuple[StreamId, ...]:
    match command:
        case ExecuteWorkflow():
            return (workflow_stream(command.workflow_id),)
        case SettleNode():
            token = token_of(command.execution_id, command.node_id, command.attempt, command.item)
            return task_stream(token), execution_stream(sub_execution_id(token))
        case ApproveNode() | RejectNode() if actor.type is ActorType.USER:
            return (user_stream(actor.id),)
        case ApproveNode() | RejectNode() if actor.type is ActorType.API_KEY:
            return (api_key_stream(actor.id),)
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
    run = _Turn(state, given.now)
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
    run = _Turn(evolve_execution(None, started), given.now)
    run.advance()
    return (started, *run.events)


def _retry(command: RetryExecution, state: Execution, given: Given) -> tuple[ExecutionEvent, ...]:
    if state.status is not ExecutionStatus.FAILED:
        raise not_allowed(f"execution {command.execution_id} is {state.status}; only one that FAILED is tried again")
    run = _Turn(state, given.now)
    run.emit(WorkflowRetried(**run.about, nodes=_failed(state)))
    run.advance()
    return tuple(run.events)


def _failed(state: Execution) -> tuple[str, ...]:
    """Return the nodes whose failure no edge took."""
    return tuple(id_ for id_, run in state.nodes.items() if run.status is NodeStatus.FAILED and not run.taken)


def _judge(command: ApproveNode | RejectNode, run: "_Turn", given: Given) -> None:
    node, stands = run.state.graph.nodes.get(command.node_id), run.state.nodes.get(command.node_id)
    if not isinstance(node, ApprovalNode) or stands is None or stands.status is not NodeStatus.WAITING:
        raise not_allowed(f"node {command.node_id} of execution {command.execution_id} waits for nobody's approval")
    _check_role(node, given)
    if isinstance(command, ApproveNode):
        run.complete(node, _text({"by": given.actor.id, "note": command.note}))
    else:
        run.fail(node, f"{REJECTED}{given.actor.id}: {command.reason}")
    run.advance()


def _check_role(node: ApprovalNode, given: Given) -> None:
    if node.role is None:
        return
    user: User | None = given.streams.get(user_stream(given.actor.id))
    key: ApiKey | None = given.streams.get(api_key_stream(given.actor.id))
    roles = user.roles if user is not None and user.status is UserStatus.ACTIVE else ()
    if {node.role, Role.OWNER, Role.ADMIN}.isdisjoint(roles) and not (key and ALL_SCOPES in key.scopes):
        raise not_allowed(f"node {node.id} is approved by somebody with the role {node.role}")


def _settle(command: SettleNode | FailNode, run: "_Turn", given: Given) -> None:
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
    task: Task | None = given.streams.get(task_stream(token))
    if task is not None and task.is_over:
        ended = "the task was cancelled: " if task.status is TaskStatus.CANCELLED else ""
        return task.status is TaskStatus.COMPLETED, f"{ended}{task.ended_by}"
    sub: Execution | None = given.streams.get(execution_stream(sub_execution_id(token)))
    if sub is not None and sub.status is not ExecutionStatus.RUNNING:
        ok = sub.status is ExecutionStatus.COMPLETED
        return ok, sub.output if ok else f"its execution {sub.execution_id} is {sub.status}: {sub.error}"
    if stands.due_at is not None and stands.due_at <= given.now:
        return (True, _NOTHING) if isinstance(node, WaitNode) else (False, LATE)
    return None


class _Turn:
    """The events of one command, and the state that they lead to."""

    def __init__(self, state: Execution, now: datetime) -> None:
        self.state = state
        self.events: list[ExecutionEvent] = []
        self._now = now

    @property
    def about(self) -> Mapping[str, Any]:
        state = self.state
        return {"workflow_id": state.workflow_id, "execution_id": state.execution_id, "timestamp": self._now}

    def emit(self, event: ExecutionEvent) -> None:
        self.events.append(event)
        self.state = evolve_execution(self.state, event)

    def advance(self) -> None:
        """Run what is ready, and what is ready then, until something else has to answer, or the turn is over."""
        for _ in range(MAX_STEPS):
            if not self.state.ready:
                break
            self._run(self.state.graph.nodes[self.state.ready[0]])
        if self.state.ready:
            self.emit(TurnEnded(**self.about, ready=len(self.state.ready)))
        elif not any(run.status in (NodeStatus.RUNNING, NodeStatus.WAITING) for run in self.state.nodes.values()):
            self._end()

    def cancel(self, reason: str) -> None:
        for id_, run in self.state.nodes.items():
            if run.status in (NodeStatus.RUNNING, NodeStatus.WAITING):
                for item in run.going:
                    self.fail(self.state.graph.nodes[id_], CANCELLED, item)
                self.fail(self.state.graph.nodes[id_], CANCELLED)
        self.emit(WorkflowCancelled(**self.about, **self._ending(), reason=reason))

    def complete(self, node: Node, output: str, item: int | None = None) -> None:
        if item is not None:
            self._item_done(node, output, item)
            return
        try:
            taken = self._taken(node, "success", json_value(output))
        except NoValue as error:
            self.fail(node, str(error))
            return
        self.emit(NodeCompleted(**self._of(node), **self._took(node), item=None, next=taken, output=output))

    def fail(self, node: Node, error: str, item: int | None = None) -> None:
        taken: tuple[str, ...] = ()
        if item is None and error != CANCELLED:
            try:
                taken = self._taken(node, "error", {"error": error})
            except NoValue as other:
                error = f"{error}; then {other}"
        self.emit(NodeFailed(**self._of(node), **self._took(node), item=item, next=taken, error=error))

    def go_on_with(self, node: ForeachNode) -> None:
        """Start more items of a list where there are any, and end the node with the last one."""
        stands = self.state.nodes[node.id]
        items: Sequence[Any] = json_value(stands.input)
        begun = len(stands.going) + len(stands.done) + len(stands.failed)
        while begun < len(items) and len(self.state.nodes[node.id].going) < node.at_once:
            self._start_item(node, begun, items[begun])
            begun += 1
        stands = self.state.nodes[node.id]
        if begun < len(items) or stands.going:
            return
        if stands.failed:
            first = min(stands.failed)
            self.fail(node, f"{len(stands.failed)} of {len(items)} items failed; item {first}: {stands.failed[first]}")
            return
        output = f"[{','.join(stands.done[at] for at in range(len(items)))}]"
        if len(output.encode()) > MAX_OUTPUT_BYTES:
            self.fail(node, f"its outputs are larger than {MAX_OUTPUT_BYTES // 1024} KiB")
        else:
            self.complete(node, output)

    # --- running a node

    def _run(self, node: Node) -> None:
        try:
            input_ = self._input(node)
        except NoValue as error:
            self._start(node, _NOTHING)
            self.fail(node, str(error))
            return
        match node:
            case ConditionNode() | TransformNode():
                self._start(node, _NOTHING)
                self.complete(node, _text(input_))
            case ParallelNode() | JoinNode():
                self._start(node, _NOTHING)
                self.complete(node, _NOTHING)
            case WaitNode():
                self._start(node, _NOTHING)
                self.emit(NodeWaiting(**self._of(node), item=None, reason="time", role=None, until=input_))
            case ApprovalNode():
                self._start(node, _NOTHING)
                until = self._after(node.deadline_s)
                role = node.role and node.role.value
                self.emit(NodeWaiting(**self._of(node), item=None, reason="approval", role=role, until=until))
            case ForeachNode():
                self._start(node, _text(input_))
                self.go_on_with(node)
            case _:
                self._start(node, _text(input_), node)

    def _input(self, node: Node) -> Any:
        """Return what the node's expression gives. Raises: NoValue."""
        match node:
            case ConditionNode() | TransformNode():
                return self._value(node.expression)
            case ForeachNode():
                items = self._value(node.items)
                if not isinstance(items, list) or len(items) > node.max_items:
                    raise NoValue(f"items of {node.id} must be a list of at most {node.max_items}")
                return items
            case WaitNode():
                return self._after(node.seconds) or self._instant(node)
            case AgentNode():
                return {"agent": node.agent, "input": self._given(node)}
            case ToolNode():
                return {"tool": node.tool, "input": self._given(node)}
            case TaskNode() | WorkflowNode():
                return self._given(node)
            case _:
                return None

    def _given(self, node: TaskNode | AgentNode | ToolNode | WorkflowNode) -> Any:
        return None if node.input is None else self._value(node.input)

    def _instant(self, node: WaitNode) -> datetime:
        said = self._value(node.until or "")
        try:
            at = datetime.fromisoformat(said)
        except (TypeError, ValueError):
            at = self._now.replace(tzinfo=None)
        if at.tzinfo is None:
            raise NoValue(f"until of {node.id} must be an instant like 2026-01-31T08:30:00Z")
        return at.astimezone(UTC)

    def _start_item(self, node: ForeachNode, index: int, item: Any) -> None:
        try:
            input_ = item if node.input is None else self._value(node.input, item=item, index=index)
        except NoValue as error:
            self._start(node, _NOTHING, None, index)
            self.fail(node, str(error), index)
        else:
            self._start(node, _text(input_), node, index)

    def _start(self, node: Node, input_: str, asks: Node | None = None, item: int | None = None) -> None:
        """Shape: `asks` is the node where somebody else is wanted."""
        work = asks if isinstance(asks, Work) else None
        self.emit(
            NodeStarted(
                **self._of(node),
                item=item,
                input=input_,
                kind=None if work is None else _kind(work),
                workflow=asks.workflow_id if isinstance(asks, WorkflowNode) else None,
                depth=self.state.depth,
                timeout_s=0 if work is None else work.timeout_s,
                heartbeat_s=None if work is None else work.heartbeat_s,
                attempts=0 if work is None else work.attempts,
                backoff_s=0 if work is None else work.backoff_s,
                due_at=self._after(getattr(asks, "deadline_s", None)),
            )
        )

    def _item_done(self, node: Node, output: str, item: int) -> None:
        self.emit(NodeCompleted(**self._of(node), **self._took(node), item=item, next=(), output=output))

    # --- what events say

    def _of(self, node: Node) -> Mapping[str, Any]:
        stands = self.state.nodes.get(node.id)
        attempt = self.state.attempts.get(node.id, 0) + 1 if stands is None else stands.attempt
        named = {"node_id": node.id, "node_name": node.name or node.id, "node_type": node.type}
        return {**self.about, **named, "attempt": attempt}

    def _took(self, node: Node) -> Mapping[str, Any]:
        return {"duration_ms": _milliseconds(self.state.nodes[node.id].started_at, self._now)}

    def _ending(self) -> Mapping[str, Any]:
        return {"duration_ms": _milliseconds(self.state.started_at, self._now), "parent": self.state.parent}

    def _after(self, seconds: int | None) -> datetime | None:
        return None if seconds is None else self._now + timedelta(seconds=seconds)

    def _end(self) -> None:
        state, graph = self.state, self.state.graph
        if failed := _failed(state):
            error = "; ".join(f"{id_}: {state.nodes[id_].error}" for id_ in failed[:10])
            self.emit(WorkflowFailed(**self.about, **self._ending(), error=error, nodes=failed))
            return
        ends = [id_ for id_, run in state.nodes.items() if run.status is NodeStatus.COMPLETED and not graph.out[id_]]
        output = "{" + ",".join(f'"{id_}":{state.nodes[id_].output}' for id_ in sorted(ends)) + "}"
        if len(output.encode()) > MAX_OUTPUT_BYTES:
            output = _NOTHING
        self.emit(WorkflowCompleted(**self.about, **self._ending(), output=output))

    # --- expressions

    def _taken(self, node: Node, end: str, output: Any) -> tuple[str, ...]:
        """Return the nodes to which an edge is taken. Raises: NoValue."""
        edges = [edge for edge in self.state.graph.out[node.id] if edge.on == end]
        if isinstance(node, ConditionNode) and end == "success":
            wanted = json_text(output) if isinstance(output, bool) else str(output)
            found = [edge.to for edge in edges if edge.when == wanted]
            return tuple(found or [edge.to for edge in edges if edge.when == "else"])
        return tuple(edge.to for edge in edges if edge.when is None or self._holds(edge, output))

    def _holds(self, edge: Edge, output: Any) -> bool:
        try:
            holds = self._value(edge.when or "", output=output)
        except NoValue as error:
            raise NoValue(f"the edge to {edge.to}: {error}") from error
        if not isinstance(holds, bool):
            raise NoValue(f"the edge to {edge.to}: `when` gives {str(holds)[:100]} and not true or false")
        return holds

    def _value(self, expression: str, **more: Any) -> Any:
        nodes = {
            id_: {"status": run.status.value, "output": json_value(run.output or _NOTHING), "error": run.error}
            for id_ in mentioned(expression)
            if (run := self.state.nodes.get(id_)) is not None
        }
        return evaluate(expression, {"input": json_value(self.state.input), "nodes": nodes, **more})


def _text(value: Any) -> str:
    return json_text(value, most=MAX_OUTPUT_BYTES, depth=2 * MAX_DEPTH)


def _kind(node: Work) -> str:
    return "agent.run" if isinstance(node, AgentNode) else "tool.run" if isinstance(node, ToolNode) else node.kind


def _milliseconds(since: datetime | None, now: datetime) -> int:
    return 0 if since is None else max(0, (now - since) // timedelta(milliseconds=1))


EXECUTION = Decider(
    category="execution",
    commands=COMMANDS,
    events=EVENTS,
    decide=decide_execution,
    evolve=evolve_execution,
    reads=execution_reads,
)
