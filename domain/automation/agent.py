"""These are the commands, the events, the state and the rules of an agent: a prompt, a model, tools and a policy."""

from dataclasses import replace
from typing import Annotated, ClassVar, assert_never

from pydantic import Field, StringConstraints

from domain.automation.model import Model, model_stream
from domain.automation.policy import Policy, policy_stream
from domain.automation.tool import Tool, tool_stream
from domain.given import Given
from domain.message import Command, Decider, Event, classes_of, filled, known, value
from domain.rejection import conflict, invalid, not_allowed, not_found
from schemas.envelope import Actor, StreamId
from schemas.values import Id, Name, Text

Prompt = Annotated[str, StringConstraints(min_length=1, max_length=16_384)]
"""What a model is told first: who it is, and what it is to do."""

MAX_TOOLS = 50

Tools = Annotated[tuple[Id, ...], Field(max_length=MAX_TOOLS)]
MaxSteps = Annotated[int, Field(strict=True, ge=1, le=50)]


def agent_stream(agent_id: str) -> StreamId:
    return StreamId(f"agent-{agent_id}")


# --- commands


@value
class _OfAgent(Command):
    agent_id: Id

    @property
    def stream(self) -> StreamId:
        return agent_stream(self.agent_id)


@value
class CreateAgent(_OfAgent):
    """Make an agent of a prompt, a model, tools and a policy.

    Shape: `tools` are the tools that the model may ask for; what it asks for passes the policy, and without a
    `policy_id` a person is asked each time. A run that needs more than `max_steps` answers of the model fails.
    """

    name: Name
    prompt: Prompt
    model_id: Id
    tools: Tools = ()
    policy_id: Id | None = None
    max_steps: MaxSteps = 10


@value
class UpdateAgent(CreateAgent):
    """Say anew all that the agent is: its next version. Runs keep the version that they began with."""


@value
class RetireAgent(_OfAgent):
    """It does not run any more; what runs goes on."""

    reason: Text = ""


AgentCommand = CreateAgent | UpdateAgent | RetireAgent

# --- events


@value
class _Says(Event):
    version: int
    name: str
    prompt: str
    model_id: str
    tools: tuple[str, ...]
    policy_id: str | None
    max_steps: int


@value
class AgentCreated(_Says):
    TYPE: ClassVar = "agent.created"


@value
class AgentUpdated(_Says):
    """All that it is now."""

    TYPE: ClassVar = "agent.updated"


@value
class AgentRetired(Event):
    TYPE: ClassVar = "agent.retired"
    reason: str


AgentEvent = AgentCreated | AgentUpdated | AgentRetired

# --- state


@value
class Agent:
    version: int
    name: str
    prompt: str
    model_id: str
    tools: tuple[str, ...]
    policy_id: str | None
    max_steps: int
    retired: bool = False


def evolve_agent(state: Agent | None, event: AgentEvent) -> Agent:
    match event:
        case AgentCreated() | AgentUpdated():
            return filled(Agent, event)
        case AgentRetired():
            return replace(known(state), retired=True)
        case _:
            assert_never(event)


# --- rules


def agent_reads(command: AgentCommand, _actor: Actor) -> tuple[StreamId, ...]:
    if not isinstance(command, CreateAgent):
        return ()
    policy = () if command.policy_id is None else (policy_stream(command.policy_id),)
    return (model_stream(command.model_id), *policy, *(tool_stream(id_) for id_ in dict.fromkeys(command.tools)))


def decide_agent(command: AgentCommand, state: Agent | None, given: Given) -> tuple[AgentEvent, ...]:
    if type(command) is CreateAgent:
        if state is not None:
            raise conflict(f"agent {command.agent_id} is there already; update it, or take another agent_id")
        _check_parts(command, given)
        return (filled(AgentCreated, command, version=1),)
    if state is None:
        raise not_found(f"agent {command.agent_id} is not known")
    if isinstance(command, RetireAgent):
        return () if state.retired else (AgentRetired(reason=command.reason),)
    if state.retired:
        raise not_allowed(f"agent {command.agent_id} is retired; create another one")
    if filled(Agent, command, version=state.version) == state:
        return ()
    _check_parts(command, given)
    return (filled(AgentUpdated, command, version=state.version + 1),)


def _check_parts(command: CreateAgent, given: Given) -> None:
    if len(set(command.tools)) < len(command.tools):
        raise invalid("tools: each is named once")
    _check("model", command.model_id, given.streams.get(model_stream(command.model_id)))
    if command.policy_id is not None:
        _check("policy", command.policy_id, given.streams.get(policy_stream(command.policy_id)))
    for id_ in command.tools:
        _check("tool", id_, given.streams.get(tool_stream(id_)))


def _check(kind: str, id_: str, part: Model | Policy | Tool | None) -> None:
    if part is None:
        raise not_found(f"{kind} {id_} is not known; make it first")
    if part.retired:
        raise not_allowed(f"{kind} {id_} is retired; name another one")


AGENT = Decider(
    category="agent",
    commands=classes_of(AgentCommand),
    events=classes_of(AgentEvent),
    decide=decide_agent,
    evolve=evolve_agent,
    reads=agent_reads,
)
