"""What may be done with a policy, and what it says of the use of a tool."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.automation.policy import (
    POLICY,
    Decision,
    Policy,
    PolicyDecision,
    PolicyRule,
    SetPolicy,
    evaluate,
    evolve_policy,
    rules_text,
)
from domain.identity.user import Role
from domain.rejection import Kind
from tests.examples.automation import POLICY_RETIRED, POLICY_SET, RETIRE_POLICY, RULES, SET_POLICY
from tests.given_when_then import Rules

policy = Rules(POLICY)
ALLOW, DENY, ASK = Decision.ALLOW, Decision.DENY, Decision.ASK


def test_policy_is_set_replaced_and_retired() -> None:
    policy.given().when(SET_POLICY).then(POLICY_SET)
    policy.given(POLICY_SET).when(SET_POLICY).then_nothing()
    policy.given(POLICY_SET).when(SetPolicy(policy_id="careful", name="Careless", otherwise=ALLOW)).then(
        replace(POLICY_SET, version=2, name="Careless", rules="[]", otherwise="allow")
    )
    policy.given(POLICY_SET).when(RETIRE_POLICY).then(POLICY_RETIRED)
    policy.given(POLICY_SET, POLICY_RETIRED).when(RETIRE_POLICY).then_nothing()


def test_policy_that_is_retired_or_not_there_is_refused() -> None:
    policy.given(POLICY_SET, POLICY_RETIRED).when(SET_POLICY).then_refused(
        Kind.NOT_ALLOWED, "policy careful is retired; set another one"
    )
    policy.given().when(RETIRE_POLICY).then_refused(Kind.NOT_FOUND, "policy careful is not known")


def test_expressions_that_are_none_are_all_named() -> None:
    rules = (
        PolicyRule(when="input.x", decision=ALLOW),
        PolicyRule(decision=ALLOW),
        PolicyRule(when="parameters.all(tool, true)", decision=DENY),
    )
    policy.given().when(replace(SET_POLICY, rules=rules)).then_refused(
        Kind.INVALID,
        "`when` of rule 1: input is not known here; there are tool, agent, parameters;"
        " `when` of rule 3: an item cannot be called tool",
    )


def test_rules_come_back_as_they_were_set() -> None:
    assert evolve_policy(None, POLICY_SET).rules == RULES


CAREFUL = evolve_policy(None, POLICY_SET)


@pytest.mark.parametrize(
    ("tool", "agent", "parameters", "decision"),
    [
        ("look", "ann", {"path": "/public/a"}, (ALLOW, None, "rule 1", 0)),
        ("look", "ann", {"path": "/private"}, (ASK, None, "no rule holds", None)),
        ("look", "intern", {"path": "/private"}, (DENY, None, "interns look only", 1)),
        ("look", "intern", {"path": "/public"}, (ALLOW, None, "rule 1", 0)),
        ("pay", "ann", {}, (ASK, Role.ADMIN, "money", 2)),
        ("other", "ann", {}, (ASK, None, "no rule holds", None)),
        ("look", "ann", {}, (ASK, None, "`when` of rule 1 cannot be told: there is no 'path'", 0)),
        ("look", "ann", {"path": 1}, (ASK, None, "`when` of rule 1 cannot be told: ", 0)),
    ],
)
def test_first_rule_that_holds_decides(tool: str, agent: str, parameters: Any, decision: Any) -> None:
    found = evaluate(CAREFUL, tool, agent, parameters)
    assert found.reason.startswith(decision[2])
    assert found._replace(reason=decision[2]) == PolicyDecision(*decision)


def test_parameter_that_is_left_out_is_no_way_round_the_role_of_the_next_rule() -> None:
    deny = PolicyRule(tools=("refund",), when="parameters.amount > 1000", decision=DENY)
    ask = PolicyRule(tools=("refund",), decision=ASK, role=Role.ADMIN)
    policy = replace(CAREFUL, rules=(PolicyRule(tools=("look",), decision=ASK, role=Role.USER), deny, ask))
    for parameters in ({}, {"amount": "much"}):
        found = evaluate(policy, "refund", "ann", parameters)
        assert (found.decision, found.role, found.rule) == (ASK, Role.ADMIN, 1)
    assert evaluate(replace(policy, retired=True), "refund", "ann", {}).role is Role.ADMIN


def test_retired_policy_and_a_rule_without_true_or_false_ask() -> None:
    retired = replace(CAREFUL, otherwise=ALLOW, retired=True)
    assert evaluate(retired, "look", "ann", {"path": "/public"}) == (ASK, None, "the policy is retired", None)
    rules = (PolicyRule(when="parameters.n + 1", decision=ALLOW, role=Role.USER),)
    said = "`when` of rule 1 cannot be told: it gives 3 and not true or false"
    assert evaluate(replace(CAREFUL, rules=rules), "look", "ann", {"n": 2}) == (ASK, Role.USER, said, 0)


TOOLS = st.sampled_from(["a", "b"])
RULE = st.builds(
    PolicyRule,
    tools=st.lists(TOOLS, max_size=2).map(tuple),
    when=st.sampled_from([None, "true", "false", "parameters.missing", "parameters.n > 0", "agent == 'x'"]),
    decision=st.sampled_from(Decision),
)


@given(rules=st.lists(RULE, max_size=5), otherwise=st.sampled_from(Decision), tool=TOOLS, n=st.integers(-1, 1))
def test_what_is_allowed_was_allowed_by_a_rule_that_holds(
    rules: list[PolicyRule], otherwise: Decision, tool: str, n: int
) -> None:
    holds = {None: True, "true": True, "false": False, "parameters.n > 0": n > 0, "agent == 'x'": True}
    set_ = replace(POLICY_SET, rules=rules_text(rules), otherwise=otherwise.value)
    found = evaluate(evolve_policy(None, set_), tool, "x", {"n": n})
    about = [rule for rule in rules if not rule.tools or tool in rule.tools]
    for rule in about:
        if rule.when == "parameters.missing":
            assert found.decision is ASK
            return
        if holds[rule.when]:
            assert found.decision is rule.decision
            return
    assert found == (otherwise, None, "no rule holds", None)
    assert isinstance(CAREFUL, Policy)
