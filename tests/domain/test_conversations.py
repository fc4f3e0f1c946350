"""What may be said in a conversation, who answers it, and what a model is told again."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.automation.agent import AGENT, agent_stream
from domain.automation.agent_execution import CancelAgentExecution, ExecuteAgent, agent_execution_stream
from domain.automation.agent_execution_state import AgentExecution, AgentExecutionStatus, evolve_agent_execution
from domain.automation.conversation import (
    CONVERSATION,
    MAX_MESSAGES,
    MAX_TOLD_BYTES,
    AnswerFailed,
    evolve_conversation,
)
from domain.automation.conversation_ids import (
    answer_execution_id,
    answer_of,
    answer_token,
    conversation_stream,
)
from domain.automation.conversation_processes import CONVERSATION_ANSWER
from domain.automation.decide_agent_execution import AGENT_EXECUTION
from domain.automation.node_runs import token_of
from domain.given import Given
from domain.identity.api_key import api_key_stream
from domain.identity.user import user_stream
from domain.process import Ask, ProcessAsked, Wait
from domain.rejection import Kind
from schemas.envelope import Actor, ActorType
from schemas.json_text import json_text
from tests.examples import agents as of
from tests.examples.moments import RECORDED_AT
from tests.examples.process import ANSWERED, ASKED, TIMER_FIRED
from tests.given_when_then import ANN, GIVEN, Rules, Runs

talk = Rules(CONVERSATION)
answering = Runs(CONVERSATION_ANSWER, "c1")

ASKED_ONCE = (of.CONVERSATION_STARTED, of.MESSAGE_ADDED)
ANSWERED_ONCE = (*ASKED_ONCE, of.CONVERSATION_ANSWERED)
ARCHIVED = (*ANSWERED_ONCE, of.CONVERSATION_ARCHIVED)
RUN = evolve_agent_execution(None, of.AGENT_EXECUTION_STARTED)
DONE = replace(
    RUN, status=AgentExecutionStatus.COMPLETED, output="It does not answer.", input_tokens=220, output_tokens=31
)


def with_run(run: AgentExecution | None, execution_id: str = "r1") -> Given:
    return GIVEN._replace(streams={agent_execution_stream(execution_id): run})


def test_conversation_is_started_once() -> None:
    talk.given().when(of.START_CONVERSATION).then(of.CONVERSATION_STARTED)
    talk.given(of.CONVERSATION_STARTED).when(of.START_CONVERSATION).then_refused(
        Kind.CONFLICT, "conversation c1 is there already; a new one needs a new conversation_id"
    )


def test_conversation_that_is_not_there_is_not_known() -> None:
    for command in (
        of.ADD_MESSAGE,
        of.STOP_ANSWER,
        of.RENAME_CONVERSATION,
        of.ARCHIVE_CONVERSATION,
        of.TAKE_CONVERSATION_ANSWER,
        of.FAIL_CONVERSATION_ANSWER,
    ):
        talk.given().when(command).then_refused(Kind.NOT_FOUND, "conversation c1 is not known")


def test_message_is_of_who_says_it_and_the_conversation_of_who_began_it() -> None:
    talk.given(of.CONVERSATION_STARTED).when(of.ADD_MESSAGE).then(of.MESSAGE_ADDED)
    key = GIVEN._replace(actor=Actor(ActorType.API_KEY, "k1"))
    talk.given(of.CONVERSATION_STARTED).when(of.ADD_MESSAGE, key).then(
        replace(of.MESSAGE_ADDED, author="api_key-k1", started_by="ann")
    )
    # so that the fields of a message end with the person whose they are
    assert (user_stream(ANN.id), api_key_stream("k1")) == (of.MESSAGE_ADDED.author, "api_key-k1")


def test_one_message_is_answered_at_a_time() -> None:
    talk.given(*ASKED_ONCE).when(of.ADD_MESSAGE).then_refused(
        Kind.CONFLICT, "message 1 of conversation c1 is being answered; say the next one after that"
    )
    talk.given(*ANSWERED_ONCE).when(of.ADD_MESSAGE).then(replace(of.MESSAGE_ADDED, number=3))
    talk.given(*ASKED_ONCE, of.ANSWER_FAILED).when(of.ADD_MESSAGE).then(replace(of.MESSAGE_ADDED, number=2))


def test_conversation_has_room_for_so_many_messages_with_their_answers() -> None:
    last = replace(of.CONVERSATION_ANSWERED, number=MAX_MESSAGES - 2)
    talk.given(*ASKED_ONCE, last).when(of.ADD_MESSAGE).then(replace(of.MESSAGE_ADDED, number=MAX_MESSAGES - 1))
    full = replace(of.CONVERSATION_ANSWERED, number=MAX_MESSAGES)
    talk.given(*ASKED_ONCE, full).when(of.ADD_MESSAGE).then_refused(
        Kind.NOT_ALLOWED, "conversation c1 has 200 messages of at most 200; start another one"
    )


def test_end_of_the_run_is_taken_over_once() -> None:
    talk.given(*ASKED_ONCE).when(of.TAKE_CONVERSATION_ANSWER, with_run(DONE)).then(of.CONVERSATION_ANSWERED)
    talk.given(*ANSWERED_ONCE).when(of.TAKE_CONVERSATION_ANSWER, with_run(DONE)).then_nothing()
    talk.given(*ASKED_ONCE).when(of.TAKE_CONVERSATION_ANSWER, with_run(RUN)).then_nothing()
    talk.given(*ASKED_ONCE).when(of.TAKE_CONVERSATION_ANSWER, with_run(None)).then_nothing()
    talk.given(*ASKED_ONCE).when(replace(of.TAKE_CONVERSATION_ANSWER, number=2), with_run(DONE)).then_nothing()
    talk.given(*ASKED_ONCE, of.CONVERSATION_ARCHIVED).when(of.TAKE_CONVERSATION_ANSWER, with_run(DONE)).then_nothing()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"status": AgentExecutionStatus.FAILED, "error": "no model is configured"}, "no model is configured"),
        ({"status": AgentExecutionStatus.CANCELLED}, "the run was cancelled"),
    ],
)
def test_run_without_an_answer_says_why(changes: Any, error: str) -> None:
    talk.given(*ASKED_ONCE).when(of.TAKE_CONVERSATION_ANSWER, with_run(replace(RUN, **changes))).then(
        AnswerFailed(number=1, error=error, started_by="ann")
    )
    talk.given(*ASKED_ONCE).when(of.FAIL_CONVERSATION_ANSWER).then(of.ANSWER_FAILED)
    talk.given(*ASKED_ONCE, of.ANSWER_FAILED).when(of.FAIL_CONVERSATION_ANSWER).then_nothing()


def test_answer_that_takes_too_long_is_stopped_and_the_next_message_is_taken() -> None:
    stopped = AnswerFailed(number=1, error="stopped: it takes too long", started_by="ann")
    talk.given(*ASKED_ONCE).when(of.STOP_ANSWER).then(stopped)
    talk.given(*ASKED_ONCE).when(replace(of.STOP_ANSWER, reason="")).then(replace(stopped, error="stopped"))
    talk.given(*ASKED_ONCE, stopped).when(of.STOP_ANSWER).then_nothing()
    talk.given(*ASKED_ONCE, stopped).when(of.TAKE_CONVERSATION_ANSWER, with_run(DONE)).then_nothing()
    talk.given(*ASKED_ONCE, stopped).when(of.ADD_MESSAGE).then(replace(of.MESSAGE_ADDED, number=2))
    talk.given(*ARCHIVED).when(of.STOP_ANSWER).then_nothing()


def test_conversation_is_renamed_and_archived_and_then_nothing_is_said() -> None:
    talk.given(*ASKED_ONCE).when(of.RENAME_CONVERSATION).then(of.CONVERSATION_RENAMED)
    talk.given(*ASKED_ONCE, of.CONVERSATION_RENAMED).when(of.RENAME_CONVERSATION).then_nothing()
    talk.given(*ASKED_ONCE).when(of.ARCHIVE_CONVERSATION).then(of.CONVERSATION_ARCHIVED)
    talk.given(*ARCHIVED).when(of.ARCHIVE_CONVERSATION).then_nothing()
    for command in (of.ADD_MESSAGE, of.RENAME_CONVERSATION):
        talk.given(*ARCHIVED).when(command).then_refused(
            Kind.NOT_ALLOWED, "conversation c1 is archived; start another one"
        )


def told(*texts: str) -> list[str]:
    state = evolve_conversation(None, of.CONVERSATION_STARTED)
    for n, text in enumerate(texts, 1):
        said = of.MESSAGE_ADDED if n % 2 else of.CONVERSATION_ANSWERED
        state = evolve_conversation(state, replace(said, number=n, text=text))
    return [message["content"] for message in state.told]


def test_latest_messages_are_told_again_as_many_as_fit_and_always_the_last() -> None:
    assert told("a", "b", "c") == ["a", "b", "c"]
    third = "x" * (MAX_TOLD_BYTES // 3)
    assert told("a", third, third, "b") == ["a", third, third, "b"]
    assert told("a", third, third, third, "b") == [third, third, "b"]
    assert told("a", "x" * 2 * MAX_TOLD_BYTES) == ["x" * 2 * MAX_TOLD_BYTES]
    assert told("a", "x" * 2 * MAX_TOLD_BYTES, "b") == ["b"]


def test_run_is_told_what_was_said_before() -> None:
    by_us = Actor(ActorType.SYSTEM, "conversation_answer")
    state = None
    for event in (*ANSWERED_ONCE, replace(of.MESSAGE_ADDED, number=3, text="And now?")):
        state = evolve_conversation(state, event)
    parts = {agent_stream("first-look"): AGENT.evolve(None, of.AGENT_CREATED), conversation_stream("c1"): state}
    command = ExecuteAgent(execution_id="r9", agent_id="first-look", conversation_id="c1", parent=answer_token("c1", 3))
    [started] = AGENT_EXECUTION.decide(command, None, Given(RECORDED_AT, by_us, None, parts))
    run = AGENT_EXECUTION.evolve(None, started)
    assert [(one["role"], one["content"]) for one in run.messages] == [
        ("system", of.AGENT_CREATED.prompt),
        ("user", "Is web-1 there?"),
        ("assistant", "It does not answer."),
        ("user", "And now?"),
    ]
    # nobody else puts words into a conversation, or reads it so
    Rules(AGENT_EXECUTION).given().when(replace(of.EXECUTE_AGENT, conversation_id="c1")).then_refused(
        Kind.NOT_ALLOWED, "`conversation_id` is given by the engine"
    )


def test_longest_message_fits_into_the_input_of_a_run_however_it_is_written() -> None:
    assert len(json_text("\x01" * 10_000)) < 64 * 1024


def test_name_of_an_answer_is_told_from_that_of_a_node() -> None:
    assert answer_of(answer_token("a.b-c", 12)) == ("a.b-c", 12)
    for other in (None, "", "r1", token_of("conversation-c1", "n", 1, None), token_of("e", "n", 1, 2)):
        assert answer_of(other) is None


# --- the process

EXECUTION_ID = answer_execution_id("c1", 1)
TAKE = replace(of.TAKE_CONVERSATION_ANSWER, execution_id=EXECUTION_ID)
ENDED = replace(of.AGENT_EXECUTION_COMPLETED, execution_id=EXECUTION_ID, parent=answer_token("c1", 1))


def asked(step: str, attempt: int = 1) -> ProcessAsked:
    return replace(ASKED, step=step, attempt=attempt)


def refused(step: str, reason: str) -> Any:
    return replace(ANSWERED, step=step, kind="not_found", reason=reason)


def test_message_is_answered_by_a_run_of_the_agent() -> None:
    run = ExecuteAgent(
        execution_id=EXECUTION_ID, agent_id="first-look", conversation_id="c1", parent=answer_token("c1", 1)
    )
    answering.when(of.MESSAGE_ADDED, stream="conversation-c1").then(Ask("run~1", run))
    answering.given(asked("run~1")).when(ENDED).then(Ask("take~1", TAKE))
    # nobody asked for it here
    answering.when(ENDED).then()


def test_run_that_cannot_begin_fails_the_answer() -> None:
    fail = replace(of.FAIL_CONVERSATION_ANSWER, error="agent first-look is not known")
    answering.given(asked("run~1")).when(refused("run~1", "agent first-look is not known")).then(Ask("fail~1", fail))
    later = RECORDED_AT + timedelta(seconds=10)
    answering.given(asked("run~1"), asked("fail~1")).when(refused("fail~1", "SUSPENDED")).then(Wait("fail~1", later))
    history = (asked("run~1"), refused("run~1", "agent first-look is not known"), asked("fail~1"))
    answering.given(*history).when(replace(TIMER_FIRED, name="fail~1")).then(Ask("fail~1", fail))


def test_end_that_cannot_be_taken_over_now_is_taken_over_later() -> None:
    later = RECORDED_AT + timedelta(seconds=10)
    answering.given(asked("run~1"), asked("take~1")).when(refused("take~1", "SUSPENDED")).then(Wait("take~1", later))
    answering.given(asked("run~1"), asked("take~1")).when(replace(TIMER_FIRED, name="take~1")).then(Ask("take~1", TAKE))


@pytest.mark.parametrize("event", [of.CONVERSATION_ARCHIVED, of.ANSWER_FAILED])
def test_answer_that_nobody_waits_for_any_longer_is_cancelled_once(event: Any) -> None:
    cancel = CancelAgentExecution(execution_id=EXECUTION_ID, reason="its conversation waits for it no longer")
    answering.given(asked("run~1")).when(event, stream="conversation-c1").then(Ask("cancel~1", cancel))
    for step in ("take~1", "fail~1", "cancel~1"):
        answering.given(asked("run~1"), asked(step)).when(event, stream="conversation-c1").then()
    answering.when(event, stream="conversation-c1").then()
    answering.given(asked("cancel~1")).when(refused("cancel~1", "not known")).then()


def test_answer_that_nobody_waits_for_any_more_is_not_begun_late() -> None:
    waiting = evolve_conversation(evolve_conversation(None, of.CONVERSATION_STARTED), of.MESSAGE_ADDED)
    assert CONVERSATION_ANSWER.still(waiting, of.MESSAGE_ADDED)
    for other in (of.ANSWER_FAILED, of.CONVERSATION_ANSWERED, of.CONVERSATION_ARCHIVED):
        assert not CONVERSATION_ANSWER.still(evolve_conversation(waiting, other), of.MESSAGE_ADDED)
    assert not CONVERSATION_ANSWER.still(None, of.MESSAGE_ADDED)
    assert CONVERSATION_ANSWER.still(waiting, of.CONVERSATION_ARCHIVED)
