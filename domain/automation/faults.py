"""Whoever publishes a graph hears of all that is wrong with it at once."""

from collections import Counter
from collections.abc import Iterator, Sequence

from domain.automation.expressions import BadExpression, check
from domain.automation.graph import (
    ConditionNode,
    Edge,
    ForeachNode,
    Graph,
    JoinNode,
    Node,
    TransformNode,
    WaitNode,
)

_NAMED = ("input", "nodes")

Choice = tuple[str, str]
"""A node, and which of its ends or values an edge stands for."""


def faults(nodes: Sequence[Node], edges: Sequence[Edge]) -> Sequence[str]:
    """Return what is wrong with a graph, nothing where it can be executed."""
    graph = Graph.of(nodes, edges)
    order = in_order(graph)
    found = [*_of_names(nodes, edges), *_of_expressions(nodes, graph), *_of_conditions(graph)]
    if len(order) < len(graph.nodes):
        circle = sorted(graph.nodes.keys() - {*order})
        return [*found, f"a circle goes through or leads to {', '.join(circle)}"]
    return [*found, *_of_reach(graph), *_of_joins(graph, order)]


def in_order(graph: Graph) -> Sequence[str]:
    """Return the nodes, each behind all that lead to it; those of and behind a circle are left out."""
    left = {id_: len(edges) for id_, edges in graph.into.items()}
    order = [id_ for id_, count in left.items() if not count]
    for id_ in order:
        for edge in graph.out[id_]:
            left[edge.to] -= 1
            if not left[edge.to]:
                order.append(edge.to)
    return order


def _of_names(nodes: Sequence[Node], edges: Sequence[Edge]) -> Iterator[str]:
    ids = Counter(node.id for node in nodes)
    yield from (f"{count} nodes have the id {id_}" for id_, count in ids.items() if count > 1)
    for edge in edges:
        for end in dict.fromkeys((edge.from_, edge.to)):
            if end not in ids:
                yield f"the edge from {edge.from_} to {edge.to} names {end}, which is no node"
    same = Counter((edge.from_, edge.to, edge.on) for edge in edges)
    for (from_, to, on), count in same.items():
        if count > 1:
            yield f"{count} edges lead from {from_} to {to} on {on}"


def _of_expressions(nodes: Sequence[Node], graph: Graph) -> Iterator[str]:
    for node in nodes:
        for field, text, names in _expressions(node):
            if said := _wrong(text, *names):
                yield f"{field} of {node.id}: {said}"
        if isinstance(node, WaitNode) and (node.seconds is None) == (node.until is None):
            yield f"{node.id} waits for `seconds` or `until` an instant; name one of them"
    for edge in (edge for edges in graph.out.values() for edge in edges):
        if isinstance(graph.nodes[edge.from_], ConditionNode) and edge.on == "success":
            continue
        if edge.when and (said := _wrong(edge.when, *_NAMED, "output")):
            yield f"`when` of the edge from {edge.from_} to {edge.to}: {said}"


def _expressions(node: Node) -> Iterator[tuple[str, str, Sequence[str]]]:
    if isinstance(node, ConditionNode | TransformNode):
        yield "expression", node.expression, _NAMED
    if isinstance(node, ForeachNode):
        yield "items", node.items, _NAMED
    if isinstance(node, WaitNode) and node.until:
        yield "until", node.until, _NAMED
    if text := getattr(node, "input", None):
        yield "input", text, (*_NAMED, "item", "index") if isinstance(node, ForeachNode) else _NAMED


def _wrong(text: str, *names: str) -> str | None:
    try:
        check(text, *names)
    except BadExpression as error:
        return str(error)
    return None


def _of_conditions(graph: Graph) -> Iterator[str]:
    for id_, edges in graph.out.items():
        if isinstance(graph.nodes[id_], ConditionNode):
            for edge in edges:
                if edge.on == "success" and edge.when is None:
                    yield f"the edge from the condition {id_} to {edge.to} says not `when`: true, false, …, or else"


def _of_reach(graph: Graph) -> Iterator[str]:
    starts = [id_ for id_, edges in graph.into.items() if not edges]
    for id_ in starts[1:]:
        yield f"{id_} cannot be reached: no edge leads to it, and {starts[0]} is where the workflow starts"


def _of_joins(graph: Graph, order: Sequence[str]) -> Iterator[str]:
    """Yield the joins that need edges that are never taken together.

    What must have been chosen for a node to run is known where it follows from the graph alone: for a join that needs
    all its edges all of it, for any other node what its edges have in common.
    """
    chosen: dict[str, frozenset[Choice]] = {}
    for id_ in order:
        node, edges = graph.nodes[id_], graph.into[id_]
        each = [chosen[edge.from_] | {_choice(graph, edge)} for edge in edges]
        all_needed = isinstance(node, JoinNode) and node.needs in ("all", len(edges))
        if not each:
            chosen[id_] = frozenset()
        elif all_needed:
            chosen[id_] = frozenset().union(*each)
            twice = Counter(of for of, _ in chosen[id_])
            if split := [of for of, count in twice.items() if count > 1]:
                yield f"the join {id_} can never be met: of the ways from {min(split)} only one is taken"
        else:
            chosen[id_] = frozenset.intersection(*each)
        if isinstance(node, JoinNode) and isinstance(node.needs, int) and node.needs > len(edges):
            yield f"the join {id_} can never be met: it needs {node.needs} edges and has {len(edges)}"


def _choice(graph: Graph, edge: Edge) -> Choice:
    decides = isinstance(graph.nodes[edge.from_], ConditionNode) and edge.on == "success"
    return edge.from_, f"{edge.on} {edge.when}" if decides else edge.on
