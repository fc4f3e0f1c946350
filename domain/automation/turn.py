"""An execution goes on here as far as it can in one turn: it runs nodes, decides edges, and ends."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.automation.execution import (
    ExecutionEvent,
    NodeCompleted,
    NodeFailed,
    NodeStarted,
    NodeWaiting,
    TurnEnded,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
)
from domain.automation.execution_state import Execution, NodeStatus, evolve_execution
from domain.automation.expressions import BadExpression, NoValue, evaluate, mentioned
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
from schemas.json_text import MAX_DEPTH, json_text, json_value

MAX_STEPS = 200
"""Nodes that run in one turn; what is ready then goes on in the next, so that a transaction stays short."""

MAX_OUTPUT_BYTES = 256 * 1024

CANCELLED = "cancelled"
NOTHING = "null"


class Turn:
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
                node = self.state.graph.nodes[id_]
                for item in run.going:
                    self._failed(node, CANCELLED, item)
                self._failed(node, CANCELLED)
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
        if item is None:
            try:
                taken = self._taken(node, "error", {"error": error})
            except NoValue as other:
                error = f"{error}; then {other}"
        self._failed(node, error, item, taken)

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
            self._start(node, NOTHING)
            self.fail(node, str(error))
            return
        match node:
            case ConditionNode() | TransformNode():
                self._start(node, NOTHING)
                self.complete(node, bounded_text(input_))
            case ParallelNode() | JoinNode():
                self._start(node, NOTHING)
                self.complete(node, NOTHING)
            case WaitNode():
                self._start(node, NOTHING)
                self.emit(NodeWaiting(**self._of(node), item=None, reason="time", role=None, until=input_))
            case ApprovalNode():
                self._start(node, NOTHING)
                until = self._after(node.deadline_s)
                role = node.role and node.role.value
                self.emit(NodeWaiting(**self._of(node), item=None, reason="approval", role=role, until=until))
            case ForeachNode():
                self._start(node, bounded_text(input_))
                self.go_on_with(node)
            case _:
                self._start(node, bounded_text(input_), node)

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
        with suppress(TypeError, ValueError, OverflowError):  # the last one is not of the years 1 to 9999 in UTC
            at = datetime.fromisoformat(said)
            if at.tzinfo is not None:
                return at.astimezone(UTC)
        raise NoValue(f"until of {node.id} must be an instant like 2026-01-31T08:30:00Z")

    def _start_item(self, node: ForeachNode, index: int, item: Any) -> None:
        try:
            input_ = item if node.input is None else self._value(node.input, item=item, index=index)
        except NoValue as error:
            self._start(node, NOTHING, None, index)
            self.fail(node, str(error), index)
        else:
            self._start(node, bounded_text(input_), node, index)

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

    def _failed(self, node: Node, error: str, item: int | None = None, taken: tuple[str, ...] = ()) -> None:
        self.emit(NodeFailed(**self._of(node), **self._took(node), item=item, next=taken, error=error))

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
        if failed := state.unhandled:
            error = "; ".join(f"{id_}: {state.nodes[id_].error}" for id_ in failed[:10])
            self.emit(WorkflowFailed(**self.about, **self._ending(), error=error, nodes=failed))
            return
        ends = [id_ for id_, run in state.nodes.items() if run.status is NodeStatus.COMPLETED and not graph.out[id_]]
        output = "{" + ",".join(f'"{id_}":{state.nodes[id_].output}' for id_ in sorted(ends)) + "}"
        if len(output.encode()) > MAX_OUTPUT_BYTES:
            output = NOTHING
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
            id_: {"status": run.status.value, "output": json_value(run.output or NOTHING), "error": run.error}
            for id_ in mentioned(expression)
            if (run := self.state.nodes.get(id_)) is not None
        }
        try:
            return evaluate(expression, {"input": json_value(self.state.input), "nodes": nodes, **more})
        except BadExpression as error:
            # it was none when it was published; another release of the library may think otherwise
            raise NoValue(str(error)) from error


def bounded_text(value: Any) -> str:
    return json_text(value, most=MAX_OUTPUT_BYTES, depth=2 * MAX_DEPTH)


def _kind(node: Work) -> str:
    return "agent.run" if isinstance(node, AgentNode) else "tool.run" if isinstance(node, ToolNode) else node.kind


def _milliseconds(since: datetime | None, now: datetime) -> int:
    return 0 if since is None else max(0, (now - since) // timedelta(milliseconds=1))
