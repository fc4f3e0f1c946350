"""Agents run in the writer: a worker answers for the model and for the tools, and the clock is turned by hand."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.automation.agent import CreateAgent, RetireAgent, UpdateAgent
from domain.automation.agent_execution import (
    ApproveAction,
    CancelAgentExecution,
    ExecuteAgent,
    RejectAction,
)
from domain.automation.execution import CancelExecution, ExecuteWorkflow
from domain.automation.graph import AgentNode, Edge, TransformNode
from domain.automation.model import RegisterModel, RetireModel, UpdateModel
from domain.automation.node_runs import sub_execution_id
from domain.automation.policy import Decision, PolicyRule, SetPolicy
from domain.automation.tool import CancelToolExecution, RegisterTool, RetireTool
from domain.automation.workflow import PublishWorkflow
from domain.message import Command
from domain.operations.task import CancelTask, ClaimTask, CompleteTask, FailTask, RequestTask
from schemas.json_text import json_value
from streams.ports import Reply
from tests.streams.write.saga import World
from tests.streams.write.workflows import PROCESSES, Engine, Planned

HOST: Mapping[str, Any] = {"type": "object", "properties": {"host": {"type": "string"}}, "required": ["host"]}
MODEL = RegisterModel(model_id="small", name="Small", provider_key="openai", model="m-1", temperature=0.2)
AGENT = CreateAgent(
    agent_id="triage",
    name="Triage",
    prompt="Find out what is wrong.",
    model_id="small",
    tools=("ping", "reboot", "wipe"),
    policy_id="careful",
    max_steps=3,
)
POLICY = SetPolicy(
    policy_id="careful",
    name="Careful",
    rules=(
        PolicyRule(tools=("ping",), decision=Decision.ALLOW),
        PolicyRule(tools=("wipe",), decision=Decision.DENY, reason="nothing is wiped here"),
        PolicyRule(tools=("reboot",), decision=Decision.ASK, reason="it goes away for a while"),
    ),
)
RUN = "agent_execution-e1"


class Running:
    """An agent, and hands that answer for its model and its tools."""

    def __init__(self, world: World) -> None:
        self.engine = Engine(world)
        self.world = world
        tools = (
            RegisterTool(tool_id=id_, name=id_.title(), kind="some.work", parameters={**HOST}, attempts=1)
            for id_ in ("ping", "reboot", "wipe")
        )
        self.send(*tools, MODEL, POLICY, AGENT)

    def send(self, *commands: Command) -> list[Reply]:
        replies = self.engine.send(*commands)
        assert [reply.refusal for reply in replies] == [None] * len(commands)
        return replies

    def refused(self, command: Command) -> str:
        [reply] = self.engine.send(command)
        assert reply.refusal is not None
        return reply.refusal.reason

    def begin(self, input_: Any = "web-1 is silent") -> None:
        self.send(ExecuteAgent(execution_id="e1", agent_id="triage", input=input_))

    def says(self, text: str, *calls: tuple[str, Any], step: int = 1) -> None:
        """Answer for the model."""
        called = [{"id": f"c{at}", "name": name, "arguments": given} for at, (name, given) in enumerate(calls, 1)]
        output = {"text": text, "tool_calls": called, "input_tokens": 10, "output_tokens": 2}
        self.work(f"e1~{step}", output)

    def work(self, task_id: str, output: Any) -> None:
        self.send(ClaimTask(task_id=task_id, worker="w"), CompleteTask(task_id=task_id, attempt=1, output=output))

    def asked(self, step: int) -> Any:
        """Return what the model was asked."""
        [requested] = [one for one in self.world.history(f"task-e1~{step}") if one.type == "task.requested"]
        assert requested.data["kind"] == "chat.complete"
        return json_value(requested.data["input"])

    def answers(self, step: int) -> list[str]:
        """Return what the model was told of its actions just before this step."""
        told: list[str] = []
        for message in reversed(self.asked(step)["messages"]):
            if message["role"] != "tool":
                break
            told.insert(0, message["content"])
        return told

    @property
    def types(self) -> list[str]:
        return [type_.removeprefix("agent.") for type_ in self.world.types(RUN)]

    @property
    def last(self) -> Mapping[str, Any]:
        return self.world.history(RUN)[-1].data


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    world = World(tmp_path, *PROCESSES)
    yield Running(world)
    assert not world.writer.failed
    world.log.close()


ON_WEB_1 = {"host": "web-1"}


def test_allowed_tool_is_executed_and_the_model_goes_on_with_its_output(running: Running) -> None:
    running.begin()
    assert running.asked(1) == {
        "model": "m-1",
        "provider_key": "openai",
        "max_tokens": 1_024,
        "temperature": 0.2,
        "messages": [
            {"role": "system", "content": "Find out what is wrong."},
            {"role": "user", "content": "web-1 is silent"},
        ],
        "tools": [{"name": id_, "description": id_.title(), "parameters": HOST} for id_ in ("ping", "reboot", "wipe")],
    }
    running.says("I look.", ("ping", ON_WEB_1))
    running.work("tool-run-e1~1-1", {"ok": False})
    call = {"id": "c1", "name": "ping", "arguments": ON_WEB_1}
    assert running.asked(2)["messages"][2:] == [
        {"role": "assistant", "content": "I look.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": '{"ok":false}'},
    ]
    running.says("It is off.", step=2)
    assert running.types == [
        *("execution.started", "execution.prepared", "execution.asked", "execution.answered"),
        *("action.proposed", "policy.evaluated", "action.approved", "action.executed"),
        *("execution.asked", "execution.answered", "execution.completed"),
    ]
    assert running.last["output"] == "It is off."
    assert (running.last["steps"], running.last["input_tokens"], running.last["output_tokens"]) == (2, 20, 4)


def test_denied_tool_is_not_executed_and_the_model_is_told_why(running: Running) -> None:
    running.begin()
    running.says("", ("wipe", ON_WEB_1))
    assert running.types[-3:] == ["policy.evaluated", "action.rejected", "execution.asked"]
    assert running.answers(2) == ["rejected: nothing is wiped here"]
    assert running.world.types("tool-wipe") == ["tool.registered"]


def test_person_approves_or_rejects_what_the_policy_asks(running: Running) -> None:
    running.begin()
    running.says("", ("reboot", ON_WEB_1), ("reboot", {"host": "web-2"}))
    assert running.types[-2:] == ["policy.evaluated"] * 2
    assert running.last["reason"] == "it goes away for a while"
    running.send(ApproveAction(execution_id="e1", action_id="1-1", note="now"))
    running.work("tool-run-e1~1-1", "done")
    # the model waits for the other one
    assert running.types[-1] == "action.executed"
    running.send(RejectAction(execution_id="e1", action_id="1-2", reason="not this one"))
    assert running.answers(2) == ['"done"', "rejected: not this one"]
    assert "is not open" in running.refused(ApproveAction(execution_id="e1", action_id="1-2"))


def test_tool_that_fails_is_told_to_the_model(running: Running) -> None:
    running.begin()
    running.says("", ("ping", ON_WEB_1), ("ping", {"port": 1}), ("nmap", {}))
    task_id = "tool-run-e1~1-1"
    running.send(ClaimTask(task_id=task_id, worker="w"), FailTask(task_id=task_id, attempt=1, error="no route"))
    first, second, third = running.answers(2)
    assert first == "failed: no route"
    assert second.startswith("failed: the parameters are wrong: ")
    assert third == "failed: there is no tool nmap; there are: ping, reboot, wipe"
    assert running.world.types("tool-ping") == [
        "tool.registered",
        "tool.execution.started",
        "tool.execution.failed",
    ]


def test_tool_that_went_away_or_was_stopped_is_told_to_the_model(running: Running) -> None:
    running.begin()
    running.send(RetireTool(tool_id="ping"))
    running.says("", ("ping", ON_WEB_1), ("reboot", ON_WEB_1))
    running.send(ApproveAction(execution_id="e1", action_id="1-2"))
    running.send(CancelToolExecution(tool_id="reboot", execution_id="e1~1-2", reason="stop"))
    assert running.answers(2) == [
        "failed: tool ping is retired",
        "failed: the execution of the tool was cancelled: stop",
    ]


def test_tool_that_is_over_its_limit_is_asked_again_when_it_is_free(running: Running) -> None:
    running.send(RegisterTool(tool_id="rare", name="Rare", kind="some.work", parameters={}, limit_per_minute=1))
    running.send(
        SetPolicy(policy_id="lax", name="Lax", otherwise=Decision.ALLOW),
        UpdateAgent(agent_id="triage", name="Triage", prompt="Go.", model_id="small", tools=("rare",), policy_id="lax"),
    )
    running.begin()
    running.says("", *[("rare", {})] * 3)
    assert running.world.types("tool-rare").count("tool.execution.started") == 1
    running.world.tick(timedelta(seconds=59))
    assert running.world.types("tool-rare").count("tool.execution.started") == 1
    for _ in range(4):
        running.world.tick(timedelta(seconds=61))
    assert running.world.types("tool-rare").count("tool.execution.started") == 3
    for n in (1, 2, 3):
        running.work(f"tool-run-e1~1-{n}", n)
    assert running.answers(2) == ["1", "2", "3"]


def test_cancel_stops_the_model(running: Running) -> None:
    running.begin()
    running.send(CancelAgentExecution(execution_id="e1", reason="enough"))
    assert running.world.types("task-e1~1") == ["task.requested", "task.cancelled"]
    assert running.types[-1] == "execution.cancelled"
    running.send(CancelAgentExecution(execution_id="e1", reason="enough"))
    assert running.types.count("execution.cancelled") == 1


def test_cancel_stops_tools_and_what_waits(running: Running) -> None:
    running.begin()
    running.says("", ("ping", ON_WEB_1), ("reboot", ON_WEB_1))
    running.send(CancelAgentExecution(execution_id="e1", reason="enough"))
    assert running.types[-3:] == ["action.failed", "action.rejected", "execution.cancelled"]
    assert running.world.types("task-tool-run-e1~1-1") == ["task.requested", "task.cancelled"]
    assert running.world.types("tool-ping")[-1] == "tool.execution.cancelled"
    assert running.refused(ApproveAction(execution_id="e1", action_id="1-2")) == "execution e1 is CANCELLED"
    assert running.world.writer.wait_s() == float("inf")


def test_run_that_takes_too_many_steps_fails(running: Running) -> None:
    running.begin()
    for step in (1, 2):
        running.says("", ("wipe", ON_WEB_1), step=step)
    running.says("", ("wipe", ON_WEB_1), step=3)
    assert running.types[-2:] == ["execution.answered", "execution.failed"]
    assert running.last["error"] == "the agent still asked for actions in step 3, and may take 3 steps"


def test_run_that_says_too_much_fails(running: Running) -> None:
    running.begin()
    running.says("", ("ping", ON_WEB_1))
    running.work("tool-run-e1~1-1", "x" * 65_000)
    assert running.types[-2:] == ["action.executed", "execution.failed"]
    assert running.last["error"].startswith("the conversation with the model is larger than 64 KiB as JSON")
    assert running.world.types("task-e1~2") == []


@pytest.mark.parametrize(
    ("ends", "error"),
    [
        (
            FailTask(task_id="e1~1", attempt=1, error="no model is configured", retryable=False),
            "no model is configured",
        ),
        (CancelTask(task_id="e1~1", reason="not now"), "the task was cancelled: not now"),
    ],
)
def test_run_whose_model_does_not_answer_fails_and_says_why(running: Running, ends: Command, error: str) -> None:
    running.begin()
    running.send(ClaimTask(task_id="e1~1", worker="w"), ends)
    assert running.last["error"] == f"the model did not answer in step 1: {error}"


def test_answer_that_is_none_of_a_model_fails_the_run(running: Running) -> None:
    running.begin()
    running.work("e1~1", {"words": "hello", "tool_calls": [{"id": "c1"}]})
    assert running.last["error"].startswith("the answer of step 1 is not one of chat.complete: ")


def test_task_of_another_that_has_such_a_name_is_not_taken_for_an_answer(running: Running) -> None:
    running.begin()
    running.send(RequestTask(task_id="e1~7", kind="chat.complete"))
    running.work("e1~7", {"text": "wipe all"})
    assert running.types[-1] == "execution.asked"
    running.says("It is off.")
    assert running.last["output"] == "It is off."


def test_run_keeps_the_agent_and_the_model_that_it_began_with(running: Running) -> None:
    running.begin()
    running.send(
        UpdateModel(model_id="small", name="Small", model="m-2"),
        UpdateAgent(agent_id="triage", name="Triage", prompt="Something else.", model_id="small"),
    )
    running.says("", ("wipe", ON_WEB_1))
    assert running.asked(2)["model"] == "m-1"
    assert running.asked(2)["messages"][0]["content"] == "Find out what is wrong."
    running.send(ExecuteAgent(execution_id="e2", agent_id="triage", input={"device": "web-1"}))
    [started, *_] = running.world.history("agent_execution-e2")
    assert started.data["agent_version"] == 2


def test_policy_that_is_there_when_an_action_is_proposed_decides(running: Running) -> None:
    running.begin()
    running.send(SetPolicy(policy_id="careful", name="Closed", otherwise=Decision.DENY))
    running.says("", ("ping", ON_WEB_1))
    assert running.answers(2) == ["rejected: no rule holds"]


def test_agent_whose_model_is_retired_does_not_run(running: Running) -> None:
    running.send(RetireModel(model_id="small"))
    running.begin()
    assert running.last["error"] == "model small is retired; give the agent another one"
    running.send(RetireAgent(agent_id="triage"))
    assert running.refused(ExecuteAgent(execution_id="e2", agent_id="triage", input="x")) == "agent triage is retired"


# --- as a node of a workflow

NODE = AgentNode(id="a", type="agent", agent="triage", input="'look at ' + input.host")
OF_NODE = sub_execution_id("e1~a~1")


def begin_workflow(running: Running, **more: Any) -> None:
    after = TransformNode(id="b", type="transform", expression="nodes.a.output + '!'")
    planned = Planned((replace(NODE, **more), after), [Edge(from_="a", to="b")], {})
    running.engine.begin(planned, host="web-1")


def test_node_runs_the_agent_and_its_output_is_the_last_text(running: Running) -> None:
    begin_workflow(running)
    [requested] = running.world.history(f"task-{OF_NODE}~1")
    assert json_value(requested.data["input"])["messages"][1]["content"] == "look at web-1"
    running.work(f"{OF_NODE}~1", {"text": "It is off"})
    assert running.world.history("execution-e1")[-1].data["output"] == '{"b":"It is off!"}'
    assert running.world.types("task-e1~a~1") == []


def test_node_fails_with_the_run_or_where_there_is_none(running: Running) -> None:
    begin_workflow(running)
    running.send(CancelAgentExecution(execution_id=OF_NODE, reason="enough"))
    failed = running.world.history("execution-e1")[-1].data["error"]
    assert failed == f"a: the agent's execution {OF_NODE} is CANCELLED: enough"
    running.send(
        PublishWorkflow(workflow_id="w", nodes=(replace(NODE, agent="nobody"),)),
        ExecuteWorkflow(execution_id="e2", workflow_id="w", input={"host": "web-1"}),
    )
    assert running.world.history("execution-e2")[-1].data["error"] == "a: agent nobody is not known"


@pytest.mark.parametrize("late", [True, False])
def test_node_that_ends_otherwise_cancels_the_run(running: Running, *, late: bool) -> None:
    begin_workflow(running, deadline_s=60)
    if late:
        running.world.tick(timedelta(seconds=61))
    else:
        running.send(CancelExecution(execution_id="e1"))
    assert running.world.types(f"agent_execution-{OF_NODE}")[-1] == "agent.execution.cancelled"
    assert running.world.types(f"task-{OF_NODE}~1") == ["task.requested", "task.cancelled"]


def test_restart_in_the_middle_of_everything_changes_nothing(running: Running) -> None:
    running.begin()
    running.world.restart()
    running.says("", ("ping", ON_WEB_1), ("reboot", ON_WEB_1))
    running.world.restart()
    running.work("tool-run-e1~1-1", 1)
    running.world.restart()
    running.send(ApproveAction(execution_id="e1", action_id="1-2"))
    running.world.restart()
    running.work("tool-run-e1~1-2", 2)
    running.world.restart()
    running.says("Done.", step=2)
    assert running.types.count("execution.asked") == 2
    assert running.types[-1] == "execution.completed"
    assert running.world.types("tool-ping").count("tool.execution.started") == 1
