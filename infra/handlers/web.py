"""These handlers send a request over HTTP, or check that something answers one."""

import base64
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from time import perf_counter
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, StringConstraints, model_validator

from factline.worker import Failed, Postponed, Task
from infra.handlers.inputs import Input, checked
from infra.handlers.outgoing import FAILURES, Outgoing, failure_of, read_up_to
from infra.outside import Resting

_MOST_BYTES = 32_768
"""Of a body in an output, which has room for 64 KiB of JSON."""

_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_READS = frozenset({"GET", "HEAD"})

Url = Annotated[str, StringConstraints(max_length=4_000, pattern=r"^https?://")]
TimeoutS = Annotated[float, Field(gt=0, le=300)]
Status = Annotated[int, Field(ge=100, le=599)]
_HeaderName = Annotated[str, StringConstraints(max_length=100, pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
_HeaderText = Annotated[str, StringConstraints(max_length=8_000, pattern=r"^[\t -~]*$")]
_Headers = Annotated[Mapping[_HeaderName, _HeaderText], Field(max_length=50)]

_OF_THE_CONNECTION = frozenset({"connection", "content-length", "host", "transfer-encoding", "upgrade"})

Handler = Callable[[Task], Awaitable[Any]]


class Request(Input):
    url: Url
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    headers: _Headers = Field(default_factory=dict)
    json_: Annotated[Any, Field(alias="json")] = None
    body: str | None = None
    expect: Annotated[tuple[Status, ...], Field(max_length=20)] = ()
    max_bytes: Annotated[int, Field(ge=0, le=_MOST_BYTES)] = 16_384
    timeout_s: TimeoutS = 30

    @model_validator(mode="after")
    def _one_body(self) -> "Request":
        if self.body is not None and self.json_ is not None:
            raise ValueError("say json or body, not both")
        if ours := _OF_THE_CONNECTION & {name.lower() for name in self.headers}:
            raise ValueError(f"the header {min(ours)} is made by whoever sends the request")
        return self


class Check(Input):
    url: Url
    method: Literal["GET", "HEAD"] = "GET"
    expect: Annotated[tuple[Status, ...], Field(max_length=20)] = ()
    contains: Annotated[str, StringConstraints(max_length=1_000)] = ""
    timeout_s: TimeoutS = 10


def http_request(outgoing: Outgoing) -> Handler:
    """Return the handler of `http.request`.

    Shape: the output is {status, headers, duration_ms, truncated} and `body`, or `body_base64` where it is no text. A
    status that is not expected fails the attempt; a retry may help against 408, 429 and 500 to 599.
    """

    async def request(task: Task) -> Any:
        asked = checked(Request, task.input)
        headers, content = dict(asked.headers), None if asked.body is None else asked.body.encode()
        names = {name.lower() for name in headers}
        if asked.json_ is not None:
            content = orjson.dumps(asked.json_)
            if "content-type" not in names:
                headers["content-type"] = "application/json"
        if asked.method in {"POST", "PATCH"} and "idempotency-key" not in names:
            # an attempt whose answer was lost is followed by another one
            headers["idempotency-key"] = task.id
        began = perf_counter()
        try:
            async with outgoing.request(
                asked.method,
                asked.url,
                headers=headers,
                content=content,
                timeout_s=asked.timeout_s,
                follow=asked.method in _READS,
                expect=asked.expect,
            ) as response:
                body, truncated = await read_up_to(response, asked.max_bytes)
        except FAILURES as error:
            raise failure_of(error, asked.url) from error
        if not _is_expected(response.status_code, asked.expect):
            raise Failed(
                f"{asked.url} answered {response.status_code}: {body[:200].decode(errors='replace')}",
                retryable=response.status_code in _AGAIN or response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR,
            )
        return {
            "status": response.status_code,
            "headers": {name: text[:1_000] for name, text in list(response.headers.items())[:50]},
            "duration_ms": _ms_since(began),
            "truncated": truncated,
            **_shown(body),
        }

    return request


def http_check(outgoing: Outgoing) -> Handler:
    """Return the handler of `http.check`.

    Shape: the output is {ok, checked, status, duration_ms, error}. That nothing answers is what a check finds out, so
    it completes the task; only an input that cannot be checked fails it. Where nothing answered five times in a row,
    the host is left alone for a while: then `checked` is false, and `error` says so.
    """

    async def check(task: Task) -> Any:
        asked = checked(Check, task.input)
        began = perf_counter()
        status, error, checked_now = None, None, True
        try:
            async with outgoing.request(
                asked.method, asked.url, timeout_s=asked.timeout_s, follow=not asked.expect, expect=_ANY
            ) as response:
                status = response.status_code
                if not _is_expected(status, asked.expect):
                    error = f"the status is {status}"
                elif asked.contains and not await _contains(response.aiter_raw(), asked.contains.encode()):
                    error = f"{asked.contains!r} is not in the first {_SEARCHED // 1024} KiB of the answer"
        except Resting as rests:
            error, checked_now = f"not checked: {rests}", False
        except FAILURES as failed:
            failure = failure_of(failed, asked.url)
            if not failure.retryable or isinstance(failure, Postponed):
                raise failure from failed
            error = str(failure)
        return {
            "ok": error is None,
            "checked": checked_now,
            "status": status,
            "duration_ms": _ms_since(began),
            "error": error,
        }

    return check


_SEARCHED = 1_048_576
_ANY = range(600)
"""Every status is an answer to the question whether something answers."""


async def _contains(chunks: Any, text: bytes) -> bool:
    found = bytearray()
    async for some in chunks:
        found += some
        if text in found:
            return True
        if len(found) > _SEARCHED:
            return False
    return False


def _is_expected(status: int, expect: tuple[int, ...]) -> bool:
    return status in expect if expect else HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def _shown(body: bytes) -> dict[str, str]:
    if b"\0" not in body:
        # a character that was cut in two at the end is no reason to take the text for something else
        for cut in range(min(4, len(body) + 1)):
            try:
                return {"body": body[: len(body) - cut].decode()}
            except UnicodeDecodeError:
                continue
    return {"body_base64": base64.b64encode(body).decode()}


def _ms_since(began: float) -> int:
    return round((perf_counter() - began) * 1_000)
