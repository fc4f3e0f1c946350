"""The log keeps what devices report in these records: what one request says of one stream, as arrays."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from domain.fleet.values import Reading, Severity
from domain.message import FactRecord, Packed, Said, Unpacked, value
from schemas.values import Day, Id, Name, Text

MAX_READINGS = 20_000
"""Of one record: it is far smaller then than the million bytes that a message on Kafka may have."""

MAX_CHARACTERS = 100_000
"""Of the texts of one record, unless one line alone has more. A character is at most four bytes."""


@value
class MetricSeries:
    """Readings of one metric. Units: `after_us` counts microseconds from the record's time."""

    metric: Name
    unit: str
    after_us: tuple[int, ...]
    values: tuple[Reading, ...]


@value
class MetricsRecord(FactRecord):
    TYPE: ClassVar = "device.metrics.reported"
    VERSION: ClassVar = 2
    NAME: ClassVar = "DeviceMetricsReported"
    series: tuple[MetricSeries, ...] = ()


@value
class LogLine:
    """One log line. Shape: `id` is its sender's own, as a UUID. Units: as MetricSeries."""

    after_us: int
    id: str | None
    severity: Severity
    summary: Text
    tool_type: Name | None
    source_event_type: Name | None
    event_type: Name | None
    device_id: Id | None
    user_id: Name | None
    hostname: Name | None
    details: Text
    ingest_day: Day | None


@value
class LogRecord(FactRecord):
    TYPE: ClassVar = "log.recorded"
    VERSION: ClassVar = 2
    NAME: ClassVar = "LogRecorded"
    lines: tuple[LogLine, ...] = ()


@value
class Heartbeat:
    """Units: as MetricSeries."""

    after_us: int
    agent_version: Name | None


@value
class HeartbeatRecord(FactRecord):
    TYPE: ClassVar = "device.heartbeat"
    VERSION: ClassVar = 2
    NAME: ClassVar = "DeviceHeartbeat"
    heartbeats: tuple[Heartbeat, ...] = ()


_Series = dict[str, tuple[str, dict[int, float]]]


def pack_metrics(said: Sequence[Said]) -> Iterator[Packed]:
    """Yield series of readings.

    Shape: of two readings of one metric and instant the later one is kept. A record has one unit for a metric, so where
    it changes another record begins.
    """
    series: _Series = {}
    facts = items = 0
    for at_us, fact, _ in said:
        unit, before = fact.unit, items
        for metric, reading in fact.metrics.items():
            found = series.get(metric)
            if items >= MAX_READINGS or (found is not None and found[0] != unit):
                yield _metrics(series, facts, items)
                series, found, facts, items, before = {}, None, 0, 0, 0
            if found is None:
                found = series[metric] = (unit, {})
            readings = found[1]
            items += at_us not in readings
            readings[at_us] = reading
        facts += items > before
    if series:
        yield _metrics(series, facts, items)


def _metrics(series: _Series, facts: int, items: int) -> Packed:
    first = min(min(readings) for _, readings in series.values())
    data = [
        {
            "metric": metric,
            "unit": unit,
            "after_us": [at - first for at in readings],
            "values": list(readings.values()),
        }
        for metric, (unit, readings) in series.items()
    ]
    return Packed(first, facts, items, {"series": data})


def pack_lines(said: Sequence[Said]) -> Iterator[Packed]:
    """Yield log lines: two equal ones are two lines; of two with one id and instant the later one is kept."""
    some: dict[object, Said] = {}
    characters = 0
    for n, one in enumerate(said):
        at_us, line, id_ = one
        size = len(line.summary) + len(line.details)
        if some and characters + size > MAX_CHARACTERS:
            yield _lines(list(some.values()))
            some, characters = {}, 0
        some[n if id_ is None else (at_us, id_)] = one
        characters += size
    if some:
        yield _lines(list(some.values()))


def _lines(said: Sequence[Said]) -> Packed:
    first = min(at for at, _, _ in said)
    lines = [
        {
            "after_us": at - first,
            "id": id_,
            "severity": line.severity,
            "summary": line.summary,
            "tool_type": line.tool_type,
            "source_event_type": line.source_event_type,
            "event_type": line.event_type,
            "device_id": line.device_id,
            "user_id": line.user_id,
            "hostname": line.hostname,
            "details": line.details,
            "ingest_day": line.ingest_day,
        }
        for at, line, id_ in said
    ]
    return Packed(first, len(lines), len(lines), {"lines": lines})


def pack_heartbeats(said: Sequence[Said]) -> Iterator[Packed]:
    if said:
        first = min(at for at, _, _ in said)
        beats: list[dict[str, Any]] = [
            {"after_us": at - first, "agent_version": beat.agent_version} for at, beat, _ in said
        ]
        yield Packed(first, len(beats), len(beats), {"heartbeats": beats})


def unpack_metrics(data: Mapping[str, Any]) -> Iterator[Unpacked]:
    """Yield readings of one instant and one unit as one fact."""
    together: dict[tuple[int, str], dict[str, float]] = {}
    for series in data["series"]:
        unit = series["unit"]
        for after_us, reading in zip(series["after_us"], series["values"], strict=True):
            together.setdefault((after_us, unit), {})[series["metric"]] = reading
    for (after_us, unit), metrics in together.items():
        yield Unpacked(after_us, {"metrics": metrics, "unit": unit})


def unpack_lines(data: Mapping[str, Any]) -> Iterator[Unpacked]:
    for line in data["lines"]:
        said = {name: line[name] for name in line if name not in ("after_us", "id")}
        yield Unpacked(line["after_us"], said, line["id"])


def unpack_heartbeats(data: Mapping[str, Any]) -> Iterator[Unpacked]:
    for beat in data["heartbeats"]:
        yield Unpacked(beat["after_us"], {"agent_version": beat["agent_version"]})
