"""How does a metric go, in steps of five minutes?

The table holds each reading as it was reported, not points, so that a repeat adds nothing; the name was released.
"""

from domain.fleet.facts import DeviceMetricsReported
from projections.fleet.metric_rows import MetricRow, project
from projections.layout import Facts
from projections.projection import Projection
from schemas.envelope import Topic

PROJECTION = Projection(
    name="metrics_5m",
    layout=Facts(
        row=MetricRow,
        key=("tenant_id", "device_id", "metric", "happened_at"),
        day="happened_at",
        first_wins=True,
    ),
    topics=(Topic.TELEMETRY,),
    events=(DeviceMetricsReported,),
    project=project,
)
