"""Errors as RFC 9457 problem details, whatever raised them."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from projections.stores import StoreUnavailable
from read_api.edge.auth import Forbidden, Unauthenticated
from schemas.problem import MEDIA_TYPE, problem

RETRY_AFTER_S = 1


class Problem(Exception):  # noqa: N818
    """The request is answered with this problem; a status below 500 means that a retry gives the same answer."""

    def __init__(self, status: int, detail: str, *, retry_after_s: int | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        self.more = more


def problem_response(status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    return Response(problem(status, detail, **more), status, headers, media_type=MEDIA_TYPE)


def add_problem_handlers(app: FastAPI) -> None:
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(Unauthenticated, _unauthenticated)
    app.add_exception_handler(Forbidden, _forbidden)
    app.add_exception_handler(StoreUnavailable, _unavailable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101
    return problem_response(error.status, error.detail, error.headers, **error.more)


async def _unauthenticated(_request: Request, error: Exception) -> Response:
    return problem_response(401, str(error), {"WWW-Authenticate": 'ApiKey header="X-API-Key"'})


async def _forbidden(_request: Request, error: Exception) -> Response:
    return problem_response(403, str(error))


async def _unavailable(_request: Request, _error: Exception) -> Response:
    # what the store said may name hosts and files: it belongs in the log, not in an answer
    return problem_response(503, "a store does not answer; try again", {"Retry-After": str(RETRY_AFTER_S)})


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    errors = [
        {"where": ".".join(str(step) for step in found["loc"]), "what": _readable(found["msg"])}
        for found in error.errors()
    ]
    detail = "; ".join(f"{found['where']}: {found['what']}" for found in errors)
    return problem_response(422, detail, errors=errors)


def _readable(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    detail = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"nothing is at {request.url.path}; /docs lists what there is"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.url.path} does not take {request.method}"
    return problem_response(error.status_code, detail, error.headers)


async def _unexpected(_request: Request, _error: Exception) -> Response:
    # the server drops the connection after a fault: a client that is told does not send its next request on it
    return problem_response(500, "an unexpected error; the server's log says more", {"Connection": "close"})
