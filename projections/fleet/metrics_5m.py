"""How does a metric go, in steps of five minutes?

The table holds each reading as it was reported, not points, so that a repeat adds nothing; the name was released.
"""

from datetime import datetime, timedelta
from typing import Annotated, NamedTuple

from pydantic import Field

from domain.fleet.fact_records import MetricsRecord
from projections.fleet.metric_rows import MetricRow, project, project_columns, project_raw
from projections.layout import Facts
from projections.projection import Projection
from projections.question import Choice, Longest, Question, Span
from projections.readers import MetricPoint
from schemas.envelope import Topic
from schemas.values import Id, Instant, Name

_AGGREGATES = {
    "avg": "avg(value)",
    "min": "min(value)",
    "max": "max(value)",
    "sum": "sum(value)",
    "count": "toFloat64(count())",
    "last": "argMax(value, happened_at)",
}

SPAN = Question(
    name="timeseries_span",
    summary="From when to when a device has readings of a metric",
    view="metrics_5m",
    sql="""
        SELECT min(happened_at), max(happened_at), count()
        FROM metrics_5m
        WHERE device_id = {device_id:String} AND metric = {metric:String}
    """,
    parameters={"device_id": Id, "metric": Name},
    row=Span,
    example={},
)

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
        "aggregate": Choice("avg", _AGGREGATES),
    },
    row=MetricPoint,
    example={"at": "2026-01-31T08:30:00Z", "value": 0.25, "readings": 5},
    longest=Longest(timedelta(days=70), "five-minute points"),
    span=SPAN,
)
"""The readings of a device's metric as points, one for each five minutes that have a reading, oldest first.

Shape: an unknown device or metric gives (). A point is at the beginning of its five minutes, which are multiples of
five minutes since 1970; `readings` counts what it was made of. `start` ≤ happened_at < `end`.
Source: device.metrics.reported.
"""

TOP_SPAN = Question(
    name="top_span",
    summary="From when to when devices have readings of a metric",
    view="metrics_5m",
    sql="SELECT min(happened_at), max(happened_at), count() FROM metrics_5m WHERE metric = {metric:String}",
    parameters={"metric": Name},
    row=Span,
    example={},
)


class TopRow(NamedTuple):
    device_id: str
    value: float
    unit: str
    readings: int
    last: float
    last_at: datetime


TOP = Question(
    name="top",
    path="/v1/metrics/top",
    summary="Devices by a metric, the greatest first, perhaps only those above a value",
    view="metrics_5m",
    sql="""
        SELECT
            device_id,
            {aggregate} AS reached,
            argMax(unit, happened_at),
            count(),
            argMax(value, happened_at),
            max(happened_at)
        FROM metrics_5m
        WHERE metric = {metric:String}
            AND happened_at >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')
            AND happened_at < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
        GROUP BY device_id
        HAVING reached > {above:Float64}
        ORDER BY reached DESC, device_id
        LIMIT {limit:UInt32}
    """,
    parameters={
        "metric": Name,
        "aggregate": Choice("max", _AGGREGATES),
        "above": Annotated[float, Field(allow_inf_nan=False)] | None,
        "start": Instant,
        "end": Instant,
        "limit": int,
    },
    row=TopRow,
    example={
        "device_id": "web-1",
        "value": 97.5,
        "unit": "percent",
        "readings": 288,
        "last": 12.25,
        "last_at": "2026-01-31T08:30:00Z",
    },
    longest=Longest(timedelta(days=366), "readings"),
    span=TOP_SPAN,
)
"""What each device reached of a metric, greatest first, then by device; those at `above` or below are left out.

Shape: `value` is what `aggregate` makes of its readings, `last` the newest of them. `start` ≤ happened_at < `end`.
Source: device.metrics.reported.
"""


class LastReading(NamedTuple):
    metric: str
    value: float
    unit: str
    at: datetime


LAST = Question(
    name="last_readings",
    summary="The last reading of each metric of a device before an instant",
    view="metrics_5m",
    sql="""
        SELECT metric, argMax(value, happened_at), argMax(unit, happened_at), max(happened_at)
        FROM metrics_5m
        WHERE device_id = {device_id:String} AND happened_at <= fromUnixTimestamp64Micro({as_of:Int64}, 'UTC')
        GROUP BY metric
        ORDER BY metric
    """,
    parameters={"device_id": Id, "as_of": Instant},
    row=LastReading,
    example={"metric": "cpu", "value": 0.25, "unit": "percent", "at": "2026-01-31T08:30:00Z"},
)
"""The last reading of each metric of a device at an instant, by name. Source: device.metrics.reported."""

PROJECTION = Projection(
    name="metrics_5m",
    layout=Facts(
        row=MetricRow,
        key=("tenant_id", "device_id", "metric", "happened_at"),
        day="happened_at",
        scope="analytics",
        questions=(POINTS, TOP),
    ),
    topics=(Topic.TELEMETRY,),
    events=(MetricsRecord,),
    project=project,
    project_columns=project_columns,
    project_raw=project_raw,
)
