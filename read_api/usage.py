"""This route says how much a tenant asks of the API, and what is left of its quota."""

from asyncio import wrap_future
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response

from projections.identity.api_usage import USAGE, Usage
from read_api.edge.parameters import End, Start, in_order
from read_api.edge.quotas import quotas
from read_api.reading import Read, Reading
from read_api.tables import listed, whole

_EXAMPLE = {"limit": 1_000, "remaining": 400, "ends_in_s": 43_200}

router = APIRouter(prefix="/v1", tags=["usage"])


@router.get(
    "/usage",
    summary="Requests of the tenant by key, route or day (UTC), as recorded up to a minute ago",
    description="`refused` are answers of 400 to 499, `failed` those of 500 and more; `ms` is the time until answers"
    " began, of all together.",
    responses=listed(USAGE.example, tuple(USAGE.example), quotas={"events_per_day": _EXAMPLE}),
)
async def usage(
    *,
    request: Request,
    read: Annotated[Read, Depends(Reading("usage", "api_usage"))],
    by: Literal["key", "route", "day"] = "key",
    start: Start = None,
    end: End = None,
) -> Response:
    in_order(start, end)
    rows = await wrap_future(read.asking(USAGE, by=by, start=start, end=end))
    found = dict(await quotas(request, read.caller))
    if (most := read.caller.quota.live_streams) is not None:
        found["live_streams"] = {"limit": most, "remaining": max(0, most - read.answers.live_of.of(read.tenant_id))}
    columns = [by if name == "group" else name for name in Usage._fields]
    return whole(read, columns, [dict(zip(columns, row, strict=True)) for row in rows], quotas=found)
