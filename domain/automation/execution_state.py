"""The state of an execution follows from its events: which nodes have run, and which edges are decided."""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never

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
    WorkflowRetried,
    WorkflowStarted,
)
from domain.automation.graph import Edge, Graph, graph_of, runs
from domain.message import filled, known, value


class ExecutionStatus(StrEnum):
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class NodeStatus(StrEnum):
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


@value
class NodeRun:
    """How a node stands.

    Shape: `input`, `output` and those of the items are JSON; an item that failed has its error in `failed`. `taken` are
    the nodes to which an edge of it is taken. `going` are the items that have no answer yet, with their `due_at`.
    """

    status: NodeStatus
    attempt: int = 1
    started_at: datetime | None = None
    due_at: datetime | None = None
    input: str = ""
    output: str = ""
    error: str = ""
    taken: tuple[str, ...] = ()
    going: Mapping[int, datetime | None] = field(default_factory=dict)
    done: Mapping[int, str] = field(default_factory=dict)
    failed: Mapping[int, str] = field(default_factory=dict)


@value
class Execution:
    """Shape: `ready` are nodes that run next; `undecided` and `taken` count the edges that lead to a node."""

    workflow_id: str
    execution_id: str
    started_at: datetime
    graph_text: str
    input: str
    parent: str | None
    depth: int
    status: ExecutionStatus
    nodes: Mapping[str, NodeRun]
    ready: tuple[str, ...]
    undecided: Mapping[str, int]
    taken: Mapping[str, int]
    attempts: Mapping[str, int]
    output: str = ""
    error: str = ""

    @property
    def graph(self) -> Graph:
        return graph_of(self.graph_text)

    @property
    def unhandled(self) -> tuple[str, ...]:
        """Return the nodes whose failure no edge took."""
        return tuple(id_ for id_, run in self.nodes.items() if run.status is NodeStatus.FAILED and not run.taken)


def evolve_execution(state: Execution | None, event: ExecutionEvent) -> Execution:
    if isinstance(event, WorkflowStarted):
        return _begun(event)
    execution = known(state)
    match event:
        case NodeStarted() | NodeWaiting():
            return _running(execution, event)
        case NodeCompleted() | NodeFailed():
            return _item_ended(execution, event) if event.item is not None else _ended(execution, event)
        case TurnEnded():
            return execution
        case WorkflowCompleted():
            return replace(execution, status=ExecutionStatus.COMPLETED, output=event.output)
        case WorkflowFailed():
            return replace(execution, status=ExecutionStatus.FAILED, error=event.error)
        case WorkflowCancelled():
            return replace(execution, status=ExecutionStatus.CANCELLED, error=event.reason, ready=())
        case WorkflowRetried():
            return _retried(execution, event)
        case _:
            assert_never(event)


def _begun(event: WorkflowStarted) -> Execution:
    graph = graph_of(event.graph)
    return filled(
        Execution,
        event,
        started_at=event.timestamp,
        graph_text=event.graph,
        status=ExecutionStatus.RUNNING,
        nodes={},
        ready=(graph.start,),
        undecided={id_: len(edges) for id_, edges in graph.into.items()},
        taken={},
        attempts={},
    )


def _running(execution: Execution, event: NodeStarted | NodeWaiting) -> Execution:
    id_, before = event.node_id, execution.nodes.get(event.node_id)
    if isinstance(event, NodeWaiting) and before:
        node = replace(before, status=NodeStatus.WAITING, due_at=event.until)
    elif isinstance(event, NodeStarted) and event.item is not None and before:
        node = replace(before, going={**before.going, event.item: event.due_at})
    else:
        assert isinstance(event, NodeStarted)  # noqa: S101 - a node starts before it waits
        node = NodeRun(
            status=NodeStatus.RUNNING,
            attempt=event.attempt,
            started_at=event.timestamp,
            due_at=event.due_at,
            input=event.input,
        )
    ready = tuple(one for one in execution.ready if one != id_) if id_ in execution.ready else execution.ready
    return replace(execution, nodes={**execution.nodes, id_: node}, ready=ready)


