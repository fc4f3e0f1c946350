"""The metric tables share this projection from a fact to the rows of its readings."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from domain.fleet.fact_records import MetricsRecord
from domain.fleet.facts import series_of
from projections.columns import Columns, Texts, lengths, reals, whole
from projections.fields import FIRST_ORDER, fact_order
from projections.instants import to_microseconds
from schemas.envelope import Envelope, StreamId, TenantId, id_of
from schemas.raw_facts import RawFacts


class MetricRow(NamedTuple):
    """One reading. Shape: `position` is its order among those of one instant. Source: device.metrics.reported."""

    tenant_id: TenantId
    device_id: str
    metric: str
    happened_at: datetime
    value: float
    unit: str
    position: int


def project(envelope: Envelope, _event: None) -> list[MetricRow]:
    device_id, order = id_of(envelope.stream), fact_order(envelope)
    tenant_id, first = envelope.tenant_id, envelope.happened_at
    return [
        MetricRow(
            tenant_id, device_id, series["metric"], first + timedelta(microseconds=after), value, series["unit"], order
        )
        for series in series_of(envelope)
        for after, value in zip(series["after_us"], series["values"], strict=True)
    ]


def project_columns(envelopes: Sequence[Envelope]) -> Columns:
    tenants: list[str] = []
    devices: list[str] = []
    metrics: list[str] = []
    instants: list[int] = []
    values: list[float] = []
    units: list[str] = []
    orders: list[int] = []
    for envelope in envelopes:
        first, before = to_microseconds(envelope.happened_at), len(values)
        for series in series_of(envelope):
            readings = series["values"]
            instants += [first + after_us for after_us in series["after_us"]]
            values += readings
            metrics += [series["metric"]] * len(readings)
            units += [series["unit"]] * len(readings)
            if len(instants) != len(values):
                raise ValueError("a series has not as many instants as values")
        count = len(values) - before
        tenants += [envelope.tenant_id] * count
        devices += [id_of(envelope.stream)] * count
        orders += [fact_order(envelope)] * count
    return Columns(MetricRow, (tenants, devices, metrics, instants, values, units, orders))


def project_raw(records: RawFacts) -> Columns:
    """Return what `project_columns` does, of records that were not decoded."""
    found = records.columns(MetricsRecord.TYPE, MetricsRecord.VERSION)
    lists = found.payload.column("series")
    series = lists.values
    after_us, values = series.field("after_us"), series.field("values")
    counts = lengths(values)
    if not np.array_equal(counts, lengths(after_us)):
        raise ValueError("a series has not as many instants as values")
    of_series = np.repeat(np.arange(len(series)), counts)
    of_record = np.repeat(np.arange(len(found.positions)), lengths(lists))[of_series]
    return Columns(
        MetricRow,
        (
            Texts.of(found.tenants).take(of_record),
            Texts.of(found.streams).each(lambda stream: id_of(StreamId(stream))).take(of_record),
            Texts.of(series.field("metric")).take(of_series),
            whole(found.happened_us[of_record] + after_us.values.to_numpy()),
            reals(values.values.to_numpy()),
            Texts.of(series.field("unit")).take(of_series),
            whole(FIRST_ORDER + found.positions[of_record]),
        ),
    )
