"""What an agent is made of, for the tests of agents and of their runs."""

from collections.abc import Mapping
from typing import Any

from domain.automation.model import MODEL, model_stream
from domain.automation.policy import Decision, Policy, PolicyRule, policy_stream
from domain.automation.tool import Tool, tool_stream
from domain.given import Given
from domain.identity.user import Role
from tests.examples.agents import (
    ACTION_APPROVED,
    ACTION_PROPOSED,
    AGENT_EXECUTION_ANSWERED,
    AGENT_EXECUTION_ASKED,
    AGENT_EXECUTION_PREPARED,
    AGENT_EXECUTION_STARTED,
    MODEL_REGISTERED,
    POLICY_EVALUATED,
)
from tests.given_when_then import GIVEN

SMALL = MODEL.evolve(None, MODEL_REGISTERED)
PING = Tool(
    version=1,
    name="Ping",
    description="",
    kind="net.ping",
    parameters='{"properties":{"host":{"type":"string"}},"type":"object"}',
    fixed=None,
    limit_per_minute=30,
    timeout_s=300,
    attempts=3,
)
CAREFUL = Policy(
    version=1,
    name="Careful",
    rules=(PolicyRule(decision=Decision.ASK, role=Role.ADMIN, reason="it is a busy host"),),
    otherwise=Decision.DENY,
)
PARTS = GIVEN._replace(
    streams={model_stream("small"): SMALL, tool_stream("ping"): PING, policy_stream("careful"): CAREFUL}
)

BEGUN = (AGENT_EXECUTION_STARTED, AGENT_EXECUTION_PREPARED, AGENT_EXECUTION_ASKED)
PROPOSED = (*BEGUN, AGENT_EXECUTION_ANSWERED, ACTION_PROPOSED)
WAITING = (*PROPOSED, POLICY_EVALUATED)
APPROVED = (*WAITING, ACTION_APPROVED)
OVER: Mapping[str, Any] = {"steps": 1, "input_tokens": 100, "output_tokens": 20, "duration_ms": 0}
"""How the run of the examples stands when it ends in its first step."""


def parts(**changes: Any) -> Given:
    streams = {id_: changes.get(id_.partition("-")[0], state) for id_, state in PARTS.streams.items()}
    return GIVEN._replace(streams=streams)


def without_policy(given: Given) -> Given:
    return given._replace(streams={id_: one for id_, one in given.streams.items() if id_ != policy_stream("careful")})
