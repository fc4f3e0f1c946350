"""The metric tables share this projection from a fact to the rows of its readings."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from domain.fleet.facts import series_of
from projections.columns import Columns
from projections.fields import fact_order
from projections.instants import to_microseconds
from schemas.envelope import Envelope, TenantId, id_of


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
