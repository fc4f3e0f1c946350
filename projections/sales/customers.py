"""This view answers which customers there are."""

from dataclasses import asdict
from typing import Any, assert_never

from domain.sales.customer import CUSTOMER, CustomerCreated, CustomerEvent, CustomerUpdated
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: CustomerEvent) -> tuple[Patch]:
    return decided(envelope, _fields(envelope, event))


def _fields(envelope: Envelope, event: CustomerEvent) -> dict[str, Any]:
    match event:
        case CustomerCreated():
            return {**asdict(event), "created_at": instant_text(envelope.happened_at)}
        case CustomerUpdated():
            return asdict(event)
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="customers",
    layout=Documents(
        filters=("industry", "country", "lead_id"),
        sorts=("created_at", "name"),
        default_sort="-created_at",
        scope="customers",
        example={"id": "acme", "version": 1, "name": "Acme", "industry": "finance", "lead_id": "acme-1"},
    ),
    topics=(Topic.EVENTS,),
    events=CUSTOMER.events,
    project=project,
)
