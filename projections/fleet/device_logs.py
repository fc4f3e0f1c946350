"""What did the devices of a tenant log?"""

from datetime import datetime
from typing import NamedTuple

from domain.fleet.facts import LogRecorded
from domain.fleet.values import Severity
from projections.fields import id_of
from projections.layout import Days, Series, Shards
from projections.projection import Projection
from schemas.envelope import Envelope, TenantId, Topic


class LogRow(NamedTuple):
    """One log line. Source: log.recorded."""

    tenant_id: TenantId
    happened_at: datetime
    fact_id: str
    device_id: str
    severity: str
    event_type: str
    hostname: str
    summary: str
    details: str
    position: int


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
            position=envelope.position,
        ),
    )


PROJECTION = Projection(
    name="device_logs",
    layout=Series(
        row=LogRow,
        key=("tenant_id", "happened_at", "fact_id"),
        day="happened_at",
        first_wins=True,
        scope="logs",
        example={
            "id": "0f8f…",
            "happened_at": "2026-01-31T08:30:00Z",
            "device_id": "web-1",
            "severity": "error",
            "event_type": "auth.failed",
            "hostname": "web-1",
            "summary": "Failed password for root",
            "details": "",
        },
        order=("happened_at", "fact_id"),
        newest_first=True,
        bucket=Days("happened_at"),
        # of the key and not of the device: a fact sent again with another device replaces its row
        shards=Shards("fact_id", 8),
        filters=("device_id", "severity"),
        values={"severity": Severity},
        search="summary",
        indexes=(("device_id", "happened_at", "fact_id"), ("severity", "happened_at", "fact_id")),
    ),
    topics=(Topic.TELEMETRY,),
    events=(LogRecorded,),
    project=project,
)
