"""Which devices are there, in which state, and when was each last heard of?"""

from dataclasses import asdict
from typing import Any, assert_never

from domain.fleet.device import (
    DEVICE,
    AgentOffered,
    AgentWithdrawn,
    DeviceEvent,
    DeviceRegistered,
    DeviceRetired,
    DeviceStatus,
    DeviceStatusChanged,
    DeviceTagged,
    DeviceUpdated,
)
from domain.fleet.fact_records import HeartbeatRecord, LogRecord, MetricsRecord
from projections.fields import decided, heard_order, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic, id_of


def project(envelope: Envelope, event: DeviceEvent | None) -> tuple[Patch]:
    if event is None:
        return _heard_of(envelope)
    return decided(envelope, _fields(envelope, event))


def _heard_of(envelope: Envelope) -> tuple[Patch]:
    # the log's own time: it grows with the position, so that old readings sent late do not turn it back
    fields = {"last_seen_at": instant_text(envelope.recorded_at)}
    return (Patch(envelope.tenant_id, id_of(envelope.stream), "telemetry", heard_order(envelope), fields),)


def _fields(envelope: Envelope, event: DeviceEvent) -> dict[str, Any]:
    match event:
        case DeviceRegistered():
            return {
                **asdict(event),
                "status": DeviceStatus.PENDING.value,
                "registered_at": instant_text(envelope.happened_at),
            }
        case DeviceUpdated():
            return asdict(event)
        case DeviceTagged():
            # a field for each tag: a patch replaces fields whole
            return {f"tag:{event.key}": event.value}
        case DeviceStatusChanged():
            return {"status": event.to_status, "status_reason": event.reason}
        case DeviceRetired():
            return {"status": DeviceStatus.DECOMMISSIONED.value, "status_reason": event.reason}
        case AgentOffered():
            return {
                "agent_release_id": event.release_id,
                "offered_agent_version": event.version,
                "offered_agent_digest": event.digest,
            }
        # a field without a value would stay as it was
        case AgentWithdrawn():
            return {"offered_agent_version": "", "offered_agent_digest": ""}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="devices",
    layout=Documents(
        filters=("status", "os_type", "device_type", "organization_id"),
        organization="organization_id",
        values={"status": DeviceStatus},
        sorts=("hostname", "status", "last_seen_at", "os_type", "registered_at"),
        instants=("last_seen_at", "registered_at"),
        default_sort="hostname",
        search=("hostname", "serial", "manufacturer", "model", "os_version"),
        scope="devices",
        example={
            "id": "web-1",
            "version": 3,
            "hostname": "web-1.example.com",
            "os_type": "linux",
            "status": "ONLINE",
        },
    ),
    topics=(Topic.EVENTS, Topic.TELEMETRY),
    events=(*DEVICE.events, HeartbeatRecord, MetricsRecord, LogRecord),
    project=project,
)
