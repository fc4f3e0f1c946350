"""How does a metric go, in steps of five minutes? Every reading is kept, so that a repeat adds nothing."""

from domain.fleet.facts import DeviceMetricsReported
from projections.fleet.metric_rows import project
from projections.layout import Facts
from projections.projection import Projection
from projections.rows import MetricRow
from schemas.envelope import Topic

PROJECTION = Projection(
    name="metrics_5m",
    layout=Facts(row=MetricRow, key=("tenant_id", "device_id", "metric", "happened_at"), day="happened_at"),
    topics=(Topic.TELEMETRY,),
    events=(DeviceMetricsReported,),
    project=project,
)
