"""The audit trail, the histories and the event table share this projection from an event to its row."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from schemas.canonical_json import canonical_json
from schemas.envelope import Envelope, StreamId, TenantId

EXAMPLE: Mapping[str, Any] = {
    "position": "events/0/12",
    "stream": "device-web-1",
    "version": 1,
    "event_id": "0197…",
    "type": "device.registered",
    "schema_version": 1,
    "happened_at": "2026-01-31T08:30:00Z",
    "recorded_at": "2026-01-31T08:30:00.125000Z",
    "actor": {"type": "api_key", "id": "agent"},
    "correlation_id": "0197…",
    "causation_id": "0197…",
    "data": {"hostname": "web-1.example.com"},
}


class EventRow(NamedTuple):
    """One decided event, its payload as canonical JSON."""

    tenant_id: TenantId
    stream: StreamId
    version: int
    partition: int
    position: int
    event_id: str
    type: str
    schema_version: int
    happened_at: datetime
    recorded_at: datetime
    actor_type: str
    actor_id: str
    correlation_id: str
    causation_id: str
    data: str


def project(envelope: Envelope, _event: None) -> tuple[EventRow]:
    return (
        EventRow(
            tenant_id=envelope.tenant_id,
            stream=envelope.stream,
            version=envelope.version,
            partition=envelope.partition,
            position=envelope.position,
            event_id=envelope.event_id,
            type=envelope.type,
            schema_version=envelope.schema_version,
            happened_at=envelope.happened_at,
            recorded_at=envelope.recorded_at,
            actor_type=envelope.actor.type.value,
            actor_id=envelope.actor.id,
            correlation_id=envelope.correlation_id,
            causation_id=envelope.causation_id,
            data=canonical_json(envelope.data),
        ),
    )
