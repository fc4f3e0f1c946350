"""A decided event as a row: what the audit trail, a stream's history and the event table keep."""

from projections.rows import EventRow
from schemas.canonical_json import canonical_json
from schemas.envelope import Envelope


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
