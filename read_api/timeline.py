"""What a device reported, and what happened to it: metrics, logs, history."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from projections.readers import Aggregate
from projections.rows import LogRow
from read_api.audit import EVENT_EXAMPLE, event_answer
from read_api.edge.parameters import Cursor, End, Filter, Limit, Start, Step, in_order, step_seconds, window
from read_api.edge.problems import Problem
from read_api.edge.responses import Answer, documented, table
from read_api.reading import Read, Reading
from schemas.envelope import StreamId
from schemas.values import Id, Name

router = APIRouter(prefix="/v1", tags=["devices", "logs"])

_MOST_POINTS = 20_000
_LONGEST_RAW_S = 31 * 86_400

LOG_EXAMPLE = {
    "id": "0f8f…",
    "happened_at": "2026-01-31T08:30:00Z",
    "device_id": "web-1",
    "severity": "error",
    "event_type": "auth.failed",
    "hostname": "web-1",
    "summary": "Failed password for root",
    "details": "",
}


@router.get(
    "/devices/{id}/metrics",
    summary="A metric's readings or points over time; without `metric`, the names there are",
    responses=documented({"at": "2026-01-31T08:30:00Z", "value": 0.25, "readings": 5}),
)
def metrics(
    *,
    read: Annotated[Read, Depends(Reading("devices", "device_metrics"))],
    id: Id,  # noqa: A002
    metric: Name | None = None,
    start: Start = None,
    end: End = None,
    step: Step = "0",
    aggregate: Aggregate = "avg",
) -> Response:
    timeline = read.answers.timeline
    if metric is None:
        names = timeline.metric_names(read.tenant_id, id)
        return table([{"metric": name} for name in names], read.as_of)
    first, last = window(start, end, read.as_of.at)
    step_s = step_seconds(step)
    _bounded((last - first).total_seconds(), step_s)
    points = timeline.metrics(read.tenant_id, id, metric, start=first, end=last, step_s=step_s, aggregate=aggregate)
    return table([point._asdict() for point in points], read.as_of)


def _bounded(span_s: float, step_s: int) -> None:
    if step_s and span_s / step_s > _MOST_POINTS:
        raise Problem(400, f"more than {_MOST_POINTS} points; ask for a greater step or a shorter time")
    if not step_s and span_s > _LONGEST_RAW_S:
        raise Problem(400, "each reading of more than 31 days; give a step or ask for a shorter time")


@router.get("/devices/{id}/logs", summary="A device's log lines, newest first", responses=documented(LOG_EXAMPLE))
def device_logs(
    *,
    read: Annotated[Read, Depends(Reading("devices", "device_logs"))],
    id: Id,  # noqa: A002
    severity: Filter = None,
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
        contains=contains,
        start=start,
        end=end,
        limit=limit,
        cursor=cursor,
    )


@router.get("/logs", summary="Log lines of all devices, newest first", responses=documented(LOG_EXAMPLE))
def logs(
    *,
    read: Annotated[Read, Depends(Reading("logs", "device_logs"))],
    device_id: Filter = None,
    severity: Filter = None,
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
    contains: str | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    cursor: str | None,
) -> Response:
    in_order(start, end)
    cursors = read.cursors(device_id=device_id, severity=severity, contains=contains, start=start, end=end)
    after = cursors.read(cursor) if cursor else None
    found = read.answers.timeline.logs(
        read.tenant_id,
        device_id=device_id,
        severity=severity,
        contains=contains,
        start=start,
        end=end,
        before=(datetime.fromisoformat(after[0]), after[1]) if after else None,
        limit=limit + 1,
    )
    page = found[:limit]
    next_ = cursors.write((page[-1].happened_at.isoformat(), page[-1].fact_id)) if len(found) > limit else None
    return table([_log_answer(row) for row in page], read.as_of, next_=next_)


def _log_answer(row: LogRow) -> Answer:
    return {
        "id": row.fact_id,
        "happened_at": row.happened_at,
        "device_id": row.device_id,
        "severity": row.severity,
        "event_type": row.event_type,
        "hostname": row.hostname,
        "summary": row.summary,
        "details": row.details,
    }


@router.get(
    "/devices/{id}/history", summary="What happened to a device, oldest first", responses=documented(EVENT_EXAMPLE)
)
def history(
    *,
    read: Annotated[Read, Depends(Reading("devices", "stream_history"))],
    id: Id,  # noqa: A002
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    cursors = read.cursors()
    after = cursors.read(cursor)[0] if cursor else 0
    found = read.answers.timeline.history(read.tenant_id, StreamId(f"device-{id}"), after=after, limit=limit + 1)
    if not found:
        raise Problem(404, f"no device has the id {id}")
    page = found[:limit]
    next_ = cursors.write((page[-1].version,)) if len(found) > limit else None
    return table([event_answer(row) for row in page], read.as_of, next_=next_)
