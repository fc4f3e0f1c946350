"""How many log lines are there, of whom, of which program and from which address?"""

from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import StringConstraints

from domain.fleet.fact_records import LogRecord
from projections.fleet.device_logs import project as lines_of
from projections.fleet.log_people import people_of
from projections.layout import Facts
from projections.projection import Projection
from projections.question import Choice, Question
from schemas.envelope import Envelope, TenantId, Topic
from schemas.values import Id, Instant, Name

Part = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class LogCountRow(NamedTuple):
    """One log line. Shape: `program`, `user`, `ip` and `hostname` are "" where the line does not say them."""

    tenant_id: TenantId
    happened_at: datetime
    fact_id: str
    device_id: str
    severity: str
    program: str
    user: str
    ip: str
    hostname: str
    summary: str
    position: int


def project(envelope: Envelope, event: None) -> list[LogCountRow]:
    return [
        LogCountRow(
            tenant_id=line.tenant_id,
            happened_at=line.happened_at,
            fact_id=line.fact_id,
            device_id=line.device_id,
            severity=line.severity,
            program=line.event_type,
            **people_of(line.details)._asdict(),
            hostname=line.hostname,
            summary=line.summary,
            position=line.position,
        )
        for line in lines_of(envelope, event)
    ]


class LogCount(NamedTuple):
    group: str
    lines: int
    first_at: datetime
    last_at: datetime


COUNTS = Question(
    name="logs",
    summary="Numbers of log lines: of whom, of which program, from which address, and when",
    view="log_counts",
    sql="""
        SELECT {by} AS label, count() AS lines, min(happened_at), max(happened_at)
        FROM (
            SELECT *, toTimeZone(happened_at, {timezone:String}) AS local
            FROM log_counts
        )
        WHERE happened_at >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')
            AND happened_at < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
            AND positionCaseInsensitiveUTF8(summary, {contains:String}) > 0
            AND ({device_id:String} = '' OR device_id = {device_id:String})
            AND ({severity:String} = '' OR severity = {severity:String})
            AND ({program:String} = '' OR program = {program:String})
            AND ({user:String} = '' OR user = {user:String})
            AND ({ip:String} = '' OR ip = {ip:String})
        GROUP BY label
        ORDER BY if({by:String} IN ('day', 'hour'), 0, lines) DESC, label
        LIMIT {limit:UInt32}
    """,
    parameters={
        "by": Choice(
            "program",
            {
                "program": "program",
                "device": "device_id",
                "severity": "severity",
                "user": "user",
                "ip": "ip",
                "hostname": "hostname",
                "day": "formatDateTime(local, '%Y-%m-%d')",
                "hour": "formatDateTime(local, '%Y-%m-%d %H:00')",
            },
        ),
        "contains": Part | None,
        "device_id": Id | None,
        "severity": Name | None,
        "program": Name | None,
        "user": Part | None,
        "ip": Part | None,
        "timezone": str,
        "start": Instant,
        "end": Instant,
        "limit": int,
    },
    row=LogCount,
    example={
        "ip": "192.0.2.9",
        "lines": 286,
        "first_at": "2026-01-31T08:30:00Z",
        "last_at": "2026-01-31T08:41:12Z",
    },
)
"""The number of lines for each of what is asked by, greatest first; days and hours of `timezone` in order.

Shape: "" is what lines have that do not say it. `contains` is a part of the summary, without regard to case.
`start` ≤ happened_at < `end`.
Source: log.recorded.
"""

PROJECTION = Projection(
    name="log_counts",
    layout=Facts(
        row=LogCountRow,
        key=("tenant_id", "happened_at", "fact_id"),
        day="happened_at",
        scope="logs",
        questions=(COUNTS,),
    ),
    topics=(Topic.TELEMETRY,),
    events=(LogRecord,),
    project=project,
)
