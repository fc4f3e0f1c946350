"""The state of an agent's run follows from its events: what was said so far, and which actions are open."""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, assert_never

from domain.automation.agent_execution import (
    ActionApproved,
    ActionExecuted,
    ActionFailed,
    ActionProposed,
    ActionRejected,
    ActionRetried,
    AgentExecutionAnswered,
    AgentExecutionAsked,
    AgentExecutionCancelled,
    AgentExecutionCompleted,
    AgentExecutionEvent,
    AgentExecutionFailed,
    AgentExecutionPrepared,
    AgentExecutionStarted,
    PolicyEvaluated,
)
from domain.message import filled, known, value
from schemas.json_text import json_value


class AgentExecutionStatus(StrEnum):
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class ActionStatus(StrEnum):
    PROPOSED = "PROPOSED"
    """The policy has not decided yet, or a person has to."""
    APPROVED = "APPROVED"
    """The tool is being executed, or waits for its turn."""
    REJECTED = "REJECTED"
    EXECUTED = "EXECUTED"
    FAILED = "FAILED"


OPEN = frozenset({ActionStatus.PROPOSED, ActionStatus.APPROVED})


@value
class Action:
    """Shape: `parameters` is JSON; `asked` says that a person has to decide, with `role` where it is given.

    `answer` is what the model is told when it has ended.
    """

    tool_id: str
    call_id: str
    parameters: str
    status: ActionStatus = ActionStatus.PROPOSED
    asked: bool = False
    role: str | None = None
    answer: str = ""


@value
class AgentExecution:
    """Shape: `messages` are those of the conversation so far; `actions` are those of the step, by their ids.

    `offered` are the tools as they were when the run began. `awaits_answer` says that the model is asked in `step`.
    """

    execution_id: str
    agent_id: str
    started_at: datetime
    policy_id: str | None
    max_steps: int
    parent: str | None
    status: AgentExecutionStatus
    messages: tuple[Mapping[str, Any], ...]
    model: str = ""
    provider_key: str | None = None
    max_tokens: int = 0
    temperature: float | None = None
    offered: str = "[]"
    step: int = 0
    awaits_answer: bool = False
    actions: Mapping[str, Action] = field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0
    output: str = ""
    error: str = ""

    @property
    def told(self) -> Sequence[Mapping[str, Any]]:
        """Return the conversation with what became of the step's actions."""
        answers = (
            {"role": "tool", "tool_call_id": action.call_id, "content": action.answer}
            for action in self.actions.values()
        )
        return (*self.messages, *answers)


def evolve_agent_execution(state: AgentExecution | None, event: AgentExecutionEvent) -> AgentExecution:
    if isinstance(event, AgentExecutionStarted):
        return _begun(event)
    run = known(state)
    match event:
        case AgentExecutionPrepared():
            return replace(
                run,
                model=event.model,
                provider_key=event.provider_key,
                max_tokens=event.max_tokens,
                temperature=event.temperature,
                offered=event.tools,
            )
        case AgentExecutionAsked():
            return replace(run, messages=tuple(run.told), actions={}, step=event.step, awaits_answer=True)
        case AgentExecutionAnswered():
            return _answered(run, event)
        case AgentExecutionCompleted():
            return replace(run, status=AgentExecutionStatus.COMPLETED, output=event.output)
        case AgentExecutionFailed():
            return replace(run, status=AgentExecutionStatus.FAILED, error=event.error)
        case AgentExecutionCancelled():
            return replace(run, status=AgentExecutionStatus.CANCELLED, error=event.reason)
        case _:
            action = _action(run.actions.get(event.action_id), event)
            return replace(run, actions={**run.actions, event.action_id: action})


def _begun(event: AgentExecutionStarted) -> AgentExecution:
    input_ = json_value(event.input)
    messages = (
        {"role": "system", "content": event.prompt},
        *json_value(event.history or "[]"),
        {"role": "user", "content": input_ if isinstance(input_, str) else event.input},
    )
    return filled(
        AgentExecution, event, started_at=event.timestamp, status=AgentExecutionStatus.RUNNING, messages=messages
    )


def _answered(run: AgentExecution, event: AgentExecutionAnswered) -> AgentExecution:
    message = {"role": "assistant", "content": event.text}
    if calls := json_value(event.tool_calls):
        message["tool_calls"] = calls
    return replace(
        run,
        messages=(*run.messages, message),
        awaits_answer=False,
        input_tokens=run.input_tokens + event.input_tokens,
        output_tokens=run.output_tokens + event.output_tokens,
    )


_OfAction = (
    ActionProposed | PolicyEvaluated | ActionApproved | ActionRejected | ActionRetried | ActionExecuted | ActionFailed
)


def _action(before: Action | None, event: _OfAction) -> Action:
    if isinstance(event, ActionProposed):
        return filled(Action, event)
    action = known(before)
    match event:
        case PolicyEvaluated():
            return replace(action, asked=event.decision == "ask", role=event.role)
        case ActionApproved():
            return replace(action, status=ActionStatus.APPROVED)
        case ActionRetried():
            return action
        case ActionRejected():
            return replace(action, status=ActionStatus.REJECTED, answer=f"rejected: {event.reason}")
        case ActionExecuted():
            return replace(action, status=ActionStatus.EXECUTED, answer=event.output)
        case ActionFailed():
            return replace(action, status=ActionStatus.FAILED, answer=f"failed: {event.error}")
        case _:
            assert_never(event)
