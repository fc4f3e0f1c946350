"""A workflow is a graph of nodes and edges; what a graph may look like is declared here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal

import orjson
from pydantic import AliasChoices, Field, StringConstraints, TypeAdapter

from domain.automation.expressions import Expression
from domain.identity.user import Role
from domain.message import value
from domain.operations.task import Attempts, TaskKind, TaskSeconds
from schemas.values import Id, Name

NodeId = Annotated[str, StringConstraints(max_length=40, pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
"""Expressions name a node by it: `nodes.check.output`."""

MAX_NODES = 2_000
MAX_ITEMS = 1_000


@value
class _Node:
    """Shape: `name` is for people. A node that is no join runs when all edges to it are decided and one is taken."""

    id: NodeId
    name: Annotated[str, StringConstraints(max_length=200)] = ""


@value
class _Work(_Node):
    """What a worker does. Its attempts are those of the task; `input` is an expression for the task's input."""

    input: Expression | None = None
    timeout_s: TaskSeconds = 300
    heartbeat_s: TaskSeconds | None = None
    attempts: Attempts = 3
    backoff_s: Annotated[int, Field(strict=True, ge=0, le=86_400)] = 5
    deadline_s: TaskSeconds | None = None


@value
class TaskNode(_Work):
    type: Literal["task"]
    kind: TaskKind


@value
class AgentNode(_Work):
    """Runs the agent with this id on the input; its output is the agent's last text.

    Shape: how often and how long is tried says the agent; `deadline_s` bounds the whole run.
    """

    type: Literal["agent"]
    agent: Name


@value
class ToolNode(_Work):
    """Executes a registered tool with `input` as its parameters. Its time-out and its attempts are the tool's own.

    Shape: an execution of an earlier version asked for a task of the kind `tool.run` in its place.
    """

    type: Literal["tool"]
    tool: Name


@value
class ForeachNode(_Work):
    """One task for each item of a list, at most `at_once` at a time; its output is the list of their outputs.

    Shape: `input` may name `item` and `index`. It fails when all have ended and one of them failed.
    """

    type: Literal["foreach"]
    items: Expression
    kind: TaskKind
    at_once: Annotated[int, Field(strict=True, ge=1, le=100)] = 10
    max_items: Annotated[int, Field(strict=True, ge=1, le=MAX_ITEMS)] = MAX_ITEMS


@value
class ConditionNode(_Node):
    """Its edges say in `when` which value of the expression they stand for: `true`, `false`, a text, or `else`."""

    type: Literal["condition"]
    expression: Expression


@value
class TransformNode(_Node):
    """Its output is the value of the expression."""

    type: Literal["transform"]
    expression: Expression


@value
class ParallelNode(_Node):
    """All its edges are taken."""

    type: Literal["parallel"]


@value
class JoinNode(_Node):
    """Runs when all its edges are decided and `needs` of them are taken, else it is skipped."""

    type: Literal["join"]
    needs: Literal["all", "any"] | Annotated[int, Field(strict=True, ge=1, le=MAX_NODES)] = "all"


@value
class WaitNode(_Node):
    """Shape: one of `seconds` and `until`, an expression for an instant."""

    type: Literal["wait"]
    seconds: Annotated[int, Field(strict=True, ge=1, le=366 * 86_400)] | None = None
    until: Expression | None = None


@value
class ApprovalNode(_Node):
    """A person approves or rejects; with a `role` it is one who has it, or an owner or admin."""

    type: Literal["approval"]
    role: Role | None = None
    deadline_s: Annotated[int, Field(strict=True, ge=1, le=366 * 86_400)] | None = None


@value
class WorkflowNode(_Node):
    """Executes another workflow; its output is that of the execution."""

    type: Literal["workflow"]
    workflow_id: Id
    input: Expression | None = None
    deadline_s: TaskSeconds | None = None


Work = TaskNode | AgentNode | ToolNode | ForeachNode
Node = Work | ConditionNode | TransformNode | ParallelNode | JoinNode | WaitNode | ApprovalNode | WorkflowNode

WAITING_TYPES = frozenset({"task", "agent", "tool", "foreach", "wait", "approval", "workflow"})
"""The types of nodes that something else than the execution has to answer."""


@value
class Edge:
    """Shape: `on` says after which end of its node it may be taken; `when` must then hold, if it is given.

    Of a condition's edges `when` is a value; of all others it is an expression, which may name `output`.
    """

    from_: Annotated[NodeId, Field(validation_alias=AliasChoices("from", "from_"), serialization_alias="from")]
    to: NodeId
    on: Literal["success", "error"] = "success"
    when: Annotated[str, StringConstraints(min_length=1, max_length=2_000)] | None = None


Nodes = Annotated[tuple[Annotated[Node, Field(discriminator="type")], ...], Field(min_length=1, max_length=MAX_NODES)]
Edges = Annotated[tuple[Edge, ...], Field(max_length=4 * MAX_NODES)]


@dataclass(frozen=True, slots=True)
class Graph:
    """Shape: `out` and `into` have an entry for each node."""

    nodes: Mapping[str, Node]
    out: Mapping[str, Sequence[Edge]]
    into: Mapping[str, Sequence[Edge]]

    @classmethod
    def of(cls, nodes: Sequence[Node], edges: Sequence[Edge]) -> "Graph":
        """Shape: edges with an unknown end are left out."""
        by_id = {node.id: node for node in nodes}
        out: dict[str, list[Edge]] = {id_: [] for id_ in by_id}
        into: dict[str, list[Edge]] = {id_: [] for id_ in by_id}
        for edge in edges:
            if edge.from_ in by_id and edge.to in by_id:
                out[edge.from_].append(edge)
                into[edge.to].append(edge)
        return cls(by_id, out, into)

    @property
    def start(self) -> str:
        """Return the one node to which no edge leads."""
        return next(id_ for id_, edges in self.into.items() if not edges)


_NODES: TypeAdapter[tuple[Node, ...]] = TypeAdapter(Nodes)
_EDGES: TypeAdapter[tuple[Edge, ...]] = TypeAdapter(Edges)


def graph_text(nodes: Sequence[Node], edges: Sequence[Edge]) -> str:
    """Return a graph as JSON, as events keep it."""
    shown: dict[str, Any] = {
        "nodes": _NODES.dump_python(tuple(nodes), mode="json", exclude_defaults=True),
        "edges": _EDGES.dump_python(tuple(edges), mode="json", by_alias=True, exclude_defaults=True),
    }
    return orjson.dumps(shown).decode()


@lru_cache(256)
def graph_of(text: str) -> Graph:
    found = orjson.loads(text)
    return Graph.of(_NODES.validate_python(found["nodes"]), _EDGES.validate_python(found["edges"]))


def runs(node: Node, taken: int, edges: int) -> bool:
    """Return whether a node runs, all of whose edges are decided."""
    if not isinstance(node, JoinNode) or node.needs == "any":
        return taken > 0
    return taken >= (edges if node.needs == "all" else int(node.needs))
