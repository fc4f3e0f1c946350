"""How does a metric go, in steps of five minutes? Every reading is kept, so that a repeat adds nothing."""

from domain.fleet.facts import DeviceMetricsReported
from projections.fleet.metric_rows import project
from projections.projection import Projection
from projections.rows import MetricRow, Role
from schemas.envelope import Topic

PROJECTION = Projection(
    name="metrics_5m",
    role=Role.ANALYTICS,
    row=MetricRow,
    topics=(Topic.TELEMETRY,),
    events=(DeviceMetricsReported,),
    project=project,
)
