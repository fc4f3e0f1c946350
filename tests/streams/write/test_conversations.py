"""Conversations in the writer: a worker answers for the model, and each answer is a run of the agent."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.automation.agent import RetireAgent
from domain.automation.agent_execution import ApproveAction, CancelAgentExecution
from domain.automation.conversation import AddMessage, ArchiveConversation, StartConversation, StopAnswer
from domain.automation.conversation_ids import answer_execution_id
from domain.message import Command
from schemas.json_text import json_value
from tests.streams.write.saga import World
from tests.streams.write.test_agents import ON_WEB_1, Running
from tests.streams.write.workflows import PROCESSES

TALK = "conversation-c1"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    world = World(tmp_path, *PROCESSES)
    running = Running(world)
    running.send(StartConversation(conversation_id="c1", agent_id="triage", title="web-1"))
    yield running
    assert not world.writer.failed
    world.log.close()


def say(text: str) -> Command:
    return AddMessage(conversation_id="c1", text=text)


def task_of(number: int, step: int = 1) -> str:
    return f"{answer_execution_id('c1', number)}~{step}"


def answer(running: Running, number: int, text: str, *calls: Any, step: int = 1) -> None:
    called = [{"id": f"c{at}", "name": name, "arguments": given} for at, (name, given) in enumerate(calls, 1)]
    running.work(task_of(number, step), {"text": text, "tool_calls": called, "input_tokens": 10, "output_tokens": 2})


def told(running: Running, number: int) -> list[str]:
    [requested, *_] = running.world.history(f"task-{task_of(number)}")
    return [f"{one['role']}: {one['content']}" for one in json_value(requested.data["input"])["messages"]]


def test_each_message_is_answered_by_a_run_that_knows_what_was_said(running: Running) -> None:
    running.send(say("Is web-1 there?"))
    answer(running, 1, "It is off.")
    running.send(say("Since when?"))
    assert told(running, 3) == [
        "system: Find out what is wrong.",
        "user: Is web-1 there?",
        "assistant: It is off.",
        "user: Since when?",
    ]
    answer(running, 3, "Since noon.")
    assert running.world.types(TALK) == [
        "conversation.started",
        *["conversation.message.added", "conversation.answered"] * 2,
    ]
    last = running.world.history(TALK)[-1].data
    assert (last["number"], last["text"], last["input_tokens"], last["output_tokens"]) == (4, "Since noon.", 10, 2)
    # no node of a workflow waits for it
    assert running.world.types("workflow_node-conversation-c1~1") == []
    assert running.world.writer.wait_s() == float("inf")


def test_what_an_agent_does_for_an_answer_passes_the_policy(running: Running) -> None:
    running.send(say("Start it again."))
    run = answer_execution_id("c1", 1)
    answer(running, 1, "I will.", ("reboot", ON_WEB_1))
    assert running.world.types(f"agent_execution-{run}")[-1] == "policy.evaluated"
    assert running.refused(say("Well?")).startswith("message 1 of conversation c1 is being answered")
    running.send(ApproveAction(execution_id=run, action_id="1-1"))
    running.work(f"tool-run-{run}~1-1", "done")
    answer(running, 1, "It runs.", step=2)
    assert running.world.history(TALK)[-1].data["text"] == "It runs."


def test_run_that_ends_without_an_answer_says_why_and_the_conversation_goes_on(running: Running) -> None:
    running.send(say("Is web-1 there?"))
    running.send(CancelAgentExecution(execution_id=answer_execution_id("c1", 1), reason="enough"))
    assert running.world.history(TALK)[-1].data["error"] == "enough"
    running.send(RetireAgent(agent_id="triage"))
    running.send(say("Hello?"))
    assert running.world.types(TALK)[-2:] == ["conversation.message.added", "conversation.answer.failed"]
    assert running.world.history(TALK)[-1].data["error"] == "agent triage is retired"


@pytest.mark.parametrize("end", [ArchiveConversation(conversation_id="c1"), StopAnswer(conversation_id="c1")])
def test_answer_that_nobody_waits_for_is_not_made_any_longer(running: Running, end: Command) -> None:
    running.send(say("Is web-1 there?"))
    running.send(end)
    assert running.world.types(f"task-{task_of(1)}") == ["task.requested", "task.cancelled"]
    last = "conversation.archived" if isinstance(end, ArchiveConversation) else "conversation.answer.failed"
    assert running.world.types(TALK)[-1] == last


def test_answer_that_waits_for_a_person_is_stopped_and_the_conversation_goes_on(running: Running) -> None:
    running.send(say("Start it again."))
    answer(running, 1, "I will.", ("reboot", ON_WEB_1))
    running.send(StopAnswer(conversation_id="c1"), say("Never mind."))
    run = answer_execution_id("c1", 1)
    assert running.world.types(f"agent_execution-{run}")[-2:] == ["agent.action.rejected", "agent.execution.cancelled"]
    assert told(running, 2)[-2:] == ["user: Start it again.", "user: Never mind."]
    answer(running, 2, "As you like.")
    assert running.world.types(TALK)[-1] == "conversation.answered"


def test_restart_in_the_middle_changes_nothing(running: Running) -> None:
    running.send(say("Is web-1 there?"))
    running.world.restart()
    answer(running, 1, "It is off.")
    running.world.restart()
    running.send(say("Since when?"))
    running.world.restart()
    answer(running, 3, "Since noon.")
    assert running.world.types(TALK).count("conversation.answered") == 2
    assert running.world.history(TALK)[-1].data["number"] == 4
