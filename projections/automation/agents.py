"""Which agents are there, and what is each made of?"""

from typing import Any, Literal, assert_never

from domain.automation.agent import AGENT, AgentCreated, AgentEvent, AgentRetired, AgentUpdated
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: AgentEvent) -> tuple[Patch]:
    return decided(envelope, {**_fields(envelope, event), "changed_at": instant_text(envelope.happened_at)})


def _fields(envelope: Envelope, event: AgentEvent) -> dict[str, Any]:
    match event:
        case AgentCreated():
            return {
                "status": "ACTIVE",
                "created_at": instant_text(envelope.happened_at),
                "created_by": envelope.actor.id,
                **_said(event),
            }
        case AgentUpdated():
            return _said(event)
        case AgentRetired():
            return {"status": "RETIRED", "status_reason": event.reason}
        case _:
            assert_never(event)


def _said(event: AgentCreated | AgentUpdated) -> dict[str, Any]:
    return {
        "name": event.name,
        "agent_version": event.version,
        "prompt": event.prompt,
        "model_id": event.model_id,
        "tools": list(event.tools),
        "policy_id": event.policy_id or "",
        "max_steps": event.max_steps,
    }


PROJECTION = Projection(
    name="agents",
    layout=Documents(
        filters=("status", "model_id", "policy_id"),
        values={"status": Literal["ACTIVE", "RETIRED"]},
        sorts=("changed_at", "created_at", "name"),
        default_sort="name",
        scope="agents",
        example={
            "id": "triage",
            "version": 1,
            "status": "ACTIVE",
            "name": "First look at an alert",
            "agent_version": 1,
            "prompt": "Find out what is wrong with the device, in three sentences.",
            "model_id": "small",
            "tools": ["ping"],
            "policy_id": "careful",
            "max_steps": 10,
        },
    ),
    topics=(Topic.EVENTS,),
    events=AGENT.events,
    project=project,
)
