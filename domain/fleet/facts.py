"""Facts are what devices report; they are observations, so nobody decides about them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import StringConstraints

from domain.fleet.fact_records import (
    HeartbeatRecord,
    LogRecord,
    MetricsRecord,
    pack_heartbeats,
    pack_lines,
    pack_metrics,
    unpack_heartbeats,
    unpack_lines,
    unpack_metrics,
)
from domain.fleet.values import Metrics, Severity
from domain.message import Fact, value
from schemas import upcast
from schemas.envelope import Envelope
from schemas.values import Day, Id, Name, Text


@value
class DeviceHeartbeat(Fact):
    TYPE: ClassVar = "device.heartbeat"
    RECORD: ClassVar = HeartbeatRecord
    agent_version: Name | None = None

    pack = staticmethod(pack_heartbeats)
    unpack = staticmethod(unpack_heartbeats)


@value
class DeviceMetricsReported(Fact):
    """Shape: 1 to 200 finite readings; `unit` holds for all of them, "" where it is not known."""

    TYPE: ClassVar = "device.metrics.reported"
    RECORD: ClassVar = MetricsRecord
    IS_READING: ClassVar = True
    metrics: Metrics
    unit: Annotated[str, StringConstraints(max_length=32)] = ""

    pack = staticmethod(pack_metrics)
    unpack = staticmethod(unpack_metrics)


@value
class LogRecorded(Fact):
    """Shape: severity and summary are enough; no `device_id` means the device that sent it."""

    TYPE: ClassVar = "log.recorded"
    RECORD: ClassVar = LogRecord
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

    pack = staticmethod(pack_lines)
    unpack = staticmethod(unpack_lines)

    @property
    def about(self) -> str | None:
        return self.device_id


FleetFact = DeviceHeartbeat | DeviceMetricsReported | LogRecorded


class Line(NamedTuple):
    """A log line of a record: its id, and what it says, by field.

    Units: `after_us` counts microseconds from the record's time.
    """

    id: str
    after_us: int
    said: Mapping[str, Any]


def series_of(envelope: Envelope) -> Sequence[Mapping[str, Any]]:
    """Return the readings of a record, whichever version wrote it: the fields of a MetricSeries for each metric."""
    series: Sequence[Mapping[str, Any]] = _newest(envelope)["series"]
    return series


def lines_of(envelope: Envelope) -> Iterator[Line]:
    """Yield the log lines of a record, whichever version wrote it.

    Shape: a line is known by its own id, else by the record's id and its place: the first one by the record's alone,
    as each line was that earlier versions wrote.
    """
    for place, line in enumerate(_newest(envelope)["lines"]):
        yield Line(line["id"] or envelope.id_at(place), line["after_us"], line)


def _newest(envelope: Envelope) -> Mapping[str, Any]:
    return upcast.to_newest(envelope.type, envelope.schema_version, envelope.data)[1]
