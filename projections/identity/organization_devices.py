"""How many devices has each organization?"""

from domain.identity.organization_devices import ORGANIZATION_DEVICES, DevicesEvent
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: DevicesEvent) -> tuple[Patch]:
    return decided(envelope, {"devices": event.devices, "changed_at": instant_text(envelope.happened_at)})


PROJECTION = Projection(
    name="organization_devices",
    layout=Documents(
        filters=("devices",),
        sorts=("devices", "changed_at"),
        numbers=("devices",),
        instants=("changed_at",),
        default_sort="-devices",
        scope="organizations",
        example={"id": "org-1", "version": 14, "devices": 12, "changed_at": "2026-01-31T08:30:00.000000Z"},
    ),
    topics=(Topic.EVENTS,),
    events=ORGANIZATION_DEVICES.events,
    project=project,
)
