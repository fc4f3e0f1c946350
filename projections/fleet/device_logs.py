"""What did the devices of a tenant log?"""

from domain.fleet.facts import LogRecorded
from projections.fields import earlier_wins, id_of
from projections.layout import Series
from projections.projection import Projection
from projections.rows import LogRow
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, _event: None) -> tuple[LogRow]:
    data = envelope.data
    return (
        LogRow(
            tenant_id=envelope.tenant_id,
            happened_at=envelope.happened_at,
            fact_id=envelope.event_id,
            device_id=data["device_id"] or id_of(envelope.stream),
            severity=data["severity"],
            event_type=data["event_type"] or "",
            hostname=data["hostname"] or "",
            summary=data["summary"],
            details=data["details"],
            position=earlier_wins(envelope.position),
        ),
    )


PROJECTION = Projection(
    name="device_logs",
    layout=Series(row=LogRow, key=("tenant_id", "happened_at", "fact_id"), day="happened_at"),
    topics=(Topic.TELEMETRY,),
    events=(LogRecorded,),
    project=project,
)
