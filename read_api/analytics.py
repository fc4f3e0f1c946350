"""Each question that an analytics view declares gets its route here."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from inspect import Parameter, Signature
from typing import Annotated, Any, Literal, get_args, get_type_hints

from fastapi import APIRouter, Depends, Query, Response

from projections.catalog import of_role
from projections.question import Choice, Longest, Party, Question, Span
from projections.rows import Role
from read_api.edge.moments import EXAMPLES, Moment
from read_api.edge.parameters import End, Start, TimeZone, in_order, window
from read_api.edge.problems import Problem
from read_api.edge.responses import Answer, money
from read_api.reading import Read, Reading
from read_api.tables import listed, shown, whole
from schemas.values import Currency, Money

_MOST_GROUPS = 10_000

_SHARED: Mapping[str, tuple[Any, Any]] = {
    "start": (Start, None),
    "end": (End, None),
    "limit": (Annotated[int, Query(ge=1, le=_MOST_GROUPS, description="groups at most")], _MOST_GROUPS),
    "direction": (Literal["out", "in"], "out"),
    "timezone": (TimeZone, "UTC"),
    "currency": (Annotated[Currency | None, Query(description="documents of this currency only")], None),
    "party": (Annotated[Party | None, Query(description="documents of this customer or supplier only")], None),
    "as_of": (
        Annotated[
            Moment | None, Query(description="as it stood at this moment; left out: now", openapi_examples=EXAMPLES)
        ],
        None,
    ),
}
"""The parameters that mean the same in every question, each with its default."""


def analytics_router() -> APIRouter:
    router = APIRouter(tags=["analytics"])
    for view in of_role(Role.ANALYTICS):
        for question in view.analytics.questions:
            router.add_api_route(
                question.path or f"/v1/analytics/{question.name}",
                _endpoint(question, view.layout.scope),
                name=question.name,
                summary=question.summary,
                responses=listed(question.example, tuple(question.example)),
            )
    return router


def _endpoint(question: Question[Any], scope: str) -> Callable[..., Awaitable[Response]]:
    amounts = [name for name, hint in get_type_hints(question.row, include_extras=True).items() if hint == Money]

    async def answer(read: Read, **parameters: Any) -> Response:
        said = parameters.get("start"), parameters.get("end")
        parameters |= _time(question.longest, *said, read.as_of.at)
        if "as_of" in parameters:
            parameters["as_of"] = parameters["as_of"] or read.as_of.at
        rows = await _ask(read, question, parameters)
        more: dict[str, Any] = (
            {"window": shown(parameters["start"], parameters["end"])} if "start" in parameters else {}
        )
        if not rows and question.span and not all(said):
            more["data"] = await _span(read, question.span, parameters)
        return whole(read, _columns(question, parameters), [_row(row, parameters, amounts) for row in rows], **more)

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


async def _ask(read: Read, question: Question[Any], parameters: Mapping[str, Any]) -> Sequence[Any]:
    return await asyncio.wrap_future(read.asking(question, **parameters))


async def _span(read: Read, question: Question[Span], parameters: Mapping[str, Any]) -> Answer | None:
    """Return from when to when there is data, where a time that nobody said has none."""
    [span] = await _ask(read, question, {name: parameters[name] for name in question.parameters})
    return {"first": span.first, "last": span.last} if span.rows else None


def _columns(question: Question[Any], parameters: Mapping[str, Any]) -> Sequence[str]:
    return [parameters["by"] if name == "group" else name for name in get_type_hints(question.row)]


def _parameter(name: str, kind: Any) -> Parameter:
    type_: Any
    default: Any
    if isinstance(kind, Choice):
        type_, default = Literal[tuple(kind.sql)], kind.default
    elif name == "party" and kind is Party:
        # the one who is asked about, and no condition
        type_, default = kind, Parameter.empty
    else:
        may_be_left_out = type(None) in get_args(kind)
        type_, default = _SHARED.get(name, (kind, None if may_be_left_out else Parameter.empty))
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
