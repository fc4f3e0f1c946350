"""Which organizations are there?"""

from dataclasses import asdict
from typing import Any, Literal, assert_never

from domain.identity.organization import (
    ORGANIZATION,
    OrganizationArchived,
    OrganizationCreated,
    OrganizationEvent,
    OrganizationUpdated,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: OrganizationEvent) -> tuple[Patch]:
    return decided(envelope, _fields(envelope, event))


def _fields(envelope: Envelope, event: OrganizationEvent) -> dict[str, Any]:
    match event:
        case OrganizationCreated():
            created_at = instant_text(envelope.happened_at)
            return {**asdict(event), "status": "ACTIVE", "created_at": created_at}
        case OrganizationUpdated():
            return asdict(event)
        case OrganizationArchived():
            return {"status": "ARCHIVED", "status_reason": event.reason}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="organizations",
    layout=Documents(
        filters=("status", "category"),
        values={"status": Literal["ACTIVE", "ARCHIVED"]},
        sorts=("name", "created_at", "category", "status"),
        instants=("created_at",),
        default_sort="name",
        search=("name", "category"),
        scope="organizations",
        example={"id": "org-1", "version": 2, "name": "North", "category": "retail", "status": "ACTIVE"},
    ),
    topics=(Topic.EVENTS,),
    events=ORGANIZATION.events,
    project=project,
)
