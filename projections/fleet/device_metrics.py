"""What did a device measure?"""

from domain.fleet.fact_records import MetricsRecord
from projections.fleet.metric_rows import MetricRow, project, project_columns, project_raw
from projections.layout import Days, Series
from projections.projection import Projection
from schemas.envelope import Topic

PROJECTION = Projection(
    name="device_metrics",
    layout=Series(
        row=MetricRow,
        key=("tenant_id", "device_id", "metric", "happened_at"),
        day="happened_at",
        scope="devices",
        example={"at": "2026-01-31T08:30:00Z", "value": 0.25, "readings": 5},
        series=("device_id", "metric"),
        order=("happened_at",),
        bucket=Days("happened_at"),
        value="value",
    ),
    topics=(Topic.TELEMETRY,),
    events=(MetricsRecord,),
    project=project,
    project_columns=project_columns,
    project_raw=project_raw,
)
