"""These are the rules of an agent's run: how it begins, who decides on its actions, and when it may be changed."""

from typing import Any, assert_never

from domain.automation.agent import Agent, agent_stream
from domain.automation.agent_execution import (
    COMMANDS,
    EVENTS,
    AgentExecutionCommand,
    AgentExecutionEvent,
    AgentExecutionStarted,
    ApproveAction,
    CancelAgentExecution,
    EvaluateAction,
    ExecuteAgent,
    FailAgentExecution,
    PrepareAgentExecution,
    RejectAction,
    RetryAction,
    SettleAction,
    TakeAnswer,
    chat_task_id,
)
from domain.automation.agent_execution_state import AgentExecution, AgentExecutionStatus, evolve_agent_execution
from domain.automation.agent_turn import AgentTurn
from domain.automation.approver import approver_reads
from domain.automation.conversation import Conversation
from domain.automation.conversation_ids import conversation_stream
from domain.automation.model import model_stream
from domain.automation.policy import policy_stream
from domain.automation.tool import tool_stream
from domain.given import Given
from domain.message import Decider
from domain.operations.task import task_stream
from domain.rejection import conflict, invalid, not_allowed, not_found
from schemas.envelope import Actor, ActorType, StreamId
from schemas.json_text import json_text


def agent_execution_reads(command: AgentExecutionCommand, actor: Actor) -> tuple[StreamId, ...]:
    match command:
        case ExecuteAgent(conversation_id=str(id_)):
            return (agent_stream(command.agent_id), conversation_stream(id_))
        case ExecuteAgent():
            return (agent_stream(command.agent_id),)
        case PrepareAgentExecution():
            return (model_stream(command.model_id), *(tool_stream(id_) for id_ in command.tools))
        case TakeAnswer():
            return (task_stream(chat_task_id(command.execution_id, command.step)),)
        case EvaluateAction(policy_id=str(id_)):
            return (policy_stream(id_),)
        case ApproveAction() | RejectAction():
            return approver_reads(actor)
        case _:
            return ()


def decide_agent_execution(
    command: AgentExecutionCommand, state: AgentExecution | None, given: Given
) -> tuple[AgentExecutionEvent, ...]:
    if isinstance(command, ExecuteAgent):
        return (_begin(command, state, given),)
    if state is None:
        raise not_found(f"execution {command.execution_id} of an agent is not known")
    if state.status is not AgentExecutionStatus.RUNNING:
        if isinstance(command, ApproveAction | RejectAction):
            raise not_allowed(f"execution {command.execution_id} is {state.status}")
        return ()
    run = AgentTurn(state, given)
    match command:
        case ApproveAction() | RejectAction():
            run.judge(command)
        case CancelAgentExecution():
            run.cancel(command.reason)
        case _:
            _go_on(run, command)
    return tuple(run.events)


_Ours = PrepareAgentExecution | TakeAnswer | EvaluateAction | SettleAction | RetryAction | FailAgentExecution


def _go_on(run: AgentTurn, command: _Ours) -> None:
    match command:
        case PrepareAgentExecution():
            run.prepare(command)
        case TakeAnswer():
            run.take_answer(command)
        case EvaluateAction():
            run.evaluate(command)
        case SettleAction():
            run.settle(command)
        case RetryAction():
            run.retry(command)
        case FailAgentExecution():
            run.fail(command.error)
        case _:
            assert_never(command)


def _begin(command: ExecuteAgent, state: AgentExecution | None, given: Given) -> AgentExecutionStarted:
    if state is not None:
        raise conflict(f"execution {command.execution_id} has begun already; a new one needs a new execution_id")
    for name in ("parent", "conversation_id"):
        if getattr(command, name) is not None and given.actor.type is not ActorType.SYSTEM:
            raise not_allowed(f"`{name}` is given by the engine")
    agent: Agent | None = given.streams.get(agent_stream(command.agent_id))
    if agent is None:
        raise not_found(f"agent {command.agent_id} is not known")
    if agent.retired:
        raise not_allowed(f"agent {command.agent_id} is retired")
    input_, history = _said(command, given)
    if input_ in (None, ""):
        raise invalid("`input` says what the agent is to do; it is missing")
    return AgentExecutionStarted(
        execution_id=command.execution_id,
        agent_id=command.agent_id,
        timestamp=given.now,
        agent_name=agent.name,
        agent_version=agent.version,
        prompt=agent.prompt,
        model_id=agent.model_id,
        tools=agent.tools,
        policy_id=agent.policy_id,
        max_steps=agent.max_steps,
        input=json_text(input_),
        parent=command.parent,
        history=history,
    )


def _said(command: ExecuteAgent, given: Given) -> tuple[Any, str | None]:
    """Return what the agent is told now, and as JSON what was said before in its conversation."""
    if command.conversation_id is None:
        return command.input, None
    talk: Conversation | None = given.streams.get(conversation_stream(command.conversation_id))
    if talk is None or not talk.told:
        raise not_found(f"conversation {command.conversation_id} has no message")
    *before, last = talk.told
    return last["content"], json_text(before)


AGENT_EXECUTION = Decider(
    category="agent_execution",
    commands=COMMANDS,
    events=EVENTS,
    decide=decide_agent_execution,
    evolve=evolve_agent_execution,
    reads=agent_execution_reads,
)
