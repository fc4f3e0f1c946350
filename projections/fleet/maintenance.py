"""Which maintenance is planned, and of which devices?"""

from typing import Any, Literal, assert_never

from domain.fleet.maintenance import MAINTENANCE, MaintenanceCancelled, MaintenanceEvent, MaintenancePlanned
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: MaintenanceEvent) -> tuple[Patch]:
    return decided(envelope, _fields(envelope, event))


def _fields(envelope: Envelope, event: MaintenanceEvent) -> dict[str, Any]:
    match event:
        case MaintenancePlanned():
            return {
                "status": "PLANNED",
                "begins_at": instant_text(event.begins_at),
                "ends_at": instant_text(event.ends_at),
                # a field without a value would stay as it was
                "device_id": event.device_id or "",
                "tag_key": event.tag_key or "",
                "tag_value": event.tag_value or "",
                "reason": event.reason,
            }
        case MaintenanceCancelled():
            at = instant_text(envelope.happened_at)
            return {"status": "CANCELLED", "cancelled_at": at, "cancelled_reason": event.reason}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="maintenance",
    layout=Documents(
        filters=("status", "device_id", "tag_key"),
        values={"status": Literal["PLANNED", "CANCELLED"]},
        sorts=("begins_at", "ends_at", "status", "tag_key", "tag_value"),
        instants=("begins_at", "ends_at"),
        default_sort="-begins_at",
        search=("reason", "device_id", "tag_key", "tag_value"),
        scope="watches",
        example={
            "id": "update-berlin",
            "version": 1,
            "status": "PLANNED",
            "begins_at": "2026-01-31T22:00:00.000000Z",
            "ends_at": "2026-02-01T02:00:00.000000Z",
            "tag_key": "site",
            "tag_value": "Berlin",
        },
    ),
    topics=(Topic.EVENTS,),
    events=MAINTENANCE.events,
    project=project,
)
