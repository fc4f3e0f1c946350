"""What did a device measure?"""

from domain.fleet.facts import DeviceMetricsReported
from projections.metric_rows import project
from projections.ports import MetricRow, Role
from projections.projection import Projection
from schemas.envelope import Topic

PROJECTION = Projection(
    name="device_metrics",
    role=Role.TIMELINE,
    row=MetricRow,
    topics=(Topic.TELEMETRY,),
    events=(DeviceMetricsReported,),
    project=project,
)
