"""The metric tables share this projection from a fact to the rows of its readings."""

from datetime import datetime, timedelta
from typing import NamedTuple

from domain.fleet.facts import series_of
from projections.fields import fact_order, id_of
from schemas.envelope import Envelope, TenantId


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
