"""Which alerts were raised, and who took care of them?"""

from typing import Any, assert_never

from domain.fleet.alert import ALERT, AlertAcknowledged, AlertEvent, AlertRaised, AlertResolved, AlertStatus
from domain.fleet.values import Severity
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: AlertEvent) -> tuple[Patch]:
    return decided(envelope, _fields(envelope, event))


def _fields(envelope: Envelope, event: AlertEvent) -> dict[str, Any]:
    at, by = instant_text(envelope.happened_at), envelope.actor.id
    match event:
        case AlertRaised():
            return {
                "status": AlertStatus.OPEN.value,
                "severity": event.severity,
                "rule": event.rule,
                "device_id": event.device_id,
                "value": event.value,
                "threshold": event.threshold,
                "window": event.window,
                "raised_at": at,
            }
        case AlertAcknowledged():
            status = AlertStatus.ACKNOWLEDGED.value
            return {"status": status, "acknowledged_at": at, "acknowledged_by": by, "acknowledged_note": event.note}
        case AlertResolved():
            status = AlertStatus.RESOLVED.value
            return {"status": status, "resolved_at": at, "resolved_by": by, "resolved_note": event.note}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="alerts",
    layout=Documents(
        filters=("status", "severity", "device_id", "rule"),
        values={"status": AlertStatus, "severity": Severity},
        sorts=("raised_at", "severity", "status", "device_id", "rule", "value", "resolved_at"),
        numbers=("value",),
        instants=("raised_at", "resolved_at"),
        default_sort="-raised_at",
        search=("rule", "device_id", "acknowledged_note", "resolved_note"),
        scope="alerts",
        example={"id": "cpu-web-1", "version": 1, "severity": "critical", "device_id": "web-1", "status": "OPEN"},
    ),
    topics=(Topic.EVENTS,),
    events=ALERT.events,
    project=project,
)
