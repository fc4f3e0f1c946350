"""What did the devices of a tenant log?"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from domain.fleet.fact_records import LogRecord
from domain.fleet.facts import lines_of
from domain.fleet.values import Severity
from projections.columns import Columns, Texts, lengths, whole
from projections.fields import FIRST_ORDER, fact_order
from projections.instants import to_microseconds
from projections.layout import Days, Series, Shards
from projections.projection import Projection
from schemas.envelope import Envelope, StreamId, TenantId, Topic, id_at, id_of
from schemas.raw_facts import RawFacts


class LogRow(NamedTuple):
    """One log line.

    Shape: `position` is its order among those of one id and instant; `event_type` is the program of a line that was
    read from a log.
    Source: log.recorded.
    """

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


def project(envelope: Envelope, _event: None) -> list[LogRow]:
    sender, order = id_of(envelope.stream), fact_order(envelope)
    return [
        LogRow(
            tenant_id=envelope.tenant_id,
            happened_at=envelope.happened_at + timedelta(microseconds=line.after_us),
            fact_id=line.id,
            device_id=line.said["device_id"] or sender,
            severity=line.said["severity"],
            event_type=line.said["event_type"] or "",
            hostname=line.said["hostname"] or "",
            summary=line.said["summary"],
            details=line.said["details"],
            position=order,
        )
        for line in lines_of(envelope)
    ]


def project_columns(envelopes: Sequence[Envelope]) -> Columns:
    tenants: list[str] = []
    instants: list[int] = []
    ids: list[str] = []
    devices: list[str] = []
    orders: list[int] = []
    said: list[Mapping[str, Any]] = []
    for envelope in envelopes:
        first, sender, before = to_microseconds(envelope.happened_at), id_of(envelope.stream), len(said)
        for id_, after_us, line in lines_of(envelope):
            ids.append(id_)
            instants.append(first + after_us)
            devices.append(line["device_id"] or sender)
            said.append(line)
        count = len(said) - before
        tenants += [envelope.tenant_id] * count
        orders += [fact_order(envelope)] * count
    return Columns(
        LogRow,
        (
            tenants,
            instants,
            ids,
            devices,
            [line["severity"] for line in said],
            [line["event_type"] or "" for line in said],
            [line["hostname"] or "" for line in said],
            [line["summary"] for line in said],
            [line["details"] for line in said],
            orders,
        ),
    )


def project_raw(records: RawFacts) -> Columns:
    """Return what `project_columns` does, of records that were not decoded."""
    found = records.columns(LogRecord.TYPE, LogRecord.VERSION)
    lists = found.payload.column("lines")
    lines, counts = lists.values, lengths(lists)
    of_record = np.repeat(np.arange(len(counts)), counts)
    places = np.arange(len(of_record)) - np.repeat(np.cumsum(counts) - counts, counts)
    senders = [id_of(StreamId(stream)) for stream in found.streams.to_pylist()]
    said = zip(of_record.tolist(), places.tolist(), lines.field("id").to_pylist(), strict=True)
    of_devices = zip(of_record.tolist(), lines.field("device_id").to_pylist(), strict=True)
    ids = found.ids
    return Columns(
        LogRow,
        (
            Texts.of(found.tenants).take(of_record),
            whole(found.happened_us[of_record] + lines.field("after_us").to_numpy()),
            [own or id_at(ids[record], place) for record, place, own in said],
            [device or senders[record] for record, device in of_devices],
            *(
                Texts.of(lines.field(name).fill_null(""))
                for name in ("severity", "event_type", "hostname", "summary", "details")
            ),
            whole(FIRST_ORDER + found.positions[of_record]),
        ),
    )


PROJECTION = Projection(
    name="device_logs",
    layout=Series(
        row=LogRow,
        key=("tenant_id", "happened_at", "fact_id"),
        day="happened_at",
        scope="logs",
        example={
            "id": "0f8f…",
            "happened_at": "2026-01-31T08:30:00Z",
            "device_id": "web-1",
            "severity": "error",
            "event_type": "sshd",
            "program": "sshd",
            "user": "root",
            "ip": "192.0.2.9",
            "hostname": "web-1",
            "summary": "Failed password for root",
            "details": "pid=4711 user=root ip=192.0.2.9",
        },
        order=("happened_at", "fact_id"),
        newest_first=True,
        bucket=Days("happened_at"),
        # of the key and not of the device: a fact sent again with another device replaces its row
        shards=Shards("fact_id", 8),
        filters=("device_id", "severity", "event_type"),
        values={"severity": Severity},
        search="summary",
        indexes=(("device_id", "happened_at", "fact_id"), ("severity", "happened_at", "fact_id")),
    ),
    topics=(Topic.TELEMETRY,),
    events=(LogRecord,),
    project=project,
    project_columns=project_columns,
    project_raw=project_raw,
)
