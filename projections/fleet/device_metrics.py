"""What did a device measure?"""

from domain.fleet.facts import DeviceMetricsReported
from projections.fleet.metric_rows import project
from projections.layout import Series
from projections.projection import Projection
from projections.rows import MetricRow
from schemas.envelope import Topic

PROJECTION = Projection(
    name="device_metrics",
    layout=Series(row=MetricRow, key=("tenant_id", "device_id", "metric", "happened_at"), day="happened_at"),
    topics=(Topic.TELEMETRY,),
    events=(DeviceMetricsReported,),
    project=project,
)
