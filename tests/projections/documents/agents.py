"""What each event of models, agents, their runs and conversations sets in its documents."""

from collections.abc import Mapping
from typing import Any

from domain.automation.conversation import ConversationAnswered, MessageAdded
from domain.message import Event
from projections.automation import (
    agent_actions,
    agent_executions,
    agents,
    conversation_messages,
    conversations,
    models,
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
    AGENT_RETIRED,
    AGENT_UPDATED,
    ANSWER_FAILED,
    CONVERSATION_ANSWERED,
    CONVERSATION_ARCHIVED,
    CONVERSATION_RENAMED,
    CONVERSATION_STARTED,
    MESSAGE_ADDED,
    MODEL_REGISTERED,
    MODEL_RETIRED,
    MODEL_UPDATED,
    POLICY_EVALUATED,
)
from tests.projections.documents import HAPPENED, RECORDED, Case

_MODEL: Mapping[str, Any] = {
    "name": "Small and quick",
    "provider_key": "openai",
    "model": "gpt-4o-mini",
    "max_tokens": 1_024,
    "temperature": "0.2",
}
_AGENT: Mapping[str, Any] = {
    "name": "First look",
    "agent_version": 1,
    "prompt": "Find out what is wrong with the device.",
    "model_id": "small",
    "tools": ["ping"],
    "policy_id": "careful",
    "max_steps": 5,
}
_OVER: Mapping[str, Any] = {
    "steps": 2,
    "input_tokens": 220,
    "output_tokens": 31,
    "duration_ms": 1_500,
    "ended_at": RECORDED,
}


def _model(event: Event, **fields: Any) -> Case:
    return (models.PROJECTION, "small", event, {**fields, "changed_at": HAPPENED})


def _agent(event: Event, **fields: Any) -> Case:
    return (agents.PROJECTION, "first-look", event, {**fields, "changed_at": HAPPENED})


def _run(event: Event, **fields: Any) -> Case:
    return (agent_executions.PROJECTION, "r1", event, {**fields, "changed_at": RECORDED})


def _talk(event: Event, **fields: Any) -> Case:
    return (conversations.PROJECTION, "c1", event, {**fields, "changed_at": RECORDED})


def _message(id_: str, event: Event, **fields: Any) -> Case:
    return (conversation_messages.PROJECTION, id_, event, fields)


def _sealed(event: MessageAdded | ConversationAnswered) -> dict[str, Any]:
    return {"sealed": event.text, "type": event.TYPE, "subject": "user-ann"}


def _action(event: Event, **fields: Any) -> Case:
    return (agent_actions.PROJECTION, "r1~1-1", event, fields)


CASES: list[Case] = [
    _model(MODEL_REGISTERED, status="ACTIVE", registered_at=HAPPENED, **_MODEL),
    _model(MODEL_UPDATED, **{**_MODEL, "model": "gpt-4.1-mini", "temperature": ""}),
    _model(MODEL_RETIRED, status="RETIRED", status_reason="another one is better"),
    _agent(AGENT_CREATED, status="ACTIVE", created_at=HAPPENED, created_by="ann", **_AGENT),
    _agent(AGENT_UPDATED, **{**_AGENT, "agent_version": 2, "policy_id": "", "max_steps": 3}),
    _agent(AGENT_RETIRED, status="RETIRED", status_reason="people look themselves"),
    _run(
        AGENT_EXECUTION_STARTED,
        status="RUNNING",
        agent_id="first-look",
        agent_name="First look",
        agent_version=1,
        model_id="small",
        input='{"device":"web-1"}',
        max_steps=5,
        steps=0,
        parent="",
        started_at=RECORDED,
        started_by="ann",
    ),
    _run(AGENT_EXECUTION_PREPARED, model="gpt-4o-mini"),
    _run(AGENT_EXECUTION_ASKED, steps=1),
    _run(AGENT_EXECUTION_ANSWERED, last_text="I look whether it answers."),
    _run(AGENT_EXECUTION_COMPLETED, status="COMPLETED", output="It does not answer.", **_OVER),
    _run(
        AGENT_EXECUTION_FAILED,
        status="FAILED",
        error="the model did not answer in step 1: no model is configured",
        **_OVER,
    ),
    _run(AGENT_EXECUTION_CANCELLED, status="CANCELLED", error="not needed any more", **_OVER),
    _action(
        ACTION_PROPOSED,
        status="PROPOSED",
        agent_id="first-look",
        execution_id="r1",
        action_id="1-1",
        step=1,
        tool_id="ping",
        parameters='{"host":"web-1"}',
        proposed_at=RECORDED,
    ),
    _action(POLICY_EVALUATED, policy_id="careful", decision="ask", role="ADMIN", reason="it is a busy host"),
    _action(ACTION_APPROVED, status="APPROVED", note="go on", by="person", decided_by="ann", decided_at=RECORDED),
    _action(ACTION_REJECTED, status="REJECTED", note="not today", by="person", decided_by="ann", decided_at=RECORDED),
    _action(ACTION_RETRIED, retried_at=RECORDED),
    _action(ACTION_EXECUTED, status="EXECUTED", output='{"ok":false}', ended_at=RECORDED),
    _action(ACTION_FAILED, status="FAILED", error="no route to the host", ended_at=RECORDED),
    _talk(
        CONVERSATION_STARTED,
        status="OPEN",
        title="The shop is silent",
        agent_id="first-look",
        messages=0,
        error="",
        started_at=RECORDED,
        started_by="ann",
    ),
    _talk(MESSAGE_ADDED, status="ANSWERING", messages=1, error=""),
    _talk(CONVERSATION_ANSWERED, status="OPEN", messages=2),
    _talk(ANSWER_FAILED, status="OPEN", error="agent first-look is retired"),
    _talk(CONVERSATION_RENAMED, title="web-1 is silent"),
    _talk(CONVERSATION_ARCHIVED, status="ARCHIVED", status_reason="it is mended"),
    _message(
        "c1~1",
        MESSAGE_ADDED,
        said_by="person",
        author="user-ann",
        conversation_id="c1",
        number=1,
        text=_sealed(MESSAGE_ADDED),
        started_by="ann",
        said_at=RECORDED,
    ),
    _message(
        "c1~2",
        CONVERSATION_ANSWERED,
        said_by="agent",
        execution_id="r1",
        input_tokens=220,
        output_tokens=31,
        conversation_id="c1",
        number=2,
        text=_sealed(CONVERSATION_ANSWERED),
        started_by="ann",
        said_at=RECORDED,
    ),
    _message("c1~1", ANSWER_FAILED, error="agent first-look is retired"),
]
