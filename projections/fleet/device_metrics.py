"""What did a device measure?"""

from domain.fleet.facts import DeviceMetricsReported
from projections.fleet.metric_rows import project
from projections.projection import Projection
from projections.rows import MetricRow, Role
from schemas.envelope import Topic

PROJECTION = Projection(
    name="device_metrics",
    role=Role.TIMELINE,
    row=MetricRow,
    topics=(Topic.TELEMETRY,),
    events=(DeviceMetricsReported,),
    project=project,
)
