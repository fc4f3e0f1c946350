"""Facts are what devices report; they are observations, so nobody decides about them."""

from typing import Annotated, ClassVar

from pydantic import StringConstraints

from domain.fleet.values import Metrics, Severity
from domain.message import Fact, value
from schemas.values import Day, Id, Name, Text


@value
class DeviceHeartbeat(Fact):
    TYPE: ClassVar = "device.heartbeat"
    agent_version: Name | None = None


@value
class DeviceMetricsReported(Fact):
    """Shape: 1 to 200 finite readings; `unit` holds for all of them, "" where it is not known."""

    TYPE: ClassVar = "device.metrics.reported"
    metrics: Metrics
    unit: Annotated[str, StringConstraints(max_length=32)] = ""


@value
class LogRecorded(Fact):
    """Shape: severity and summary are enough; no `device_id` means the device that sent it."""

    TYPE: ClassVar = "log.recorded"
    severity: Severity
    summary: Text
    tool_type: Name | None = None
    source_event_type: Name | None = None
    event_type: Name | None = None
    device_id: Id | None = None
    user_id: Name | None = None
    hostname: Name | None = None
    details: Text = ""
    ingest_day: Day | None = None


FleetFact = DeviceHeartbeat | DeviceMetricsReported | LogRecorded
