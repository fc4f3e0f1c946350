"""Answers over many rows: revenue, counts, five-minute points."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Query, Response

from projections.readers import Aggregate, RevenueBy
from read_api.answers import Answers
from read_api.edge.parameters import End, Start, in_order, window
from read_api.edge.problems import Problem
from read_api.edge.responses import amount, documented, money, table
from read_api.reading import Read, Reading
from schemas.values import Id, Name

router = APIRouter(prefix="/v1/analytics", tags=["analytics"])

T = TypeVar("T")

_MOST_GROUPS = 10_000
_LONGEST = timedelta(days=70)


async def _ask(answers: Answers, question: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(answers.analytics_threads, question)


@router.get(
    "/revenue",
    summary="Revenue of outgoing invoices less credit notes",
    responses=documented({"month": "2010-12", "revenue": "12.3400", "quantity": "5", "lines": 2, "invoices": 1}),
)
async def revenue(
    *,
    read: Annotated[Read, Depends(Reading("analytics", "invoice_facts"))],
    by: RevenueBy = "month",
    start: Start = None,
    end: End = None,
    limit: Annotated[int, Query(ge=1, le=_MOST_GROUPS, description="groups at most")] = _MOST_GROUPS,
) -> Response:
    in_order(start, end)
    rows = await _ask(
        read.answers,
        lambda: read.answers.analytics.revenue(read.tenant_id, by=by, start=start, end=end, limit=limit),
    )
    return table(
        [
            {
                by: row.group,
                "revenue": money(row.revenue),
                "quantity": amount(row.quantity),
                "lines": row.lines,
                "invoices": row.invoices,
            }
            for row in rows
        ],
        read.as_of,
    )


@router.get(
    "/events",
    summary="Number of decided events by type",
    responses=documented({"type": "device.registered", "events": 12}),
)
async def events(
    *, read: Annotated[Read, Depends(Reading("analytics", "events"))], start: Start = None, end: End = None
) -> Response:
    in_order(start, end)
    rows = await _ask(read.answers, lambda: read.answers.analytics.event_counts(read.tenant_id, start=start, end=end))
    return table([{"type": row.group, "events": row.rows} for row in rows], read.as_of)


@router.get(
    "/timeseries",
    summary="Five-minute points of a device's metric",
    responses=documented({"at": "2026-01-31T08:30:00Z", "value": 0.25, "readings": 5}),
)
async def timeseries(
    *,
    read: Annotated[Read, Depends(Reading("analytics", "metrics_5m"))],
    device_id: Id,
    metric: Name,
    start: Start = None,
    end: End = None,
    aggregate: Aggregate = "avg",
) -> Response:
    first, last = window(start, end, read.as_of.at)
    if last - first > _LONGEST:
        raise Problem(400, f"more than {_LONGEST.days} days of five-minute points; ask for a shorter time")
    points = await _ask(
        read.answers,
        lambda: read.answers.analytics.metrics(
            read.tenant_id, device_id, metric, start=first, end=last, aggregate=aggregate
        ),
    )
    return table([point._asdict() for point in points], read.as_of)
