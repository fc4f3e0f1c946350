"""How does a metric go, in steps of five minutes?

The table holds each reading as it was reported, not points, so that a repeat adds nothing; the name was released.
"""

from datetime import timedelta

from domain.fleet.fact_records import MetricsRecord
from projections.fleet.metric_rows import MetricRow, project, project_columns
from projections.layout import Facts
from projections.projection import Projection
from projections.question import Choice, Longest, Question
from projections.readers import MetricPoint
from schemas.envelope import Topic
from schemas.values import Id, Instant, Name

POINTS = Question(
    name="timeseries",
    summary="Five-minute points of a device's metric",
    view="metrics_5m",
    sql="""
        SELECT
            fromUnixTimestamp64Micro(
                toUnixTimestamp64Micro(happened_at) - positiveModulo(toUnixTimestamp64Micro(happened_at), 300000000),
                'UTC'
            ) AS at,
            {aggregate},
            count()
        FROM metrics_5m
        WHERE device_id = {device_id:String}
            AND metric = {metric:String}
            AND happened_at >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')
            AND happened_at < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
        GROUP BY at
        ORDER BY at
    """,
    parameters={
        "device_id": Id,
        "metric": Name,
        "start": Instant,
        "end": Instant,
        "aggregate": Choice(
            "avg",
            {
                "avg": "avg(value)",
                "min": "min(value)",
                "max": "max(value)",
                "sum": "sum(value)",
                "count": "toFloat64(count())",
                "last": "argMax(value, happened_at)",
            },
        ),
    },
    row=MetricPoint,
    example={"at": "2026-01-31T08:30:00Z", "value": 0.25, "readings": 5},
    longest=Longest(timedelta(days=70), "five-minute points"),
)
"""The readings of a device's metric as points, one for each five minutes that have a reading, oldest first.

Shape: an unknown device or metric gives (). A point is at the beginning of its five minutes, which are multiples of
five minutes since 1970; `readings` counts what it was made of. `start` ≤ happened_at < `end`.
Source: device.metrics.reported.
"""

PROJECTION = Projection(
    name="metrics_5m",
    layout=Facts(
        row=MetricRow,
        key=("tenant_id", "device_id", "metric", "happened_at"),
        day="happened_at",
        scope="analytics",
        questions=(POINTS,),
    ),
    topics=(Topic.TELEMETRY,),
    events=(MetricsRecord,),
    project=project,
    project_columns=project_columns,
)
