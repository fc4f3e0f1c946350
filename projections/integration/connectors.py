"""Which systems outside send their changes, and what of it could not be recorded?"""

from typing import Any, assert_never

from domain.integration.connector import (
    CONNECTOR,
    ConnectorChangesRefused,
    ConnectorEvent,
    ConnectorFormat,
    ConnectorPaused,
    ConnectorPersonalNamed,
    ConnectorRegistered,
    ConnectorRemoved,
    ConnectorResumed,
    ConnectorSecretRotated,
    ConnectorStatus,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: ConnectorEvent) -> tuple[Patch]:
    return decided(envelope, _fields(instant_text(envelope.happened_at), event))


def _fields(at: str, event: ConnectorEvent) -> dict[str, Any]:
    match event:
        case ConnectorRegistered():
            new = {"status": ConnectorStatus.ACTIVE.value, "registered_at": at, "refused": 0}
            return {**new, "tool_type": event.tool_type, "format": event.format, "changed_at": at}
        case ConnectorSecretRotated():
            return {"secret_number": event.number, "secret_rotated_at": at, "changed_at": at}
        case ConnectorPaused():
            return _standing(ConnectorStatus.PAUSED, event.reason, at)
        case ConnectorResumed():
            return _standing(ConnectorStatus.ACTIVE, event.reason, at)
        case ConnectorRemoved():
            return _standing(ConnectorStatus.REMOVED, event.reason, at)
        case ConnectorPersonalNamed():
            named = {"personal_fields": list(event.personal_fields), "person_field": event.person_field or ""}
            return {**named, "changed_at": at}
        case ConnectorChangesRefused():
            return {"refused": event.total, "refused_at": at, "last_error": event.reason}
        case _:
            assert_never(event)


def _standing(status: ConnectorStatus, reason: str, at: str) -> dict[str, Any]:
    return {"status": status.value, "status_reason": reason, "changed_at": at}


PROJECTION = Projection(
    name="connectors",
    layout=Documents(
        filters=("status", "format", "tool_type"),
        values={"status": ConnectorStatus, "format": ConnectorFormat},
        sorts=("registered_at", "changed_at", "refused"),
        numbers=("refused",),
        instants=("registered_at", "changed_at"),
        default_sort="-registered_at",
        search=("tool_type",),
        scope="connectors",
        example={
            "id": "crm",
            "version": 3,
            "status": "ACTIVE",
            "tool_type": "postgresql",
            "format": "debezium",
            "registered_at": "2026-01-31T08:30:00.250000Z",
            "changed_at": "2026-01-31T08:30:00.250000Z",
            "personal_fields": ["email", "name"],
            "person_field": "customer_id",
            "refused": 1,
            "refused_at": "2026-01-31T09:00:00.250000Z",
            "last_error": "is larger than 64 KiB as JSON",
        },
    ),
    topics=(Topic.EVENTS,),
    events=CONNECTOR.events,
    project=project,
)
