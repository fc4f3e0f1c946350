"""Workflows are executed by the writer: each ends as a plain interpreter says, and what they ask for is asked once."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.automation.execution import CancelExecution, ExecuteWorkflow, RetryExecution
from domain.automation.graph import (
    ApprovalNode,
    Edge,
    ForeachNode,
    Node,
    ParallelNode,
    TaskNode,
    TransformNode,
    WaitNode,
    WorkflowNode,
)
from domain.automation.turn import MAX_STEPS
from domain.automation.workflow import CreateWorkflow, PublishWorkflow
from domain.operations.task import ClaimTask, CompleteTask
from tests.streams.write.saga import World
from tests.streams.write.workflows import PROCESSES, Engine, Planned, interpret, plans

HOUR = timedelta(hours=1)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    world = World(tmp_path, *PROCESSES)
    yield Engine(world)
    world.log.close()


def task(id_: str, **more: object) -> TaskNode:
    return TaskNode(id=id_, type="task", kind="some.work", input=f"'{id_}'", **more)  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(planned=plans(), restarts=st.lists(st.booleans(), max_size=8))
def test_every_workflow_ends_as_the_plain_interpreter_says(planned: Planned, restarts: list[bool]) -> None:
    with TemporaryDirectory() as folder:
        world = World(Path(folder), *PROCESSES)
        engine = Engine(world)
        engine.begin(planned)
        engine.run(planned, restarts)
        assert engine.ended() == interpret(planned)
        counted = Counter((event.type, event.stream) for event in engine.events())
        once = ("task.requested", "task.completed", "workflow.completed", "workflow.failed")
        assert {counted[of] for of in counted if of[0] in once} <= {1}
        assert not world.writer.failed
        world.log.close()


def test_restart_in_the_middle_of_everything_changes_nothing(engine: Engine) -> None:
    nodes = (task("a"), WaitNode(id="b", type="wait", seconds=30), ApprovalNode(id="c", type="approval"), task("d"))
    planned = Planned(nodes, [Edge(from_=x, to=y) for x, y in ("ab", "bc", "cd")], {"a": 1, "b": 0, "c": 1, "d": 0})
    engine.begin(planned)
    engine.run(planned, [True] * 50)
    assert engine.ended() == interpret(planned)
    types = [event.type for event in engine.events()]
    assert types.count("task.requested") == 2
    assert types.count("workflow.completed") == 1


def test_thousand_nodes_run_in_bounded_turns(engine: Engine) -> None:
    names = [f"n{at}" for at in range(1_000)]
    nodes = [TransformNode(id=name, type="transform", expression="1") for name in names]
    planned = Planned(nodes, [Edge(from_=x, to=y) for x, y in pairwise(names)], {})
    engine.begin(planned)
    before = len(engine.events())
    assert engine.world.types("execution-e1")[-1] == "workflow.turn.ended"
    while engine.world.writer.wait_s() <= 0:
        engine.world.writer.tick()
        after = len(engine.events())
        assert after - before <= 2 * MAX_STEPS + 20
        before = after
    assert engine.ended().completed == {*names}
    assert engine.ended().status == "completed"


def test_many_tasks_at_once_are_requested_over_several_turns(engine: Engine) -> None:
    nodes: list[Node] = [ParallelNode(id="all", type="parallel"), *(task(f"t{at}") for at in range(400))]
    planned = Planned(nodes, [Edge(from_="all", to=f"t{at}") for at in range(400)], {f"t{at}": 0 for at in range(400)})
    engine.begin(planned)
    engine.run(planned)
    assert engine.ended() == interpret(planned)


def test_foreach_keeps_its_bound_and_the_order_of_its_items(engine: Engine) -> None:
    each = ForeachNode(id="f", type="foreach", items="input.list", kind="some.work", input="'i'", at_once=3)
    planned = Planned([each], [], {"i": 0})
    engine.begin(planned, list=[1, 2, 3, 4, 5])
    open_ = most = 0
    engine.run(planned)
    for event in engine.events():
        open_ += {"task.requested": 1, "task.completed": -1}.get(event.type, 0)
        most = max(most, open_)
    assert most == 3
    done = engine.world.history("execution-e1")[-2]
    assert done.data["output"] == "[" + ",".join(f'{{"done":"e1~f~1~{at}"}}' for at in range(5)) + "]"


def test_retry_goes_on_from_what_failed_and_does_nothing_twice(engine: Engine) -> None:
    nodes = (task("a"), task("b", attempts=1), task("c"))
    edges = [Edge(from_="a", to="b"), Edge(from_="b", to="c")]
    engine.begin(Planned(nodes, edges, {}))
    fails = Planned(nodes, edges, {"a": 0, "b": 2, "c": 0})
    engine.run(fails)
    assert engine.world.types("execution-e1")[-1] == "workflow.failed"
    assert engine.world.types("task-e1~c~1") == []
    engine.send(RetryExecution(execution_id="e1"))
    engine.run(Planned(nodes, edges, {"a": 0, "b": 0, "c": 0}))
    assert engine.world.types("execution-e1")[-1] == "workflow.completed"
    requested = [event.stream for event in engine.events() if event.type == "task.requested"]
    assert requested == ["task-e1~a~1", "task-e1~b~1", "task-e1~b~2", "task-e1~c~1"]


def test_cancel_stops_what_goes_on(engine: Engine) -> None:
    inner = Planned((task("x"),), [], {})
    engine.send(
        CreateWorkflow(workflow_id="inner", name="I"), PublishWorkflow(workflow_id="inner", nodes=tuple(inner.nodes))
    )
    sub = WorkflowNode(id="s", type="workflow", workflow_id="inner")
    wait = WaitNode(id="w", type="wait", seconds=3_600)
    nodes = (ParallelNode(id="p", type="parallel"), task("a"), sub, wait)
    engine.begin(Planned(nodes, [Edge(from_="p", to=to) for to in ("a", "s", "w")], {}))
    engine.send(CancelExecution(execution_id="e1", reason="enough"))
    assert engine.world.types("task-e1~a~1") == ["task.requested", "task.cancelled"]
    cancelled = [event.stream for event in engine.events() if event.type == "workflow.cancelled"]
    assert len(cancelled) == 2
    assert [event.type for event in engine.events()].count("task.cancelled") == 2
    assert engine.world.writer.wait_s() == float("inf")


def test_output_of_a_part_is_the_output_of_its_node_and_its_failure_too(engine: Engine) -> None:
    double = TransformNode(id="double", type="transform", expression="input * 2")
    engine.send(CreateWorkflow(workflow_id="inner", name="I"), PublishWorkflow(workflow_id="inner", nodes=(double,)))
    good = WorkflowNode(id="good", type="workflow", workflow_id="inner", input="input.x + 20")
    bad = WorkflowNode(id="bad", type="workflow", workflow_id="inner", input="'text'")
    nope = WorkflowNode(id="nope", type="workflow", workflow_id="missing")
    after = TransformNode(id="after", type="transform", expression="nodes.good.output.double")
    nodes = (ParallelNode(id="p", type="parallel"), good, bad, nope, after)
    edges = [*(Edge(from_="p", to=to) for to in ("good", "bad", "nope")), Edge(from_="good", to="after")]
    engine.begin(Planned(nodes, edges, {}))
    events = {event.data.get("nodeId"): event for event in engine.world.history("execution-e1")}
    assert events["after"].data["output"] == "42"
    assert events["bad"].type == events["nope"].type == "workflow.node.failed"
    assert events["nope"].data["error"] == "workflow missing is not known"
    assert engine.world.types("execution-e1")[-1] == "workflow.failed"


def test_workflow_that_executes_itself_ends(engine: Engine) -> None:
    engine.begin(Planned((WorkflowNode(id="me", type="workflow", workflow_id="w"),), [], {}))
    engine.run(Planned((), [], {}))
    ends = [event.type for event in engine.events() if event.type in ("workflow.failed", "workflow.started")]
    assert Counter(ends) == {"workflow.started": 6, "workflow.failed": 6}


def test_deadline_of_a_node_fails_it_and_takes_its_task_back(engine: Engine) -> None:
    engine.begin(Planned((task("a", deadline_s=60),), [], {}))
    engine.world.tick(timedelta(seconds=59))
    assert engine.world.types("execution-e1")[-1] == "workflow.node.started"
    engine.world.tick(timedelta(seconds=1))
    assert engine.world.types("execution-e1")[-2:] == ["workflow.node.failed", "workflow.failed"]
    assert engine.world.types("task-e1~a~1")[-1] == "task.cancelled"


def test_execution_keeps_the_version_that_it_began_with(engine: Engine) -> None:
    first = (task("a"), TransformNode(id="b", type="transform", expression="1"))
    engine.begin(Planned(first, [Edge(from_="a", to="b")], {}))
    engine.send(PublishWorkflow(workflow_id="w", nodes=(task("z"),)))
    engine.send(ExecuteWorkflow(execution_id="e2", workflow_id="w"))
    engine.send(ClaimTask(task_id="e1~a~1", worker="w"), CompleteTask(task_id="e1~a~1", attempt=1))
    assert engine.world.history("execution-e1")[-1].data["output"] == '{"b":1}'
    assert engine.world.types("task-e2~z~1") == ["task.requested"]


def test_executions_that_wait_for_people_and_times_cost_nothing(engine: Engine) -> None:
    nodes = (ParallelNode(id="p", type="parallel"), ApprovalNode(id="a", type="approval"))
    engine.begin(
        Planned(
            (*nodes, WaitNode(id="w", type="wait", seconds=3_600)),
            [Edge(from_="p", to="a"), Edge(from_="p", to="w")],
            {},
        )
    )
    assert engine.world.writer.wait_s() == HOUR.total_seconds()
    assert engine.world.tick(HOUR - timedelta(seconds=1)) == 0
