"""These routes say what a device reported and what happened to it: metrics, logs and history."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import ceil
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Query, Response

from projections.fleet.device_logs import PROJECTION as LOGS
from projections.fleet.device_logs import LogRow
from projections.fleet.device_metrics import PROJECTION as METRICS
from projections.fleet.devices import PROJECTION as DEVICES
from projections.fleet.log_people import people_of
from projections.history.stream_history import PROJECTION as HISTORY
from projections.layout import Of
from projections.readers import Aggregate, MetricPoint
from read_api.audit import EVENT, event_answer
from read_api.documents import require_visible
from read_api.edge.cursors import Cursors
from read_api.edge.parameters import Cursor, End, Filter, Limit, Start, Step, in_order, step_seconds, window
from read_api.edge.problems import Problem
from read_api.edge.queries import filter_value
from read_api.edge.responses import Answer
from read_api.reading import Read, Reading
from read_api.series import cursor_behind, page
from read_api.tables import WINDOW_EXAMPLE, answer, listed, shown, whole
from schemas.values import Id, Name

router = APIRouter(prefix="/v1", tags=["devices", "logs"])

Program = Annotated[Name | None, Query(description="The program that wrote the lines, like sshd")]

_MOST_POINTS = 20_000
_POINT = tuple(METRICS.layout.example)
_LINE = tuple(LOGS.layout.example)
_LONGEST_RAW_S = 31 * 86_400


@router.get(
    "/devices/{id}/metrics",
    summary="A metric's readings or points over time; without `metric`, the names there are",
    responses=listed(
        METRICS.layout.example,
        _POINT,
        sometimes={
            "window": WINDOW_EXAMPLE,
            "data": {"first": "2026-01-01T00:00:00Z", "last": "2026-01-15T12:00:00Z"},
        },
    ),
)
def metrics(
    *,
    read: Annotated[Read, Depends(Reading(METRICS.layout.scope, METRICS.name, organization=True))],
    id: Id,  # noqa: A002
    metric: Name | None = None,
    start: Start = None,
    end: End = None,
    step: Step = "0",
    aggregate: Aggregate = "avg",
) -> Response:
    require_visible(read, DEVICES, id)
    timeline = read.answers.timeline
    in_order(start, end)
    if metric is None:
        names = [{"metric": name} for name in timeline.series(METRICS.name, read.tenant_id, of={"device_id": id})]
        return whole(read, ("metric",), names)
    points, about = points_of(read, id, metric, start=start, end=end, step=step, aggregate=aggregate)
    more = {} if points or (start and end) else {"data": _span(read, {"device_id": id, "metric": metric})}
    return whole(read, _POINT, [point._asdict() for point in points], window=about, **more)


def points_of(
    read: Read,
    device_id: str,
    metric: str,
    *,
    start: datetime | None,
    end: datetime | None,
    step: str,
    aggregate: Aggregate,
    most: int | None = None,
) -> tuple[Sequence[MetricPoint], Mapping[str, datetime | None]]:
    """Return a metric's readings or points, and the time that they are about. Raises: Problem; StoreUnavailable.

    Shape: without `most` there are as many readings as there are.
    """
    in_order(start, end)
    first, last = window(start, end, read.as_of.at)
    step_s = step_seconds(step)
    span_s = (last - first).total_seconds()
    _bounded(span_s, step_s, most or _MOST_POINTS)
    points = read.answers.timeline.points(
        METRICS.name,
        read.tenant_id,
        of={"device_id": device_id, "metric": metric},
        start=first,
        end=last,
        step_s=step_s,
        aggregate=aggregate,
    )
    if most is not None and not step_s and len(points) > most:
        raise _too_many(span_s, most)
    return points, shown(first, last)


def _span(read: Read, of: Of) -> Answer | None:
    """Return from when to when there are readings, where a time that nobody said has none."""
    span = read.answers.timeline.span(METRICS.name, read.tenant_id, of=of)
    return None if span is None else {"first": span[0], "last": span[1]}


def _bounded(span_s: float, step_s: int, most: int) -> None:
    if step_s and span_s / step_s > most:
        raise _too_many(span_s, most)
    if not step_s and span_s > _LONGEST_RAW_S:
        raise Problem(400, "each reading of more than 31 days; give a step or ask for a shorter time")


def _too_many(span_s: float, most: int) -> Problem:
    step_s = ceil(span_s / most)
    return Problem(400, f"more than {most} points; ask for a greater step ({step_s} or more) or a shorter time")


@router.get(
    "/devices/{id}/logs", summary="A device's log lines, newest first", responses=listed(LOGS.layout.example, _LINE)
)
def device_logs(
    *,
    read: Annotated[Read, Depends(Reading("devices", LOGS.name, organization=True))],
    id: Id,  # noqa: A002
    severity: Filter = None,
    program: Program = None,
    contains: Annotated[str | None, Query(max_length=200)] = None,
    start: Start = None,
    end: End = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    require_visible(read, DEVICES, id)
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


@router.get("/logs", summary="Log lines of all devices, newest first", responses=listed(LOGS.layout.example, _LINE))
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
    read: Read, *, start: datetime | None, end: datetime | None, limit: int, cursor: str | None, **asked: str | None
) -> Response:
    lines = LogLines.asked(read, start=start, end=end, **asked)

    def pages(cursor: str | None, limit: int) -> tuple[Sequence[Answer], str | None]:
        rows, next_ = lines.page(limit, cursor)
        return [log_answer(row) for row in rows], next_

    return answer(read, _LINE, pages, limit=limit, cursor=cursor, window=shown(start, end))


class LogLines(NamedTuple):
    """The lines that are asked for, newest first."""

    read: Read
    cursors: Cursors
    of: Mapping[str, str]
    start: datetime | None
    end: datetime | None
    contains: str | None

    @classmethod
    def asked(
        cls,
        read: Read,
        *,
        device_id: str | None = None,
        severity: str | None = None,
        program: str | None = None,
        contains: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> "LogLines":
        """Raises: Problem."""
        in_order(start, end)
        severity = filter_value(LOGS.layout, "severity", severity) if severity is not None else None
        # as before there were programs, where none is asked for: pages that were begun then go on
        question = {"program": program} if program is not None else {}
        cursors = read.cursors(
            device_id=device_id, severity=severity, contains=contains, start=start, end=end, **question
        )
        columns = {"device_id": device_id, "severity": severity, "event_type": program}
        of = {column: text for column, text in columns.items() if text is not None}
        return cls(read, cursors, of, start, end, contains)

    def page(self, limit: int, cursor: str | None) -> tuple[Sequence[LogRow], str | None]:
        """Return one page, and where the next begins. Raises: as `series.page`."""
        time = {"start": self.start, "end": self.end}
        return page(
            self.read, LOGS, self.cursors, of=self.of, **time, contains=self.contains, limit=limit, cursor=cursor
        )

    def cursor_of(self, row: LogRow) -> str:
        """Return the cursor of a page that begins behind a line."""
        return cursor_behind(LOGS, self.cursors, row)


def log_answer(row: LogRow) -> Answer:
    people = people_of(row.details)
    return {
        "id": row.fact_id,
        "happened_at": row.happened_at,
        "device_id": row.device_id,
        "severity": row.severity,
        "event_type": row.event_type,
        "program": row.event_type,
        "user": people.user,
        "ip": people.ip,
        "hostname": row.hostname,
        "summary": row.summary,
        "details": row.details,
    }


@router.get(
    "/devices/{id}/history",
    summary="What happened to a device, oldest first",
    responses=listed(HISTORY.layout.example, EVENT),
)
def history(
    *,
    read: Annotated[Read, Depends(Reading("devices", HISTORY.name, history=True))],
    id: Id,  # noqa: A002
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:

    def pages(cursor: str | None, limit: int) -> tuple[Sequence[Answer], str | None]:
        rows, next_ = page(read, HISTORY, read.cursors(), of={"stream": f"device-{id}"}, limit=limit, cursor=cursor)
        if not rows:
            raise Problem(404, f"no device has the id {id}")
        return [event_answer(row, read.opening) for row in rows], next_

    return answer(read, EVENT, pages, limit=limit, cursor=cursor)