def _item_ended(execution: Execution, event: NodeCompleted | NodeFailed) -> Execution:
    node = execution.nodes[event.node_id]
    assert event.item is not None  # noqa: S101 - asked by who calls
    going = {item: due_at for item, due_at in node.going.items() if item != event.item}
    if isinstance(event, NodeCompleted):
        node = replace(node, going=going, done={**node.done, event.item: event.output})
    else:
        node = replace(node, going=going, failed={**node.failed, event.item: event.error})
    return replace(execution, nodes={**execution.nodes, event.node_id: node})


def _ended(execution: Execution, event: NodeCompleted | NodeFailed) -> Execution:
    node = execution.nodes[event.node_id]
    if isinstance(event, NodeCompleted):
        node = replace(node, status=NodeStatus.COMPLETED, output=event.output, taken=event.next)
    else:
        node = replace(node, status=NodeStatus.FAILED, error=event.error, taken=event.next)
    after = _Edges(execution, event.node_id, node)
    after.decide(event.node_id, "success" if isinstance(event, NodeCompleted) else "error", event.next)
    return after.execution


def _retried(execution: Execution, event: WorkflowRetried) -> Execution:
    """Return the execution in which these nodes, and what was skipped because of them, stand before their run."""
    graph, again = execution.graph, list(event.nodes)
    for id_ in again:
        for edge in graph.out[id_]:
            run = execution.nodes.get(edge.to)
            if run and run.status is NodeStatus.SKIPPED and edge.to not in again:
                again.append(edge.to)
    nodes = {id_: run for id_, run in execution.nodes.items() if id_ not in again}
    undecided, taken = {**execution.undecided}, {**execution.taken}
    for id_ in again:
        undecided[id_] = sum(edge.from_ in again for edge in graph.into[id_])
        taken[id_] = sum(edge.from_ not in again and _is_taken(nodes[edge.from_], edge) for edge in graph.into[id_])
    attempts = {**execution.attempts, **{id_: execution.nodes[id_].attempt for id_ in event.nodes}}
    ready = tuple(id_ for id_ in again if not undecided[id_])
    return replace(
        execution,
        status=ExecutionStatus.RUNNING,
        nodes=nodes,
        ready=ready,
        undecided=undecided,
        taken=taken,
        attempts=attempts,
        error="",
    )


def _is_taken(run: NodeRun, edge: Edge) -> bool:
    end = "success" if run.status is NodeStatus.COMPLETED else "error"
    return edge.on == end and edge.to in run.taken


class _Edges:
    """Decides the edges of a node that has ended, and of those that are skipped by it."""

    def __init__(self, execution: Execution, id_: str, run: NodeRun) -> None:
        self._of = execution
        self._nodes = {**execution.nodes, id_: run}
        self._undecided, self._taken = {**execution.undecided}, {**execution.taken}
        self._ready = list(execution.ready)

    @property
    def execution(self) -> Execution:
        return replace(
            self._of, nodes=self._nodes, undecided=self._undecided, taken=self._taken, ready=tuple(self._ready)
        )

    def decide(self, id_: str, end: str, taken: tuple[str, ...]) -> None:
        graph = self._of.graph
        decided = [(edge.to, edge.on == end and edge.to in taken) for edge in graph.out[id_]]
        for to, is_taken in decided:
            self._taken[to] = self._taken.get(to, 0) + is_taken
            self._undecided[to] -= 1
            if self._undecided[to] or to in self._nodes:
                # what is done already, before a retry, stays done
                continue
            if runs(graph.nodes[to], self._taken[to], len(graph.into[to])):
                self._ready.append(to)
            else:
                self._nodes[to] = NodeRun(status=NodeStatus.SKIPPED)
                decided += [(edge.to, False) for edge in graph.out[to]]
