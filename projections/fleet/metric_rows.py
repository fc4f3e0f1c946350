"""The metric tables share this projection from a fact to the rows of its readings."""

from datetime import datetime
from typing import NamedTuple

from projections.fields import id_of
from schemas.envelope import Envelope, TenantId


class MetricRow(NamedTuple):
    """One reading. Source: device.metrics.reported."""

    tenant_id: TenantId
    device_id: str
    metric: str
    happened_at: datetime
    value: float
    unit: str
    position: int


def project(envelope: Envelope, _event: None) -> list[MetricRow]:
    device_id, unit = id_of(envelope.stream), envelope.data["unit"]
    tenant_id, happened_at, position = envelope.tenant_id, envelope.happened_at, envelope.position
    return [
        MetricRow(tenant_id, device_id, metric, happened_at, value, unit, position)
        for metric, value in envelope.data["metrics"].items()
    ]
