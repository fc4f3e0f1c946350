"""This view answers who looks after leads, what they know, and how many they were given and won."""

from typing import Any, Literal, assert_never

from domain.sales.sales_team import (
    SALES_TEAM,
    AvailabilityChanged,
    LeadRouted,
    RepresentativeRegistered,
    TeamEvent,
    WinRecorded,
)
from projections.fields import instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: TeamEvent) -> tuple[Patch]:
    # all of them are one stream, whose versions are in order for each of them too
    return (Patch(envelope.tenant_id, event.representative_id, "events", envelope.version, _fields(envelope, event)),)


def _fields(envelope: Envelope, event: TeamEvent) -> dict[str, Any]:
    match event:
        case RepresentativeRegistered():
            return {
                "name": event.representative_id,
                "expertise": list(event.expertise),
                "countries": list(event.countries),
                "status": _status(event),
            }
        case AvailabilityChanged():
            return {"status": _status(event), "status_reason": event.reason}
        case LeadRouted():
            at = instant_text(envelope.happened_at)
            return {"leads": event.leads, "last_lead_id": event.lead_id, "last_lead_at": at}
        case WinRecorded():
            return {"wins": event.wins}
        case _:
            assert_never(event)


def _status(event: RepresentativeRegistered | AvailabilityChanged) -> str:
    return "AVAILABLE" if event.is_available else "AWAY"


PROJECTION = Projection(
    name="representatives",
    layout=Documents(
        filters=("status",),
        values={"status": Literal["AVAILABLE", "AWAY"]},
        sorts=("name", "leads", "wins"),
        numbers=("leads", "wins"),
        default_sort="name",
        scope="representatives",
        example={"id": "bob", "version": 12, "name": "bob", "expertise": ["finance"], "leads": 9, "wins": 2},
    ),
    topics=(Topic.EVENTS,),
    events=SALES_TEAM.events,
    project=project,
)
