"""Each question that an analytics view declares gets its route here."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from inspect import Parameter, Signature
from typing import Annotated, Any, Literal, get_type_hints

from fastapi import APIRouter, Depends, Query, Response
from pydantic import StringConstraints

from projections.catalog import of_role
from projections.question import Choice, Longest, Question
from projections.rows import Role
from read_api.edge.parameters import End, Start, TimeZone, in_order, window
from read_api.edge.problems import Problem
from read_api.edge.responses import Answer, documented, money, table
from read_api.reading import Read, Reading
from schemas.values import Currency, Instant, Money

_MOST_GROUPS = 10_000

Party = Annotated[str, StringConstraints(min_length=1, max_length=200)]

_SHARED: Mapping[str, tuple[Any, Any]] = {
    "start": (Start, None),
    "end": (End, None),
    "limit": (Annotated[int, Query(ge=1, le=_MOST_GROUPS, description="groups at most")], _MOST_GROUPS),
    "direction": (Literal["out", "in"], "out"),
    "timezone": (TimeZone, "UTC"),
    "currency": (Annotated[Currency | None, Query(description="documents of this currency only")], None),
    "party": (Annotated[Party | None, Query(description="documents of this customer or supplier only")], None),
    "as_of": (Annotated[Instant | None, Query(description="as it stood at this instant; left out: now")], None),
}
"""The parameters that mean the same in every question, each with its default."""


def analytics_router() -> APIRouter:
    router = APIRouter(prefix="/v1/analytics", tags=["analytics"])
    for view in of_role(Role.ANALYTICS):
        for question in view.analytics.questions:
            router.add_api_route(
                f"/{question.name}",
                _endpoint(question, view.layout.scope),
                name=question.name,
                summary=question.summary,
                responses=documented(question.example),
            )
    return router


def _endpoint(question: Question[Any], scope: str) -> Callable[..., Awaitable[Response]]:
    amounts = [name for name, hint in get_type_hints(question.row, include_extras=True).items() if hint == Money]

    async def answer(read: Read, **parameters: Any) -> Response:
        parameters |= _time(question.longest, parameters.get("start"), parameters.get("end"), read.as_of.at)
        if "as_of" in parameters:
            parameters["as_of"] = parameters["as_of"] or read.as_of.at
        ask = partial(read.answers.analytics.ask, question, read.tenant_id, **parameters)
        rows = await asyncio.get_running_loop().run_in_executor(read.answers.analytics_threads, ask)
        return table([_row(row, parameters, amounts) for row in rows], read.as_of)

    # FastAPI reads the parameters of a route from its signature
    answer.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter(
                "read", Parameter.KEYWORD_ONLY, annotation=Annotated[Read, Depends(Reading(scope, *question.views))]
            ),
            *(_parameter(name, kind) for name, kind in question.parameters.items()),
        ]
    )
    return answer


def _parameter(name: str, kind: Any) -> Parameter:
    if isinstance(kind, Choice):
        type_, default = Literal[tuple(kind.sql)], kind.default
    else:
        type_, default = _SHARED.get(name, (kind, Parameter.empty))
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=type_, default=default)


def _time(
    longest: Longest | None, start: datetime | None, end: datetime | None, now: datetime
) -> Mapping[str, datetime | None]:
    if longest is None:
        in_order(start, end)
        return {}
    first, last = window(start, end, now)
    if last - first > longest.time:
        raise Problem(400, f"more than {longest.time.days} days of {longest.rows}; ask for a shorter time")
    return {"start": first, "end": last}


def _row(row: Any, parameters: Mapping[str, Any], amounts: list[str]) -> Answer:
    named = {parameters["by"] if name == "group" else name: value for name, value in row._asdict().items()}
    return named | {name: money(named[name]) for name in amounts}
