"""What may be done with a model and with an agent."""

from dataclasses import replace
from typing import Any

import pytest

from domain.automation.agent import AGENT
from domain.automation.model import MODEL
from domain.rejection import Kind
from tests.domain.agent_parts import (
    CAREFUL,
    PARTS,
    PING,
    SMALL,
    parts,
    without_policy,
)
from tests.examples.agents import (
    AGENT_CREATED,
    AGENT_RETIRED,
    AGENT_UPDATED,
    CREATE_AGENT,
    MODEL_REGISTERED,
    MODEL_RETIRED,
    MODEL_UPDATED,
    REGISTER_MODEL,
    RETIRE_AGENT,
    RETIRE_MODEL,
    UPDATE_AGENT,
    UPDATE_MODEL,
)
from tests.given_when_then import Rules

model, agent = Rules(MODEL), Rules(AGENT)

# --- the model


def test_model_is_registered_updated_and_retired() -> None:
    model.given().when(REGISTER_MODEL).then(MODEL_REGISTERED)
    registered = model.given(MODEL_REGISTERED)
    registered.when(REGISTER_MODEL).then_refused(
        Kind.CONFLICT, "model small is registered already; update it, or take another model_id"
    )
    registered.when(UPDATE_MODEL).then(MODEL_UPDATED)
    model.given(MODEL_REGISTERED, MODEL_UPDATED).when(UPDATE_MODEL).then_nothing()
    registered.when(RETIRE_MODEL).then(MODEL_RETIRED)


def test_model_that_is_retired_or_not_there_is_refused() -> None:
    retired = model.given(MODEL_REGISTERED, MODEL_RETIRED)
    retired.when(RETIRE_MODEL).then_nothing()
    retired.when(UPDATE_MODEL).then_refused(Kind.NOT_ALLOWED, "model small is retired; register another one")
    for command in (UPDATE_MODEL, RETIRE_MODEL):
        model.given().when(command).then_refused(Kind.NOT_FOUND, "model small is not known")


# --- the agent


def test_agent_is_created_changed_and_retired() -> None:
    agent.given().when(CREATE_AGENT, PARTS).then(AGENT_CREATED)
    created = agent.given(AGENT_CREATED)
    created.when(CREATE_AGENT, PARTS).then_refused(
        Kind.CONFLICT, "agent first-look is there already; update it, or take another agent_id"
    )
    created.when(UPDATE_AGENT, without_policy(PARTS)).then(AGENT_UPDATED)
    agent.given(AGENT_CREATED, AGENT_UPDATED).when(UPDATE_AGENT, without_policy(PARTS)).then_nothing()
    created.when(RETIRE_AGENT).then(AGENT_RETIRED)


def test_agent_that_is_retired_or_not_there_is_refused() -> None:
    retired = agent.given(AGENT_CREATED, AGENT_RETIRED)
    retired.when(RETIRE_AGENT).then_nothing()
    retired.when(UPDATE_AGENT, without_policy(PARTS)).then_refused(
        Kind.NOT_ALLOWED, "agent first-look is retired; create another one"
    )
    agent.given().when(RETIRE_AGENT).then_refused(Kind.NOT_FOUND, "agent first-look is not known")
    agent.given().when(UPDATE_AGENT, without_policy(PARTS)).then_refused(
        Kind.NOT_FOUND, "agent first-look is not known"
    )


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({"model": None}, Kind.NOT_FOUND, "model small is not known; make it first"),
        ({"model": replace(SMALL, retired=True)}, Kind.NOT_ALLOWED, "model small is retired; name another one"),
        ({"tool": None}, Kind.NOT_FOUND, "tool ping is not known; make it first"),
        ({"tool": replace(PING, retired=True)}, Kind.NOT_ALLOWED, "tool ping is retired; name another one"),
        ({"policy": None}, Kind.NOT_FOUND, "policy careful is not known; make it first"),
        ({"policy": replace(CAREFUL, retired=True)}, Kind.NOT_ALLOWED, "policy careful is retired; name another one"),
    ],
)
def test_agent_is_made_of_what_is_there(changes: Any, kind: Kind, reason: str) -> None:
    agent.given().when(CREATE_AGENT, parts(**changes)).then_refused(kind, reason)
    changed = replace(UPDATE_AGENT, policy_id="careful")
    agent.given(AGENT_CREATED).when(changed, parts(**changes)).then_refused(kind, reason)


def test_agent_names_each_tool_once() -> None:
    twice = replace(CREATE_AGENT, tools=("ping", "ping"))
    agent.given().when(twice, PARTS).then_refused(Kind.INVALID, "tools: each is named once")
