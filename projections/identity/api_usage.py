"""How much was asked of the API, with which key and of which route?"""

from datetime import datetime, timedelta
from typing import NamedTuple

from domain.operations.served import ServedRecord
from projections.fields import fact_order
from projections.layout import Facts
from projections.projection import Projection
from projections.question import Choice, Question
from schemas import upcast
from schemas.envelope import Envelope, TenantId, Topic, id_of
from schemas.values import Instant


class UsageRow(NamedTuple):
    """What one process counted until it recorded it. Source: api.request.served."""

    tenant_id: TenantId
    gateway: str
    happened_at: datetime
    key_id: str
    route: str
    status: int
    requests: int
    ms: int
    position: int


def project(envelope: Envelope, _event: None) -> list[UsageRow]:
    gateway, order, first = id_of(envelope.stream), fact_order(envelope), envelope.happened_at
    _, data = upcast.to_newest(envelope.type, envelope.schema_version, envelope.data)
    return [
        UsageRow(
            envelope.tenant_id,
            gateway,
            first + timedelta(microseconds=one["after_us"]),
            one["key_id"],
            one["route"],
            one["status"],
            one["requests"],
            one["ms"],
            order,
        )
        for one in data["served"]
    ]


class Usage(NamedTuple):
    group: str
    requests: int
    refused: int
    failed: int
    ms: int


USAGE = Question(
    name="usage",
    summary="Requests by key, route or day",
    view="api_usage",
    sql="""
        SELECT
            {by} AS label,
            sum(requests) AS asked,
            sumIf(requests, status >= 400 AND status < 500),
            sumIf(requests, status >= 500),
            sum(ms)
        FROM api_usage
        WHERE happened_at >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')
            AND happened_at < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
        GROUP BY label
        ORDER BY if({by:String} = 'day', 0, asked) DESC, label
    """,
    parameters={
        "by": Choice(
            "key", {"key": "key_id", "route": "route", "day": "formatDateTime(happened_at, '%Y-%m-%d', 'UTC')"}
        ),
        "start": Instant,
        "end": Instant,
    },
    row=Usage,
    example={"key": "9322cb3525de-first", "requests": 120, "refused": 3, "failed": 0, "ms": 480},
)
"""Requests of a tenant: by day (UTC) in order, by key or route greatest first.

Shape: `refused` counts answers of 400 to 499, `failed` those of 500 and more.
Units: `ms` is the time until answers began, of all together. `start` ≤ happened_at < `end`.
Source: api.request.served.
"""

PROJECTION = Projection(
    name="api_usage",
    layout=Facts(
        row=UsageRow,
        key=("tenant_id", "gateway", "happened_at", "key_id", "route", "status"),
        day="happened_at",
        scope="usage",
    ),
    topics=(Topic.TELEMETRY,),
    events=(ServedRecord,),
    project=project,
)
