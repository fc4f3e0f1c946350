"""The readings of a fact as rows: what the metric tables keep."""

from projections.fields import earlier_wins, id_of
from projections.rows import MetricRow
from schemas.envelope import Envelope


def project(envelope: Envelope, _event: None) -> list[MetricRow]:
    device_id, unit = id_of(envelope.stream), envelope.data["unit"]
    tenant_id, happened_at, position = envelope.tenant_id, envelope.happened_at, earlier_wins(envelope.position)
    return [
        MetricRow(tenant_id, device_id, metric, happened_at, value, unit, position)
        for metric, value in envelope.data["metrics"].items()
    ]
