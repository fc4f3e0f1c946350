"""What do agents propose, what of it waits for a person, and what became of it?"""

from typing import Any, assert_never

from domain.automation.agent_execution import (
    ActionApproved,
    ActionExecuted,
    ActionFailed,
    ActionProposed,
    ActionRejected,
    ActionRetried,
    PolicyEvaluated,
    action_token,
)
from domain.automation.agent_execution_state import ActionStatus
from projections.fields import instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic

_OfAction = (
    ActionProposed | PolicyEvaluated | ActionApproved | ActionRejected | ActionRetried | ActionExecuted | ActionFailed
)


def project(envelope: Envelope, event: _OfAction) -> tuple[Patch]:
    # a run has many
    id_ = action_token(event.execution_id, event.action_id)
    return (Patch(envelope.tenant_id, id_, "events", envelope.version, _fields(envelope, event)),)


def _fields(envelope: Envelope, event: _OfAction) -> dict[str, Any]:
    at = instant_text(event.timestamp)
    match event:
        case ActionProposed():
            return {
                "status": ActionStatus.PROPOSED.value,
                "agent_id": event.agent_id,
                "execution_id": event.execution_id,
                "action_id": event.action_id,
                "step": event.step,
                "tool_id": event.tool_id,
                "parameters": event.parameters,
                "proposed_at": at,
            }
        case PolicyEvaluated():
            return {
                "policy_id": event.policy or "",
                "decision": event.decision,
                "role": event.role or "",
                "reason": event.reason,
            }
        case ActionApproved():
            return {"status": ActionStatus.APPROVED.value, "note": event.note, **_decided(envelope, event.by, at)}
        case ActionRejected():
            return {"status": ActionStatus.REJECTED.value, "note": event.reason, **_decided(envelope, event.by, at)}
        case ActionRetried():
            return {"retried_at": at}
        case ActionExecuted():
            return {"status": ActionStatus.EXECUTED.value, "output": event.output, "ended_at": at}
        case ActionFailed():
            return {"status": ActionStatus.FAILED.value, "error": event.error, "ended_at": at}
        case _:
            assert_never(event)


def _decided(envelope: Envelope, by: str, at: str) -> dict[str, Any]:
    return {"by": by, "decided_by": envelope.actor.id, "decided_at": at}


PROJECTION = Projection(
    name="agent_actions",
    layout=Documents(
        filters=("status", "agent_id", "execution_id", "tool_id", "role"),
        values={"status": ActionStatus},
        sorts=("proposed_at", "decided_at"),
        default_sort="-proposed_at",
        scope="agent_executions",
        example={
            "id": "r1~1-1",
            "version": 6,
            "status": "PROPOSED",
            "agent_id": "first-look",
            "execution_id": "r1",
            "action_id": "1-1",
            "step": 1,
            "tool_id": "ping",
            "parameters": '{"host":"web-1"}',
            "decision": "ask",
            "role": "ADMIN",
            "reason": "it is a busy host",
            "proposed_at": "2026-01-31T08:30:00.250000Z",
        },
    ),
    topics=(Topic.EVENTS,),
    events=(
        *(ActionProposed, PolicyEvaluated, ActionApproved, ActionRejected),
        *(ActionRetried, ActionExecuted, ActionFailed),
    ),
    project=project,
)
