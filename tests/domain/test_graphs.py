"""What is wrong with a graph is said before it runs."""

from contextlib import suppress
from typing import Any

import cel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.automation.expressions import MAX_STEPS, VARIABLES, BadExpression, NoValue, check, evaluate
from domain.automation.faults import faults
from domain.automation.graph import (
    ConditionNode,
    Edge,
    ForeachNode,
    JoinNode,
    ParallelNode,
    TaskNode,
    TransformNode,
    WaitNode,
    graph_of,
    graph_text,
)
from tests.examples.automation import EDGES, NODES


def fork(id_: str) -> ParallelNode:
    return ParallelNode(id=id_, type="parallel")


def join(id_: str, needs: Any = "all") -> JoinNode:
    return JoinNode(id=id_, type="join", needs=needs)


def edges(*pairs: str) -> list[Edge]:
    """`edges("a b", "b c error")`."""
    return [Edge(from_=one.split()[0], to=one.split()[1], on="error" if "error" in one else "success") for one in pairs]


def test_example_is_without_fault_and_reads_back_as_it_was() -> None:
    assert faults(NODES, EDGES) == []
    graph = graph_of(graph_text(NODES, EDGES))
    assert tuple(graph.nodes.values()) == NODES
    assert graph.start == "check"


def test_every_fault_is_named_at_once() -> None:
    nodes = (
        fork("a"),
        fork("a"),
        TransformNode(id="b", type="transform", expression="1 +"),
        TransformNode(id="c", type="transform", expression="secret + 1"),
        ConditionNode(id="d", type="condition", expression="true"),
        WaitNode(id="e", type="wait"),
        fork("lost"),
        join("j", 3),
        ForeachNode(id="f", type="foreach", kind="k", items="item", input="item + index"),
    )
    found = faults(nodes, edges("a b", "a b", "b c", "c d", "d e", "e nowhere", "e j", "e f"))
    assert [one.partition(": Failed")[0] for one in found] == [
        "2 nodes have the id a",
        "the edge from e to nowhere names nowhere, which is no node",
        "2 edges lead from a to b on success",
        "expression of b",
        "expression of c: secret is not known here; there are input, nodes",
        "e waits for `seconds` or `until` an instant; name one of them",
        "items of f: item is not known here; there are input, nodes",
        "the edge from the condition d to e says not `when`: true, false, …, or else",
        "lost cannot be reached: no edge leads to it, and a is where the workflow starts",
        "the join j can never be met: it needs 3 edges and has 1",
    ]


def test_circle_is_named() -> None:
    nodes = [fork(id_) for id_ in "abcd"]
    assert faults(nodes, edges("a b", "b c", "c b", "c d")) == ["a circle goes through or leads to b, c, d"]
    assert faults(nodes[:1], edges("a a")) == ["a circle goes through or leads to a"]


def test_join_of_ways_that_exclude_each_other_can_never_be_met() -> None:
    decide = ConditionNode(id="c", type="condition", expression="input.ok")
    nodes = (decide, fork("yes"), fork("no"), join("j"))
    ways = [Edge(from_="c", to="yes", when="true"), Edge(from_="c", to="no", when="else"), *edges("yes j", "no j")]
    assert faults(nodes, ways) == ["the join j can never be met: of the ways from c only one is taken"]
    assert faults((*nodes[:3], join("j", "any")), ways) == []
    work = (fork("s"), TaskNode(id="t", type="task", kind="k"), fork("u"), join("j"))
    assert faults(work, edges("s t", "s u", "t j", "u j")) == []
    both = edges("s t", "s u", "t j", "t u error", "u j")
    assert faults(work, both) == []
    apart = edges("s t", "t j", "t u error", "u j")
    assert faults(work, apart) == ["the join j can never be met: of the ways from t only one is taken"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("input.a + 1", 3),
        ("nodes.check.output.status == 200 && !has(input.b)", True),
        ("{'name': 'x' + string(input.a), 'all': input.l.filter(i, i > 1).map(i, i * 2)}", {"name": "x2", "all": [4]}),
        ("timestamp('2026-01-31T08:30:00Z')", "2026-01-31T08:30:00Z"),
        ("nodes['check'].output", {"status": 200}),
        ("input.l", [1, 2]),
    ],
)
def test_expression_gives_json(text: str, value: Any) -> None:
    check(text, "input", "nodes")
    assert evaluate(text, {"input": {"a": 2, "l": [1, 2]}, "nodes": {"check": {"output": {"status": 200}}}}) == value


@pytest.mark.parametrize(
    "text",
    ["1 +", "x", "join('a')", "r'a'", "b'a'", "'''a'''", "1 // 2", "input.l.map(input, input)", "`a`", "bytes('a')"],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(BadExpression):
        check(text, *VARIABLES)


@pytest.mark.parametrize("text", ["input.b", "1 / 0", "1.0 / 0.0", "{1: 2}", "'a' + 1"])
def test_expression_without_a_json_value_says_so(text: str) -> None:
    with pytest.raises(NoValue):
        evaluate(text, {"input": {"a": 1}})


@pytest.mark.parametrize(
    "text",
    [
        "input.l.map(x, input.l)",
        "input.l.map(x, input.l.map(y, y))",
        "(input.l + input.l + input.l).map(x, [x, x, x]).map(x, [x, x, x]).map(x, [x, x, x])",
    ],
)
def test_expression_that_could_take_too_long_is_not_tried(text: str) -> None:
    with pytest.raises(NoValue, match=f"more than {MAX_STEPS}"):
        evaluate(text, {"input": {"l": list(range(500))}})


@given(st.text(alphabet="ab1 .()[]{},'\"\\+&|?:!<>=inputodes", max_size=40))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    with suppress(BadExpression, NoValue):
        evaluate(text, {"input": {"a": 1}, "nodes": {}})


def test_panic_of_the_library_is_an_expression_without_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    panic = type("PanicException", (BaseException,), {})

    def fail(_text: str) -> None:
        raise panic("index out of bounds")

    monkeypatch.setattr(cel, "compile", fail)
    with pytest.raises(BadExpression, match="the library failed on it"):
        check("input.a + 987654321", *VARIABLES)
