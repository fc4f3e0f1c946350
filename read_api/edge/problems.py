"""Every error of reads and writes becomes a problem document (RFC 9457) here, whatever raised it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from projections.stores import OlderBuild, StoreUnavailable, TooMuchAsked
from read_api.edge.safe import SAFE
from schemas.values import in_words

RETRY_AFTER_S = 1
MEDIA_TYPE = "application/problem+json"

# of /v1/devices/{id}; what has more may be an id with a slash in it
_SLASHES = 3
_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


class Problem(Exception):  # noqa: N818
    """The request is answered with this problem; a status below 500 means that a retry gives the same answer."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        retry_after_s: int | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = {**(headers or {}), **({} if retry_after_s is None else {"Retry-After": str(retry_after_s)})}
        self.more = more


class Fault(NamedTuple):
    """What is wrong with a message, and where in it."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


def faults(error: ValidationError | RequestValidationError) -> Sequence[Fault]:
    brief = {} if isinstance(error, RequestValidationError) else _BRIEF
    return [
        Fault(".".join(str(step) for step in found["loc"]), in_words(found["msg"].removeprefix("Value error, ")))
        for found in error.errors(**brief)
    ]


def faulty(found: Sequence[Fault], **more: Any) -> Problem:
    """Return the problem (422) of a message that does not validate."""
    return Problem(422, "; ".join(map(str, found)), errors=[fault._asdict() for fault in found], **more)


ProblemOf = Callable[[Request, Any], Problem]


def add_problems(app: FastAPI, problems: Mapping[type[Exception], ProblemOf]) -> None:
    """Answer exceptions, and those derived from them, with the problems that they are."""
    for kind, problem_of in problems.items():
        app.add_exception_handler(kind, partial(_answer, problem_of))


async def _answer(problem_of: ProblemOf, request: Request, error: Exception) -> Response:
    problem = problem_of(request, error)
    return Response(orjson.dumps(document(problem)), problem.status, problem.headers, media_type=MEDIA_TYPE)


def document(problem: Problem) -> dict[str, Any]:
    return {
        # about:blank means that the title is the status's own
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        **problem.more,
    }


def _invalid(_request: Request, error: RequestValidationError) -> Problem:
    return faulty([fault._replace(what=fault.what[:1].lower() + fault.what[1:]) for fault in faults(error)])


def _http(request: Request, error: HTTPException) -> Problem:
    detail = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        slash = "; a slash within an id is written %2F" if request.url.path.count("/") > _SLASHES else ""
        detail = f"nothing is at {request.url.path}; /docs lists what there is{slash}"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.url.path} does not take {request.method}"
        return Problem(error.status_code, detail, headers={"Allow": ", ".join(_allowed(request))})
    return Problem(error.status_code, detail, headers=error.headers)


def _allowed(request: Request) -> Sequence[str]:
    """Return the methods that any route of a path takes; what refused the request is only the first of them."""
    asked = {method: {**request.scope, "method": method} for method in _METHODS}
    return [method for method in asked if any(_takes(route, asked[method]) for route in request.app.router.routes)]


def _takes(route: BaseRoute, scope: Scope) -> bool:
    return route.matches(scope)[0] is Match.FULL


# a link to pydantic's pages and what was sent are of no use to a caller, and cost time for each of 10,000 facts
_BRIEF = {"include_url": False, "include_context": False, "include_input": False}

_OF_READS: Mapping[type[Exception], Callable[[Any], Problem]] = {
    Problem: lambda problem: problem,
    TooMuchAsked: lambda _: Problem(
        422, "the store gave up on this question, it asks for too much; ask about a shorter time, or for fewer rows"
    ),
    OlderBuild: lambda error: Problem(409, str(error)),
    # what the store said may name hosts and files: it belongs in the log, not in an answer
    StoreUnavailable: lambda _: Problem(503, "a store does not answer; try again", retry_after_s=RETRY_AFTER_S),
}


def problem_of(error: BaseException | None) -> Problem | None:
    """Return the problem that an error of a read is; None of one that nobody foresaw."""
    return next((make(error) for kind, make in _OF_READS.items() if isinstance(error, kind)), None)


def _foreseen(_request: Request, error: Exception) -> Problem:
    problem = problem_of(error)
    assert problem is not None  # noqa: S101 - it is asked about these kinds only
    return problem


PROBLEMS: Mapping[type[Exception], ProblemOf] = {
    **dict.fromkeys(_OF_READS, _foreseen),
    RequestValidationError: _invalid,
    HTTPException: _http,
    # nobody reads this: a caller that leaves before its body has come is no error of ours
    ClientDisconnect: lambda *_: Problem(400, "the body did not come whole"),
    # the server drops the connection after a fault: a client that is told does not send its next request on it; no
    # middleware sees this answer
    Exception: lambda *_: Problem(
        500, "an unexpected error; the server's log says more", headers={**SAFE, "Connection": "close"}
    ),
}
