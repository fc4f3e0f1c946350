"""This view answers which leads there are, how promising each is, how far it came, and who looks after it."""

from dataclasses import asdict
from typing import Any, Literal, assert_never

from domain.sales.decide_lead import LEAD
from domain.sales.lead import (
    LeadActivityLogged,
    LeadAssigned,
    LeadCaptured,
    LeadContacted,
    LeadConverted,
    LeadEnriched,
    LeadEvent,
    LeadLost,
    LeadQualified,
    LeadQuoted,
    LeadScored,
    LeadStatus,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: LeadEvent) -> tuple[Patch]:
    return decided(envelope, _fields(envelope, event))


def _fields(envelope: Envelope, event: LeadEvent) -> dict[str, Any]:
    at = instant_text(envelope.happened_at)
    match event:
        case LeadCaptured():
            return {**asdict(event), "status": LeadStatus.NEW.value, "captured_at": at}
        case LeadEnriched() | LeadScored():
            return asdict(event)
        case LeadAssigned():
            return {"assigned_to": event.to, "assigned_reason": event.reason}
        case LeadActivityLogged():
            return {"note": event.note, "last_activity": event.kind, "last_activity_at": at}
        case LeadContacted():
            return {"status": LeadStatus.CONTACTED.value}
        case LeadQualified():
            return {"status": LeadStatus.QUALIFIED.value, "status_reason": event.note}
        case LeadQuoted():
            return {"status": LeadStatus.QUOTED.value, "quote_id": event.quote_id}
        case LeadConverted():
            return {"status": LeadStatus.CONVERTED.value, "customer_id": event.customer_id}
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
