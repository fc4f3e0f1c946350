"""This view answers which leads there are, how promising each is, and who looks after it."""

from dataclasses import asdict
from typing import Any, Literal, assert_never

from domain.sales.lead import LEAD, LeadAssigned, LeadCaptured, LeadEvent, LeadLost, LeadScored, LeadStatus
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: LeadEvent) -> tuple[Patch]:
    return decided(envelope, _fields(envelope, event))


def _fields(envelope: Envelope, event: LeadEvent) -> dict[str, Any]:
    match event:
        case LeadCaptured():
            at = instant_text(envelope.happened_at)
            return {**asdict(event), "status": LeadStatus.NEW.value, "captured_at": at}
        case LeadScored():
            return asdict(event)
        case LeadAssigned():
            return {"assigned_to": event.to, "assigned_reason": event.reason}
        case LeadLost():
            return {"status": LeadStatus.LOST.value, "status_reason": event.reason}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="leads",
    layout=Documents(
        filters=("status", "tier", "assigned_to", "source"),
        values={"status": LeadStatus, "tier": Literal["hot", "warm", "cold"]},
        sorts=("captured_at", "score", "company", "status", "tier", "assigned_to"),
        numbers=("score",),
        instants=("captured_at",),
        default_sort="-captured_at",
        search=("company", "industry", "source", "assigned_to"),
        scope="leads",
        example={"id": "acme-1", "version": 2, "company": "Acme", "status": "new", "score": 85, "tier": "hot"},
    ),
    topics=(Topic.EVENTS,),
    events=LEAD.events,
    project=project,
)
