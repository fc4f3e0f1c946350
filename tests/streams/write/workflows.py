"""Random workflows, a plain interpreter that says how each must end, and a world in which they are executed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from hypothesis import strategies as st

from domain.automation.context import CONTEXT as AUTOMATION
from domain.automation.execution import ApproveNode, ExecuteWorkflow, RejectNode
from domain.automation.faults import faults, in_order
from domain.automation.graph import (
    ApprovalNode,
    ConditionNode,
    Edge,
    ForeachNode,
    Graph,
    JoinNode,
    Node,
    ParallelNode,
    TaskNode,
    ToolNode,
    TransformNode,
    WaitNode,
)
from domain.automation.tool import RegisterTool
from domain.automation.workflow import CreateWorkflow, PublishWorkflow
from domain.message import Command
from domain.operations.context import CONTEXT as OPERATIONS
from domain.operations.task import ClaimTask, CompleteTask, FailTask
from schemas.envelope import Envelope, Topic
from streams.ports import Reply
from tests.streams.kit import register_tenant, submission
from tests.streams.write.saga import World

PROCESSES = (*OPERATIONS.processes, *AUTOMATION.processes)
ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Planned:
    """A workflow, and what the world will answer to it.

    Shape: `answers` has for each task of a node, by node or by `node/item`, how many attempts fail before one is done;
    an odd attempt fails by silence. Of a condition it has the value, of an approval whether it is given.
    """

    nodes: Sequence[Node]
    edges: Sequence[Edge]
    answers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Ended:
    status: str
    completed: frozenset[str]
    failed: frozenset[str]


# --- the plain interpreter


def interpret(planned: Planned) -> Ended:
    """Return how the workflow must end: node after node, each when all that lead to it are through."""
    graph = Graph.of(planned.nodes, planned.edges)
    taken: set[int] = set()
    completed: set[str] = set()
    failed: set[str] = set()
    unhandled: set[str] = set()
    for id_ in in_order(graph):
        node, into = graph.nodes[id_], graph.into[id_]
        arrived = sum(id(edge) in taken for edge in into)
        needed = len(into) if isinstance(node, JoinNode) and node.needs == "all" else min(1, len(into))
        if arrived < needed:
            continue
        ok = _goes_well(node, planned.answers)
        (completed if ok else failed).add(id_)
        goes_on = [edge for edge in graph.out[id_] if edge.on == ("success" if ok else "error")]
        if isinstance(node, ConditionNode):
            value = "true" if planned.answers[id_] % 2 else "false"
            goes_on = [edge for edge in goes_on if edge.when == value] or [e for e in goes_on if e.when == "else"]
        taken |= {id(edge) for edge in goes_on}
        if not ok and not goes_on:
            unhandled.add(id_)
    return Ended("failed" if unhandled else "completed", frozenset(completed), frozenset(failed))


def _goes_well(node: Node, answers: Mapping[str, int]) -> bool:
    match node:
        case TaskNode() | ToolNode():
            return answers[node.id] < ATTEMPTS
        case ForeachNode():
            return all(answers[f"{node.id}/{item}"] < ATTEMPTS for item in range(answers[node.id]))
        case ApprovalNode():
            return answers[node.id] % 2 == 1
        case TransformNode():
            return answers[node.id] % 4 != 0
        case _:
            return True


# --- random workflows


@st.composite
def plans(draw: st.DrawFn) -> Planned:
    count = draw(st.integers(1, 7))
    answers: dict[str, int] = {}
    nodes = [_node(draw, f"n{at}", answers) for at in range(count)]
    edges: dict[tuple[str, str, str], Edge] = {}
    for at in range(1, count):
        for from_ in draw(st.sets(st.integers(0, at - 1), min_size=1, max_size=3)):
            edge = _edge(draw, nodes[from_], f"n{at}")
            edges[edge.from_, edge.to, edge.on] = edge
    found = list(edges.values())
    for one in faults(nodes, found):
        # all other faults cannot be: what is left are joins that would never be met
        id_ = one.split()[2]
        nodes[int(id_[1:])] = JoinNode(id=id_, type="join", needs="any")
    return Planned(nodes, found, answers)


def _node(draw: st.DrawFn, id_: str, answers: dict[str, int]) -> Node:
    answers[id_] = answer = draw(st.integers(0, 3))
    made: Sequence[Node] = (
        TransformNode(id=id_, type="transform", expression="1 / 0" if answer % 4 == 0 else "input.x + 1"),
        ConditionNode(id=id_, type="condition", expression=f"{answer} % 2 == 1"),
        TaskNode(id=id_, type="task", input=f"'{id_}'", **_WORK),
        TaskNode(id=id_, type="task", input=f"'{id_}'", **_WORK),
        ToolNode(id=id_, type="tool", tool="tool", input=f"{{'node': '{id_}'}}"),
        _foreach(id_, answer),
        ParallelNode(id=id_, type="parallel"),
        JoinNode(id=id_, type="join", needs="all"),
        JoinNode(id=id_, type="join", needs="any"),
        WaitNode(id=id_, type="wait", seconds=30),
        ApprovalNode(id=id_, type="approval"),
    )
    node = draw(st.sampled_from(made))
    if isinstance(node, ForeachNode):
        answers.update({f"{id_}/{item}": draw(st.integers(0, 2)) for item in range(answer)})
    return node


_WORK: Mapping[str, Any] = {"kind": "some.work", "attempts": ATTEMPTS, "timeout_s": 60, "backoff_s": 7}


TOOL = RegisterTool(
    tool_id="tool",
    name="Tool",
    kind="some.work",
    parameters={"properties": {"node": {"type": "string"}}},
    attempts=ATTEMPTS,
    timeout_s=60,
)


def _foreach(id_: str, count: int) -> ForeachNode:
    input_ = f"'{id_}/' + string(item)"
    return ForeachNode(id=id_, type="foreach", items=str(list(range(count))), input=input_, at_once=2, **_WORK)


def _edge(draw: st.DrawFn, node: Node, to: str) -> Edge:
    if isinstance(node, ConditionNode):
        return Edge(from_=node.id, to=to, when=draw(st.sampled_from(["true", "false", "else"])))
    may_fail = isinstance(node, TaskNode | ToolNode | ForeachNode | ApprovalNode | TransformNode)
    return Edge(
        from_=node.id, to=to, on=draw(st.sampled_from(["success", "success", "error"])) if may_fail else "success"
    )


# --- the world that answers


class Engine:
    """Executes planned workflows with the real writer, and does the work of their workers and people."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.writer.write([register_tenant("demo")])

    def send(self, *commands: Command) -> list[Reply]:
        return self.world.writer.write([submission(command) for command in commands])

    def begin(self, planned: Planned, execution_id: str = "e1", **input_: Any) -> None:
        published = PublishWorkflow(workflow_id="w", nodes=tuple(planned.nodes), edges=tuple(planned.edges))
        tools = [TOOL] if any(isinstance(node, ToolNode) for node in planned.nodes) else []
        replies = self.send(
            *tools,
            CreateWorkflow(workflow_id="w", name="W"),
            published,
            ExecuteWorkflow(execution_id=execution_id, workflow_id="w", input={"x": 1, **input_}),
        )
        assert [reply.refusal for reply in replies] == [None] * len(replies)

    def events(self) -> list[Envelope]:
        found: list[Envelope] = []
        while more := self.world.log.read(Topic.EVENTS, 0, after=len(found), limit=10_000):
            found += [entry for entry in more if isinstance(entry, Envelope)]
        return found

    def answer(self, planned: Planned) -> bool:
        """Do what waits for workers and people; return whether there was anything."""
        commands = [*self._work(planned), *self._approvals(planned)]
        self.send(*commands)
        return bool(commands)

    def _work(self, planned: Planned) -> Iterator[Command]:
        asked: dict[str, dict[str, Any]] = {}
        for event in self.events():
            if event.type.startswith("task."):
                task = asked.setdefault(event.stream.removeprefix("task-"), {"attempt": 0})
                task.update(event.data, status=event.type)
        for id_, task in asked.items():
            input_ = orjson.loads(task["input"])
            fails = planned.answers.get(input_["node"] if isinstance(input_, dict) else input_, 0)
            attempt = task["attempt"]
            tried = task["status"] in ("task.failed", "task.timed_out") and task["retry_at"] is not None
            ready = tried and task["retry_at"] <= self.world.hands.at
            if ready or task["status"] == "task.requested":
                yield ClaimTask(task_id=id_, worker="w")
                yield from self._try(id_, attempt + 1, fails)

    def _try(self, id_: str, attempt: int, fails: int) -> Iterator[Command]:
        if attempt > fails:
            yield CompleteTask(task_id=id_, attempt=attempt, output={"done": id_})
        elif attempt % 2 == 0:
            yield FailTask(task_id=id_, attempt=attempt, error="no")

    def _approvals(self, planned: Planned) -> Iterator[Command]:
        waiting: dict[str, bool] = {}
        for event in self.events():
            if event.type == "workflow.node.waiting" and event.data["reason"] == "approval":
                waiting[event.data["nodeId"]] = True
            elif event.type in ("workflow.node.completed", "workflow.node.failed"):
                waiting.pop(event.data["nodeId"], None)
        for node_id in waiting:
            if planned.answers[node_id] % 2:
                yield ApproveNode(execution_id="e1", node_id=node_id)
            else:
                yield RejectNode(execution_id="e1", node_id=node_id, reason="no")

    def run(self, planned: Planned, restarts: Sequence[bool] = ()) -> None:
        """Answer and let time pass until nothing is left to do."""
        again, idle = iter(restarts), 0
        for _ in range(300):
            if next(again, False):
                self.world.restart()
            did = self.answer(planned)
            done = self.world.tick(timedelta(seconds=10 if did else 61))
            # for the next attempt of a task no timer waits: its workers do
            idle = 0 if did or done or self.world.writer.wait_s() < float("inf") else idle + 1
            if idle > 2:
                return
        raise AssertionError("the execution does not end")

    def ended(self, execution_id: str = "e1") -> Ended:
        events = self.world.history(f"execution-{execution_id}")
        whole = [event for event in events if event.data.get("item") is None]
        completed = [event.data["nodeId"] for event in whole if event.type == "workflow.node.completed"]
        failed = [event.data["nodeId"] for event in whole if event.type == "workflow.node.failed"]
        assert len({*completed, *failed}) == len(completed) + len(failed), "a node ended twice"
        status = events[-1].type.removeprefix("workflow.")
        return Ended(status, frozenset(completed), frozenset(failed))
