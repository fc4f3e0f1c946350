"""These routes say what a device reported and what happened to it: metrics, logs and history."""

import re
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from projections.fleet.device_logs import PROJECTION as LOGS
from projections.fleet.device_logs import LogRow
from projections.fleet.device_metrics import PROJECTION as METRICS
from projections.history.stream_history import PROJECTION as HISTORY
from projections.readers import Aggregate
from read_api.audit import event_answer
from read_api.edge.parameters import Cursor, End, Filter, Limit, Start, Step, in_order, step_seconds, window
from read_api.edge.problems import Problem
from read_api.edge.queries import filter_value
from read_api.edge.responses import Answer, documented, table
from read_api.reading import Read, Reading
from read_api.series import page
from schemas.values import Id, Name

router = APIRouter(prefix="/v1", tags=["devices", "logs"])

Program = Annotated[Name | None, Query(description="The program that wrote the lines, like sshd")]

# as an import writes them: user and address behind the process id, a user of several words in quotes
_PEOPLE = re.compile(
    r'(?:pid=\S+(?: |$))?(?:user=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<user>[^\s"]\S*))(?: |$))?(?:ip=(?P<ip>\S+))?'
)
_MOST_POINTS = 20_000
_LONGEST_RAW_S = 31 * 86_400


@router.get(
    "/devices/{id}/metrics",
    summary="A metric's readings or points over time; without `metric`, the names there are",
    responses=documented(METRICS.layout.example),
)
def metrics(
    *,
    read: Annotated[Read, Depends(Reading(METRICS.layout.scope, METRICS.name))],
    id: Id,  # noqa: A002
    metric: Name | None = None,
    start: Start = None,
    end: End = None,
    step: Step = "0",
    aggregate: Aggregate = "avg",
) -> Response:
    timeline = read.answers.timeline
    in_order(start, end)
    if metric is None:
        names = timeline.series(METRICS.name, read.tenant_id, of={"device_id": id})
        return table([{"metric": name} for name in names], read.as_of)
    first, last = window(start, end, read.as_of.at)
    step_s = step_seconds(step)
    _bounded((last - first).total_seconds(), step_s)
    of = {"device_id": id, "metric": metric}
    points = timeline.points(
        METRICS.name, read.tenant_id, of=of, start=first, end=last, step_s=step_s, aggregate=aggregate
    )
    return table([point._asdict() for point in points], read.as_of)


def _bounded(span_s: float, step_s: int) -> None:
    if step_s and span_s / step_s > _MOST_POINTS:
        raise Problem(400, f"more than {_MOST_POINTS} points; ask for a greater step or a shorter time")
    if not step_s and span_s > _LONGEST_RAW_S:
        raise Problem(400, "each reading of more than 31 days; give a step or ask for a shorter time")


@router.get(
    "/devices/{id}/logs", summary="A device's log lines, newest first", responses=documented(LOGS.layout.example)
)
def device_logs(
    *,
    read: Annotated[Read, Depends(Reading("devices", LOGS.name))],
    id: Id,  # noqa: A002
    severity: Filter = None,
    program: Program = None,
    contains: Annotated[str | None, Query(max_length=200)] = None,
    start: Start = None,
    end: End = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    return _log_page(
        read,
        device_id=id,
        severity=severity,
        program=program,
        contains=contains,
        start=start,
        end=end,
        limit=limit,
        cursor=cursor,
    )


@router.get("/logs", summary="Log lines of all devices, newest first", responses=documented(LOGS.layout.example))
def logs(
    *,
    read: Annotated[Read, Depends(Reading(LOGS.layout.scope, LOGS.name))],
    device_id: Filter = None,
    severity: Filter = None,
    program: Program = None,
    contains: Annotated[str | None, Query(max_length=200)] = None,
    start: Start = None,
    end: End = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    return _log_page(
        read,
        device_id=device_id,
        severity=severity,
        program=program,
        contains=contains,
        start=start,
        end=end,
        limit=limit,
        cursor=cursor,
    )


def _log_page(
    read: Read,
    *,
    device_id: str | None,
    severity: str | None,
    program: str | None,
    contains: str | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    cursor: str | None,
) -> Response:
    in_order(start, end)
    severity = filter_value(LOGS.layout, "severity", severity) if severity is not None else None
    # as before there were programs, where none is asked for: pages that were begun then go on
    question = {"program": program} if program is not None else {}
    cursors = read.cursors(device_id=device_id, severity=severity, contains=contains, start=start, end=end, **question)
    asked = {"device_id": device_id, "severity": severity, "event_type": program}
    of = {column: text for column, text in asked.items() if text is not None}
    rows, next_ = page(read, LOGS, cursors, of=of, start=start, end=end, contains=contains, limit=limit, cursor=cursor)
    return table([_log_answer(row) for row in rows], read.as_of, next_=next_)


def _log_answer(row: LogRow) -> Answer:
    people = _PEOPLE.match(row.details)
    return {
        "id": row.fact_id,
        "happened_at": row.happened_at,
        "device_id": row.device_id,
        "severity": row.severity,
        "event_type": row.event_type,
        "program": row.event_type,
        "user": (people["user"] or people["quoted"] or "") if people else "",
        "ip": (people["ip"] or "") if people else "",
        "hostname": row.hostname,
        "summary": row.summary,
        "details": row.details,
    }


@router.get(
    "/devices/{id}/history",
    summary="What happened to a device, oldest first",
    responses=documented(HISTORY.layout.example),
)
def history(
    *,
    read: Annotated[Read, Depends(Reading("devices", HISTORY.name, history=True))],
    id: Id,  # noqa: A002
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    rows, next_ = page(read, HISTORY, read.cursors(), of={"stream": f"device-{id}"}, limit=limit, cursor=cursor)
    if not rows:
        raise Problem(404, f"no device has the id {id}")
    return table([event_answer(row, read.opening) for row in rows], read.as_of, next_=next_)
