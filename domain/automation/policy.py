"""These are the commands, the events, the state and the rules of a policy: what agents may do with tools."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any, ClassVar, NamedTuple, assert_never

import orjson
from pydantic import Field, TypeAdapter

from domain.automation import expressions
from domain.automation.expressions import BadExpression, Expression, NoValue
from domain.given import Given
from domain.identity.user import Role
from domain.message import Command, Decider, Event, classes_of, filled, known, value
from domain.rejection import invalid, not_allowed, not_found
from schemas.envelope import StreamId
from schemas.values import Id, Name, Text

NAMES = ("tool", "agent", "parameters")
"""What the expression of a rule may name: the ids of the tool and of the agent, and the parameters for the tool."""


def policy_stream(policy_id: str) -> StreamId:
    return StreamId(f"policy-{policy_id}")


class Decision(StrEnum):
    ALLOW = "allow"
    DENY = "deny"
    ASK = "ask"
    """A person has to approve it."""


@value
class PolicyRule:
    """Shape: it holds for these `tools`, for all where none is named, and where the expression `when` is true.

    What it leaves to be asked is approved by somebody with the `role`, or by anybody who may approve.
    """

    tools: Annotated[tuple[Id, ...], Field(max_length=100)] = ()
    when: Expression | None = None
    decision: Decision
    role: Role | None = None
    reason: Text = ""


Rules = Annotated[tuple[PolicyRule, ...], Field(max_length=100)]

# --- commands


@value
class _OfPolicy(Command):
    policy_id: Id

    @property
    def stream(self) -> StreamId:
        return policy_stream(self.policy_id)


@value
class SetPolicy(_OfPolicy):
    """Say what agents may do; it takes the place of what the policy said before.

    Shape: the first of the rules that holds decides, and `otherwise` where none does.
    """

    name: Name
    rules: Rules = ()
    otherwise: Decision = Decision.ASK


@value
class RetirePolicy(_OfPolicy):
    """It allows nothing any more: who acts under it has to ask."""

    reason: Text = ""


PolicyCommand = SetPolicy | RetirePolicy

# --- events


@value
class PolicySet(Event):
    """Shape: `rules` is JSON, a list."""

    TYPE: ClassVar = "policy.set"
    version: int
    name: str
    rules: str
    otherwise: str


@value
class PolicyRetired(Event):
    TYPE: ClassVar = "policy.retired"
    reason: str


PolicyEvent = PolicySet | PolicyRetired

# --- state


@value
class Policy:
    version: int
    name: str
    rules: Rules
    otherwise: Decision
    retired: bool = False


_RULES: TypeAdapter[tuple[PolicyRule, ...]] = TypeAdapter(Rules)


def rules_text(rules: Sequence[PolicyRule]) -> str:
    """Return rules as JSON, as events keep them."""
    return orjson.dumps(_RULES.dump_python(tuple(rules), mode="json", exclude_defaults=True)).decode()


def evolve_policy(state: Policy | None, event: PolicyEvent) -> Policy:
    match event:
        case PolicySet():
            rules = _RULES.validate_json(event.rules)
            return filled(Policy, event, rules=rules, otherwise=Decision(event.otherwise))
        case PolicyRetired():
            return replace(known(state), retired=True)
        case _:
            assert_never(event)


# --- rules


def decide_policy(command: PolicyCommand, state: Policy | None, _given: Given) -> tuple[PolicyEvent, ...]:
    match command:
        case SetPolicy():
            return _set(command, state)
        case RetirePolicy():
            if state is None:
                raise not_found(f"policy {command.policy_id} is not known")
            return () if state.retired else (PolicyRetired(reason=command.reason),)
        case _:
            assert_never(command)


def _set(command: SetPolicy, state: Policy | None) -> tuple[PolicyEvent, ...]:
    if state is not None and state.retired:
        raise not_allowed(f"policy {command.policy_id} is retired; set another one")
    if found := [*_faults(command.rules)]:
        raise invalid("; ".join(found))
    version = 1 if state is None else state.version + 1
    rules, otherwise = rules_text(command.rules), command.otherwise.value
    event = PolicySet(version=version, name=command.name, rules=rules, otherwise=otherwise)
    unchanged = state is not None and evolve_policy(state, replace(event, version=state.version)) == state
    return () if unchanged else (event,)


def _faults(rules: Sequence[PolicyRule]) -> Iterator[str]:
    for number, rule in enumerate(rules, 1):
        if rule.when is not None:
            try:
                expressions.check(rule.when, *NAMES, among=NAMES)
            except BadExpression as error:
                yield f"`when` of rule {number}: {error}"


class PolicyDecision(NamedTuple):
    """What a policy says of one use of a tool.

    Shape: `role` says who may approve, where it is to be asked; `rule` is the place of the rule that decided in the
    list, None where none did.
    """

    decision: Decision
    role: Role | None
    reason: str
    rule: int | None


def evaluate(policy: Policy, tool_id: str, agent_id: str, parameters: Mapping[str, Any]) -> PolicyDecision:
    """Return what a policy says of an agent's use of a tool: what cannot be told is asked, and never allowed."""
    if policy.retired:
        return PolicyDecision(Decision.ASK, _approver(policy, tool_id), "the policy is retired", None)
    variables = {"tool": tool_id, "agent": agent_id, "parameters": parameters}
    for at, rule in enumerate(policy.rules):
        if rule.tools and tool_id not in rule.tools:
            continue
        try:
            holds = rule.when is None or _holds(rule.when, variables)
        except (BadExpression, NoValue) as error:
            reason = f"`when` of rule {at + 1} cannot be told: {error}"
            # what cannot be told of a rule may not be a way round the role that the next one names
            return PolicyDecision(Decision.ASK, rule.role or _approver(policy, tool_id, at), reason, at)
        if holds:
            role = rule.role if rule.decision is Decision.ASK else None
            return PolicyDecision(rule.decision, role, rule.reason or f"rule {at + 1}", at)
    return PolicyDecision(policy.otherwise, None, "no rule holds", None)


def _approver(policy: Policy, tool_id: str, at: int = 0) -> Role | None:
    """Return the role that the first rule of those from a place on names for a tool, None where none does."""
    about = (rule for rule in policy.rules[at:] if not rule.tools or tool_id in rule.tools)
    return next((rule.role for rule in about if rule.role), None)


def _holds(when: str, variables: Mapping[str, Any]) -> bool:
    found = expressions.evaluate(when, variables, NAMES)
    if not isinstance(found, bool):
        raise NoValue(f"it gives {str(found)[:100]} and not true or false")
    return found


POLICY = Decider(
    category="policy",
    commands=classes_of(PolicyCommand),
    events=classes_of(PolicyEvent),
    decide=decide_policy,
    evolve=evolve_policy,
)
