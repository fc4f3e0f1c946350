"""The writer has tools executed: for who asks, within their limit, and as nodes of workflows."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from domain.automation.execution import CancelExecution, ExecuteWorkflow, NodeStarted
from domain.automation.graph import Edge, Node, ToolNode, TransformNode
from domain.automation.node_runs import sub_execution_id
from domain.automation.processes import WORKFLOW_NODE
from domain.automation.tool import (
    CancelToolExecution,
    ExecuteTool,
    RegisterTool,
    RetireTool,
    ToolExecutionStarted,
    task_id_of,
)
from domain.automation.tool_processes import TOOL_RUN
from domain.message import Command, Event, filled
from domain.operations.task import CancelTask, ClaimTask, CompleteTask, FailTask, RequestTask
from domain.process import Action, Around, Ask, Process
from domain.rejection import Kind
from schemas.json_text import json_value
from tests.streams.write.saga import World
from tests.streams.write.workflows import PROCESSES, Engine, Planned

LOOK = RegisterTool(
    tool_id="look",
    name="Look",
    kind="some.work",
    parameters={"properties": {"x": {"type": "integer"}}},
    fixed={"url": "https://web-1.example"},
    attempts=2,
)
SECOND = timedelta(seconds=1)
OTHERS = [process for process in PROCESSES if process is not TOOL_RUN]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    world = World(tmp_path, *PROCESSES)
    engine = Engine(world)
    engine.send(LOOK)
    yield engine
    assert not world.writer.failed
    world.log.close()


def look(execution_id: str, tool_id: str = "look") -> ExecuteTool:
    return ExecuteTool(tool_id=tool_id, execution_id=execution_id, parameters={"x": 1})


def done(task_id: str) -> tuple[Command, ...]:
    return ClaimTask(task_id=task_id, worker="w"), CompleteTask(task_id=task_id, attempt=1, output={"status": 200})


def kinds(engine: Engine, *commands: Command) -> list[Kind | None]:
    return [reply.refusal and reply.refusal.kind for reply in engine.send(*commands)]


def tool_node(id_: str = "a", **more: object) -> ToolNode:
    return ToolNode(**{"id": id_, "type": "tool", "tool": "look", "input": "{'x': input.x}", **more})  # type: ignore[arg-type]


def begin(engine: Engine, *nodes: Node, **input_: Any) -> None:
    edges = [Edge(from_=one.id, to=two.id) for one, two in pairwise(nodes)]
    engine.begin(Planned(nodes, edges, {}), **input_)


OF_NODE = sub_execution_id("e1~a~1")
TASK = task_id_of(OF_NODE)


# --- tools


def test_execution_is_a_task_whose_output_is_its_own(engine: Engine) -> None:
    engine.send(look("x1"))
    [requested] = engine.world.history("task-tool-run-x1")
    assert requested.data["input"] == '{"url":"https://web-1.example","x":1}'
    assert (requested.data["kind"], requested.data["attempts"]) == ("some.work", 2)
    engine.send(*done("tool-run-x1"))
    ended = engine.world.history("tool-look")[-1]
    assert (ended.type, ended.data["output"]) == ("tool.execution.completed", '{"status":200}')
    assert kinds(engine, look("x1")) == [Kind.CONFLICT]


def test_id_of_an_execution_is_used_once_by_all_tools_also_in_one_batch_and_after_a_restart(engine: Engine) -> None:
    engine.send(replace(LOOK, tool_id="other"))
    assert kinds(engine, look("x1"), look("x1", "other")) == [None, Kind.CONFLICT]
    engine.send(*done("tool-run-x1"))
    engine.world.restart()
    assert kinds(engine, look("x1"), look("x1", "other"), look("x2", "other")) == [Kind.CONFLICT, Kind.CONFLICT, None]


def test_execution_fails_with_the_last_attempt_of_its_task(engine: Engine) -> None:
    engine.send(look("x1"))
    task = "tool-run-x1"
    engine.send(ClaimTask(task_id=task, worker="w"), FailTask(task_id=task, attempt=1, error="no"))
    assert engine.world.types("tool-look")[-1] == "tool.execution.started"
    engine.world.tick(10 * SECOND)
    engine.send(ClaimTask(task_id=task, worker="w"), FailTask(task_id=task, attempt=2, error="no again"))
    failed = engine.world.history("tool-look")[-1]
    assert (failed.type, failed.data["error"]) == ("tool.execution.failed", "no again")


def test_cancelled_execution_takes_its_task_back_and_a_cancelled_task_fails_its_execution(engine: Engine) -> None:
    engine.send(look("x1"), look("x2"))
    engine.send(CancelToolExecution(tool_id="look", execution_id="x1", reason="enough"))
    assert engine.world.types("task-tool-run-x1") == ["task.requested", "task.cancelled"]
    engine.send(CancelTask(task_id="tool-run-x2", reason="enough"))
    assert engine.world.types("tool-look")[-2:] == ["tool.execution.cancelled", "tool.execution.failed"]


def test_only_thirty_executions_of_a_tool_begin_in_a_minute_whoever_asks_and_whoever_writes(engine: Engine) -> None:
    assert kinds(engine, *(look(f"x{n}") for n in range(20))) == [None] * 20
    engine.world.tick(20 * SECOND)
    engine.world.restart()
    assert kinds(engine, *(look(f"y{n}") for n in range(11))) == [None] * 10 + [Kind.NOT_NOW]
    engine.world.tick(39 * SECOND)
    assert kinds(engine, look("z")) == [Kind.NOT_NOW]
    engine.world.tick(SECOND)
    assert kinds(engine, look("z")) == [None]


def test_task_id_that_somebody_took_before_fails_the_execution(engine: Engine) -> None:
    engine.send(RequestTask(task_id="tool-run-x1", kind="some.work"), look("x1"))
    failed = engine.world.history("tool-look")[-1]
    assert failed.data["error"] == "task tool-run-x1 is requested already; a new task needs a new task_id"


# --- nodes


def test_node_executes_the_tool_and_has_its_output(engine: Engine) -> None:
    begin(engine, tool_node(), TransformNode(id="b", type="transform", expression="nodes.a.output.status + input.x"))
    [started] = [e for e in engine.world.history("tool-look") if e.type == "tool.execution.started"]
    assert (started.data["execution_id"], started.data["parent"]) == (OF_NODE, "e1~a~1")
    assert engine.world.types("task-e1~a~1") == []
    engine.world.restart()
    engine.send(*done(TASK))
    ended = engine.world.history("execution-e1")[-1]
    assert (ended.type, ended.data["output"]) == ("workflow.completed", '{"b":201}')
    assert engine.world.types("tool-look")[-1] == "tool.execution.completed"
    assert engine.world.writer.wait_s() == float("inf")


@pytest.mark.parametrize(
    ("node", "error"),
    [
        (tool_node(tool="missing"), "tool missing is not known; register it"),
        (tool_node(input="{'x': 'text'}"), 'the parameters of tool look: x: "text" is not of type "integer"'),
        (tool_node(input="[1]"), "the parameters of tool look: they must be an object"),
    ],
)
def test_node_whose_tool_refuses_fails_with_the_reason(engine: Engine, node: Node, error: str) -> None:
    begin(engine, node)
    failed = engine.world.history("execution-e1")[-2]
    assert (failed.type, failed.data["error"]) == ("workflow.node.failed", error)
    assert engine.world.types("execution-e1")[-1] == "workflow.failed"
    assert engine.world.writer.wait_s() == float("inf")


def test_node_of_a_retired_tool_fails_and_of_one_that_fails_too(engine: Engine) -> None:
    begin(engine, tool_node())
    engine.send(ClaimTask(task_id=TASK, worker="w"), FailTask(task_id=TASK, attempt=1, error="no", retryable=False))
    assert engine.world.history("execution-e1")[-2].data["error"] == "no"
    engine.send(RetireTool(tool_id="look"), ExecuteWorkflow(execution_id="e2", workflow_id="w", input={"x": 1}))
    assert engine.world.history("execution-e2")[-2].data["error"] == "tool look is retired"


def test_node_waits_for_a_tool_that_was_executed_too_often(engine: Engine) -> None:
    engine.send(*(look(f"x{n}") for n in range(30)))
    engine.world.tick(10 * SECOND)
    begin(engine, tool_node())
    engine.send(ExecuteWorkflow(execution_id="e2", workflow_id="w", input={"x": 1}))
    assert engine.world.writer.wait_s() == 50
    engine.world.tick(49 * SECOND)
    engine.world.restart()
    assert engine.world.types(f"task-{TASK}") == []
    engine.world.tick(SECOND)
    assert engine.world.types(f"task-{TASK}") == ["task.requested"]
    engine.send(*done(TASK), *done(task_id_of(sub_execution_id("e2~a~1"))))
    assert engine.world.types("execution-e1")[-1] == engine.world.types("execution-e2")[-1] == "workflow.completed"


def test_many_nodes_that_wait_for_a_tool_ask_after_each_other_and_all_have_their_turn(engine: Engine) -> None:
    begin(engine, tool_node())
    engine.send(*(ExecuteWorkflow(execution_id=f"f{n}", workflow_id="w", input={"x": 1}) for n in range(74)))
    for _ in range(200):
        engine.world.tick(SECOND)
    started = [event for event in engine.world.history("tool-look") if event.type == "tool.execution.started"]
    assert len(started) == 75
    refused = [event for event in engine.events() if event.type == "process.answered" and event.data["kind"]]
    assert len(refused) < 45 + 15 + 75


def test_deadline_of_a_node_that_waits_for_its_tool_fails_it_and_asks_no_more(engine: Engine) -> None:
    engine.send(*(look(f"x{n}") for n in range(30)))
    begin(engine, tool_node(deadline_s=20))
    engine.world.tick(20 * SECOND)
    assert engine.world.types("execution-e1")[-2:] == ["workflow.node.failed", "workflow.failed"]
    assert engine.world.writer.wait_s() == float("inf")
    assert "process.asked" in engine.world.types("workflow_node-e1~a~1")
    assert not any(event.data["step"] == "cancel" for event in engine.events() if event.type == "process.asked")


@pytest.mark.parametrize("ends", ["cancelled", "late"])
def test_node_that_ends_otherwise_cancels_the_execution_of_its_tool(engine: Engine, ends: str) -> None:
    begin(engine, tool_node(deadline_s=60))
    if ends == "cancelled":
        engine.send(CancelExecution(execution_id="e1", reason="enough"))
    else:
        engine.world.tick(60 * SECOND)
    assert engine.world.types("tool-look")[-1] == "tool.execution.cancelled"
    assert engine.world.types(f"task-{TASK}") == ["task.requested", "task.cancelled"]
    assert engine.world.writer.wait_s() == float("inf")


def test_execution_that_somebody_cancels_fails_its_node(engine: Engine) -> None:
    begin(engine, tool_node())
    engine.send(CancelToolExecution(tool_id="look", execution_id=OF_NODE, reason="enough"))
    failed = engine.world.history("execution-e1")[-2]
    assert failed.data["error"] == "the execution of the tool was cancelled: enough"


def frail(process: Process, broken: list[bool], *on: type[Event]) -> Process:
    """Return a process whose code fails on events of these types for as long as it is broken."""

    def react(state: Any, event: Any, around: Around) -> Sequence[Action]:
        if broken and isinstance(event, on):
            raise ZeroDivisionError
        return process.react(state, event, around)

    return replace(process, react=react)


@pytest.mark.parametrize("cancelled", [True, False])
def test_execution_that_was_cancelled_is_not_done_when_its_process_is_mended(
    tmp_path: Path, *, cancelled: bool
) -> None:
    broken = [True]
    world = World(tmp_path, frail(TOOL_RUN, broken, ToolExecutionStarted), *OTHERS)
    engine = Engine(world)
    engine.send(LOOK, look("e1"))
    if cancelled:
        engine.send(CancelToolExecution(tool_id="look", execution_id="e1"))
    broken.clear()
    world.tick(10 * SECOND)
    assert world.types(f"task-{task_id_of('e1')}") == ([] if cancelled else ["task.requested"])
    world.log.close()


@pytest.mark.parametrize("cancelled", [True, False])
def test_node_whose_execution_was_cancelled_does_nothing_when_its_process_is_mended(
    tmp_path: Path, *, cancelled: bool
) -> None:
    broken = [True]
    others = [process for process in PROCESSES if process is not WORKFLOW_NODE]
    world = World(tmp_path, frail(WORKFLOW_NODE, broken, NodeStarted), *others)
    engine = Engine(world)
    engine.send(LOOK)
    begin(engine, tool_node(), x=1)
    if cancelled:
        engine.send(CancelExecution(execution_id="e1"))
    broken.clear()
    world.tick(10 * SECOND)
    assert ("tool.execution.started" in world.types("tool-look")) is not cancelled
    world.log.close()


def asked_before(state: Any, event: Any, around: Around) -> Sequence[Action]:
    """A node of a tool asked for a task until there were tools."""
    if isinstance(event, NodeStarted):
        request = filled(RequestTask, event, task_id=around.id, kind="tool.run", input=json_value(event.input))
        return [Ask("request_task", request)]
    return WORKFLOW_NODE.react(state, event, around)


@pytest.mark.parametrize("ends", ["completed", "failed", "cancelled"])
def test_execution_of_an_earlier_version_goes_on_by_the_task_that_it_asked_for(tmp_path: Path, ends: str) -> None:
    before = World(tmp_path, replace(WORKFLOW_NODE, react=asked_before))
    begin(Engine(before), tool_node(), TransformNode(id="b", type="transform", expression="nodes.a.output.status"))
    before.log.close()
    engine = Engine(World(tmp_path, *PROCESSES))
    [requested] = engine.world.history("task-e1~a~1")
    assert (requested.data["kind"], requested.data["input"]) == ("tool.run", '{"input":{"x":1},"tool":"look"}')
    match ends:
        case "completed":
            engine.send(*done("e1~a~1"))
            assert engine.world.history("execution-e1")[-1].data["output"] == '{"b":200}'
        case "failed":
            claimed = ClaimTask(task_id="e1~a~1", worker="w")
            engine.send(claimed, FailTask(task_id="e1~a~1", attempt=1, error="no", retryable=False))
            assert engine.world.history("execution-e1")[-2].data["error"] == "no"
        case _:
            engine.send(CancelExecution(execution_id="e1"))
            assert engine.world.types("task-e1~a~1")[-1] == "task.cancelled"
    assert engine.world.types("execution-e1")[-1] == f"workflow.{ends}"
    assert not engine.world.writer.failed
    engine.world.log.close()
