"""What happens in a run of an agent, and what may be done with it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from domain.automation.agent import AGENT, Agent, agent_stream
from domain.automation.agent_execution import (
    ActionFailed,
    ActionRejected,
    AgentExecutionAsked,
    AgentExecutionFailed,
    RetryAction,
    SettleAction,
)
from domain.automation.agent_turn import ENDED, MAX_ACTIONS, NO_POLICY
from domain.automation.decide_agent_execution import AGENT_EXECUTION
from domain.automation.model import Model
from domain.automation.offered import offered
from domain.automation.policy import Decision, PolicyRule, policy_stream
from domain.given import Given
from domain.identity.api_key import ApiKey, api_key_stream
from domain.identity.user import Role, User, UserStatus, user_stream
from domain.operations.task import Task, TaskStatus, task_stream
from domain.rejection import Kind
from schemas.envelope import Actor, ActorType
from schemas.json_text import json_text, json_value
from tests.domain.agent_parts import (
    APPROVED,
    BEGUN,
    CAREFUL,
    OVER,
    PARTS,
    PING,
    PROPOSED,
    SMALL,
    WAITING,
    parts,
    without_policy,
)
from tests.examples.agents import (
    ACTION_APPROVED,
    ACTION_EXECUTED,
    ACTION_FAILED,
    ACTION_PROPOSED,
    ACTION_REJECTED,
    ACTION_RETRIED,
    AGENT_CREATED,
    AGENT_EXECUTION_ANSWERED,
    AGENT_EXECUTION_ASKED,
    AGENT_EXECUTION_CANCELLED,
    AGENT_EXECUTION_COMPLETED,
    AGENT_EXECUTION_FAILED,
    AGENT_EXECUTION_PREPARED,
    AGENT_EXECUTION_STARTED,
    APPROVE_ACTION,
    CANCEL_AGENT_EXECUTION,
    EVALUATE_ACTION,
    EXECUTE_AGENT,
    FAIL_AGENT_EXECUTION,
    POLICY_EVALUATED,
    PREPARE_AGENT_EXECUTION,
    REJECT_ACTION,
    RETRY_ACTION,
    SETTLE_ACTION,
    TAKE_ANSWER,
)
from tests.examples.moments import RECORDED_AT
from tests.examples.operations import TASK_REQUESTED
from tests.given_when_then import GIVEN, Rules

run = Rules(AGENT_EXECUTION)

# --- how a run begins

FIRST_LOOK: Agent = AGENT.evolve(None, AGENT_CREATED)
WITH_AGENT = GIVEN._replace(streams={agent_stream("first-look"): FIRST_LOOK})


def test_run_begins_with_what_the_agent_is_now() -> None:
    run.given().when(EXECUTE_AGENT, WITH_AGENT).then(AGENT_EXECUTION_STARTED)
    run.given(*BEGUN).when(EXECUTE_AGENT, WITH_AGENT).then_refused(
        Kind.CONFLICT, "execution r1 has begun already; a new one needs a new execution_id"
    )


@pytest.mark.parametrize(
    ("change", "state", "kind", "reason"),
    [
        ({}, None, Kind.NOT_FOUND, "agent first-look is not known"),
        ({}, replace(FIRST_LOOK, retired=True), Kind.NOT_ALLOWED, "agent first-look is retired"),
        ({"input": None}, FIRST_LOOK, Kind.INVALID, "`input` says what the agent is to do; it is missing"),
        ({"input": ""}, FIRST_LOOK, Kind.INVALID, "`input` says what the agent is to do; it is missing"),
        ({"parent": "e1~a~1"}, FIRST_LOOK, Kind.NOT_ALLOWED, "`parent` is given by the engine"),
    ],
)
def test_run_that_cannot_begin_is_refused(change: Any, state: Agent | None, kind: Kind, reason: str) -> None:
    given = GIVEN._replace(streams={agent_stream("first-look"): state})
    run.given().when(replace(EXECUTE_AGENT, **change), given).then_refused(kind, reason)


def test_engine_may_wait_for_a_run() -> None:
    engine = WITH_AGENT._replace(actor=Actor(ActorType.SYSTEM, "workflow_node"))
    run.given().when(replace(EXECUTE_AGENT, parent="e1~a~1"), engine).then(
        replace(AGENT_EXECUTION_STARTED, parent="e1~a~1")
    )


def test_run_takes_over_the_model_and_the_tools_and_asks() -> None:
    prepared = without_policy(PARTS)
    run.given(AGENT_EXECUTION_STARTED).when(PREPARE_AGENT_EXECUTION, prepared).then(
        AGENT_EXECUTION_PREPARED, AGENT_EXECUTION_ASKED
    )
    run.given(*BEGUN).when(PREPARE_AGENT_EXECUTION, prepared).then_nothing()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"model": None}, "model small is not known; give the agent another one"),
        ({"model": replace(SMALL, retired=True)}, "model small is retired; give the agent another one"),
        ({"tool": None}, "tool ping is not known; give the agent other ones"),
        ({"tool": replace(PING, retired=True)}, "tool ping is retired; give the agent other ones"),
        (
            {"tool": replace(PING, parameters=json_text({"description": "x" * 65_500}))},
            "what the tools say is larger than 64 KiB as JSON; give the agent fewer",
        ),
    ],
)
def test_run_whose_parts_went_away_fails(changes: Any, error: str) -> None:
    failed = replace(AGENT_EXECUTION_FAILED, steps=0, input_tokens=0, output_tokens=0, duration_ms=0, error=error)
    run.given(AGENT_EXECUTION_STARTED).when(PREPARE_AGENT_EXECUTION, without_policy(parts(**changes))).then(failed)


def test_model_without_a_key_and_a_temperature_is_asked_without_them() -> None:
    bare = Model(name="Bare", provider_key=None, model="m", max_tokens=5, temperature=None)
    rules = run.given(AGENT_EXECUTION_STARTED).when(PREPARE_AGENT_EXECUTION, without_policy(parts(model=bare)))
    [_, asked] = rules._decide()
    assert isinstance(asked, AgentExecutionAsked)
    assert json_value(asked.input).keys() == {"model", "messages", "max_tokens", "tools"}


def test_tools_are_offered_under_names_that_every_provider_takes() -> None:
    ids = ["net.ping", "net:ping", "x" * 100, f"{'x' * 80}y"]
    found = offered((id_, replace(PING, description="Is it there?")) for id_ in ids)
    assert [tool.tool_id for tool in found] == ids
    assert [tool.name for tool in found] == ["net_ping", "net_ping_2", "x" * 64, f"{'x' * 62}_2"]
    assert found[0].description == "Ping. Is it there?"


def test_names_of_offered_tools_differ_whatever_they_are_called() -> None:
    names = [tool.name for tool in offered((id_, PING) for id_ in ("a.b", "a_b_3", "a_b", "a:b", "a_b_2"))]
    assert names == ["a_b", "a_b_3", "a_b_2", "a_b_4", "a_b_2_2"]


# --- the answer of the model


def answered(output: Any, status: TaskStatus = TaskStatus.COMPLETED) -> Given:
    text = output if isinstance(output, str) else json_text(output)
    task = Task(requested=TASK_REQUESTED, status=status, ended_by=text)
    return GIVEN._replace(streams={task_stream("r1~1"): task})


ANSWER: Mapping[str, Any] = {
    "text": "I look whether it answers.",
    "tool_calls": [{"id": "call_1", "name": "ping", "arguments": {"host": "web-1"}}],
    "finish_reason": "tool_calls",
    "input_tokens": 100,
    "output_tokens": 20,
    "model": "gpt-4o-mini",
}
FAILED = replace(AGENT_EXECUTION_FAILED, **OVER)


def test_answer_with_a_call_proposes_an_action() -> None:
    run.given(*BEGUN).when(TAKE_ANSWER, answered(ANSWER)).then(AGENT_EXECUTION_ANSWERED, ACTION_PROPOSED)


def test_answer_without_a_call_completes_the_run() -> None:
    said = replace(AGENT_EXECUTION_ANSWERED, text="It is off.", tool_calls="[]", finish_reason="stop")
    output = {**ANSWER, "text": "It is off.", "tool_calls": [], "finish_reason": "stop"}
    run.given(*BEGUN).when(TAKE_ANSWER, answered(output)).then(
        said, replace(AGENT_EXECUTION_COMPLETED, **OVER, output="It is off.")
    )


@pytest.mark.parametrize(("text", "finish_reason"), [("You must NOT", "length"), ("", "content_filter"), (" ", None)])
def test_answer_that_was_cut_off_fails_the_run(text: str, finish_reason: str | None) -> None:
    output = {**ANSWER, "text": text, "tool_calls": [], "finish_reason": finish_reason}
    said = replace(AGENT_EXECUTION_ANSWERED, text=text, tool_calls="[]", finish_reason=finish_reason)
    why = f"the answer of step 1 was cut off ({finish_reason or 'it is empty'}); give the model more max_tokens, or"
    run.given(*BEGUN).when(TAKE_ANSWER, answered(output)).then(said, replace(FAILED, error=f"{why} another prompt"))


@pytest.mark.parametrize("given", [GIVEN, answered("", TaskStatus.WAITING), answered("", TaskStatus.CLAIMED)])
def test_answer_that_is_not_there_yet_changes_nothing(given: Given) -> None:
    run.given(*BEGUN).when(TAKE_ANSWER, given).then_nothing()


def test_answer_is_taken_once() -> None:
    run.given(*PROPOSED).when(TAKE_ANSWER, answered(ANSWER)).then_nothing()
    run.given(*BEGUN, replace(AGENT_EXECUTION_ASKED, step=2)).when(TAKE_ANSWER, answered(ANSWER)).then_nothing()


@pytest.mark.parametrize(
    ("status", "ended_by", "why"),
    [
        (TaskStatus.FAILED, "no model is configured", "no model is configured"),
        (TaskStatus.TIMED_OUT, "no answer came in time", "no answer came in time"),
        (TaskStatus.CANCELLED, "not now", "the task was cancelled: not now"),
    ],
)
def test_task_that_ends_otherwise_fails_the_run(status: TaskStatus, ended_by: str, why: str) -> None:
    error = f"the model did not answer in step 1: {why}"
    run.given(*BEGUN).when(TAKE_ANSWER, answered(ended_by, status)).then(
        replace(FAILED, input_tokens=0, output_tokens=0, error=error)
    )


def test_answer_of_another_shape_fails_the_run() -> None:
    error = "the answer of step 1 is not one of chat.complete: text"
    run.given(*BEGUN).when(TAKE_ANSWER, answered({"words": "x"})).then(
        replace(FAILED, input_tokens=0, output_tokens=0, error=error)
    )


def test_calls_beyond_what_a_run_may_do_fail_it() -> None:
    last = (replace(AGENT_EXECUTION_STARTED, max_steps=1), *BEGUN[1:])
    error = "the agent still asked for actions in step 1, and may take 1 steps"
    run.given(*last).when(TAKE_ANSWER, answered(ANSWER)).then(AGENT_EXECUTION_ANSWERED, replace(FAILED, error=error))
    many = {**ANSWER, "tool_calls": [*ANSWER["tool_calls"]] * (MAX_ACTIONS + 1)}
    said = replace(AGENT_EXECUTION_ANSWERED, tool_calls=json_text(many["tool_calls"]))
    error = "the agent asked for 21 actions in one step, more than 20"
    run.given(*BEGUN).when(TAKE_ANSWER, answered(many)).then(said, replace(FAILED, error=error))


# --- what becomes of an action


def evaluated(decision: Decision, reason: str = "so it is", **more: Any) -> tuple[Any, Given]:
    rule = PolicyRule(decision=decision, reason=reason, **more)
    event = replace(POLICY_EVALUATED, decision=decision.value, role=more.get("role"), reason=reason)
    return event, GIVEN._replace(streams={policy_stream("careful"): replace(CAREFUL, rules=(rule,))})


def next_asked(answer: str) -> AgentExecutionAsked:
    """Return what the model is asked after the one action of the examples has ended."""
    first = json_value(AGENT_EXECUTION_ASKED.input)
    said = {"role": "assistant", "content": "I look whether it answers.", "tool_calls": ANSWER["tool_calls"]}
    told = {"role": "tool", "tool_call_id": "call_1", "content": answer}
    input_ = json_text({**first, "messages": [*first["messages"], said, told]})
    return replace(AGENT_EXECUTION_ASKED, step=2, input=input_)


def test_policy_allows() -> None:
    event, given = evaluated(Decision.ALLOW)
    run.given(*PROPOSED).when(EVALUATE_ACTION, given).then(
        event, replace(ACTION_APPROVED, by="policy", note="so it is")
    )


def test_policy_denies() -> None:
    event, given = evaluated(Decision.DENY)
    rejected = replace(ACTION_REJECTED, by="policy", reason="so it is")
    run.given(*PROPOSED).when(EVALUATE_ACTION, given).then(event, rejected, next_asked("rejected: so it is"))


def test_policy_asks_a_person() -> None:
    event, given = evaluated(Decision.ASK, role=Role.ADMIN)
    run.given(*PROPOSED).when(EVALUATE_ACTION, given).then(event)
    run.given(*WAITING).when(EVALUATE_ACTION, given).then_nothing()


def test_without_a_policy_a_person_is_asked() -> None:
    asked = replace(POLICY_EVALUATED, policy=None, rule=None, role=None, reason=NO_POLICY)
    run.given(*PROPOSED).when(replace(EVALUATE_ACTION, policy_id=None)).then(asked)


def user(role: Role, status: UserStatus = UserStatus.ACTIVE) -> User:
    return User(email="ann@acme.example", roles=(role,), expires_at=RECORDED_AT, status=status)


ADMIN = GIVEN._replace(streams={user_stream("ann"): user(Role.ADMIN)})


def test_person_with_the_role_approves_or_rejects() -> None:
    run.given(*WAITING).when(APPROVE_ACTION, ADMIN).then(ACTION_APPROVED)
    run.given(*WAITING).when(REJECT_ACTION, ADMIN).then(ACTION_REJECTED, next_asked("rejected: not today"))
    key = GIVEN._replace(
        actor=Actor(ActorType.API_KEY, "k1"),
        streams={api_key_stream("k1"): ApiKey(secret_sha256=None, scopes=("*",), revoked=False)},
    )
    run.given(*WAITING).when(APPROVE_ACTION, key).then(ACTION_APPROVED)


@pytest.mark.parametrize("who", [user(Role.USER), user(Role.ADMIN, UserStatus.DISABLED), None])
def test_person_without_the_role_decides_nothing(who: User | None) -> None:
    given = GIVEN._replace(streams={user_stream("ann"): who})
    for command in (APPROVE_ACTION, REJECT_ACTION):
        run.given(*WAITING).when(command, given).then_refused(
            Kind.NOT_ALLOWED, "action 1-1 is approved by somebody with the role ADMIN"
        )


def test_only_an_action_that_waits_is_decided_on() -> None:
    run.given(*APPROVED).when(REJECT_ACTION, ADMIN).then_refused(
        Kind.NOT_ALLOWED, "action 1-1 of execution r1 is APPROVED; nobody is asked for it"
    )
    run.given(*BEGUN).when(APPROVE_ACTION, ADMIN).then_refused(
        Kind.NOT_ALLOWED, "action 1-1 of execution r1 is not open; nobody is asked for it"
    )
    run.given().when(APPROVE_ACTION, ADMIN).then_refused(Kind.NOT_FOUND, "execution r1 of an agent is not known")
    run.given(*BEGUN, AGENT_EXECUTION_COMPLETED).when(APPROVE_ACTION, ADMIN).then_refused(
        Kind.NOT_ALLOWED, "execution r1 is COMPLETED"
    )


def test_tool_that_was_executed_or_failed_is_told_to_the_model() -> None:
    run.given(*APPROVED).when(SETTLE_ACTION).then(ACTION_EXECUTED, next_asked('{"ok":false}'))
    failed = SettleAction(execution_id="r1", action_id="1-1", error="no route to the host")
    run.given(*APPROVED).when(failed).then(ACTION_FAILED, next_asked("failed: no route to the host"))
    for history in (WAITING, (*APPROVED, ACTION_EXECUTED), BEGUN):
        run.given(*history).when(SETTLE_ACTION).then_nothing()


def test_tool_that_had_to_wait_is_asked_for_again() -> None:
    run.given(*APPROVED).when(RETRY_ACTION).then(ACTION_RETRIED)
    run.given(*APPROVED, ACTION_RETRIED).when(SETTLE_ACTION).then(ACTION_EXECUTED, next_asked('{"ok":false}'))
    run.given(*WAITING).when(RetryAction(execution_id="r1", action_id="1-1")).then_nothing()


# --- how a run ends


def test_run_that_is_cancelled_or_fails_ends_what_is_open() -> None:
    rejected: ActionRejected = replace(ACTION_REJECTED, by="run", reason=ENDED)
    cancelled = replace(AGENT_EXECUTION_CANCELLED, **OVER)
    run.given(*WAITING).when(CANCEL_AGENT_EXECUTION).then(rejected, cancelled)
    failed: ActionFailed = replace(ACTION_FAILED, error=ENDED)
    run.given(*APPROVED).when(CANCEL_AGENT_EXECUTION).then(failed, cancelled)
    error: AgentExecutionFailed = replace(FAILED, error="the tenant is SUSPENDED")
    run.given(*APPROVED).when(FAIL_AGENT_EXECUTION).then(failed, error)


@pytest.mark.parametrize(
    "end", [AGENT_EXECUTION_COMPLETED, AGENT_EXECUTION_FAILED, AGENT_EXECUTION_CANCELLED], ids=lambda end: end.TYPE
)
def test_run_that_has_ended_stays_as_it_is(end: Any) -> None:
    commands = (
        *(PREPARE_AGENT_EXECUTION, TAKE_ANSWER, EVALUATE_ACTION, SETTLE_ACTION, RETRY_ACTION),
        *(FAIL_AGENT_EXECUTION, CANCEL_AGENT_EXECUTION),
    )
    for command in commands:
        run.given(*BEGUN, end).when(command).then_nothing()
