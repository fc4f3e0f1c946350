"""What the ways in over HTTP share: who sends, how a body is read within bounds, how an error is answered."""

import asyncio
import zlib
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Protocol

import zstandard
from fastapi import FastAPI, Request, Response

from schemas.envelope import Actor, ActorType, TenantId
from schemas.problem import MEDIA_TYPE, problem
from streams.ports import LogFull, LogUnavailable, Overloaded

MAX_BODY_BYTES = 16 * 1024 * 1024
"""What one request may carry, as it is sent and as it unpacks."""

_MAX_DISCARDED_BYTES = 256 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024


class Caller(Protocol):
    """Who an API key belongs to, as the authenticator gives it."""

    @property
    def tenant_id(self) -> TenantId: ...
    @property
    def key_id(self) -> str: ...
    @property
    def scopes(self) -> tuple[str, ...]: ...


Authenticate = Callable[[str | None], Caller]


class Refused(Exception):  # noqa: N818
    """The request is answered with this status; below 500 a retry gives the same answer."""

    def __init__(self, status: HTTPStatus, detail: str, *, retry_after_s: int | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.more = more


def problem_response(
    status: int, detail: str, *, retry_after_s: int | None = None, more: Mapping[str, Any] | None = None
) -> Response:
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return Response(problem(status, detail, **(more or {})), status, headers, media_type=MEDIA_TYPE)


def add_intake_problems(app: FastAPI) -> None:
    """Answer what the write side raises with problem documents."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Overloaded, _overloaded)
    app.add_exception_handler(LogUnavailable, _log_unavailable)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101
    return problem_response(error.status, error.detail, retry_after_s=error.retry_after_s, more=error.more)


async def _overloaded(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Overloaded)  # noqa: S101
    return problem_response(503, "the queue is full; send it again later", retry_after_s=error.retry_after_s)


async def _log_unavailable(_request: Request, error: Exception) -> Response:
    if isinstance(error, LogFull):
        return problem_response(507, str(error), retry_after_s=30)
    # what the log said may name files and hosts: it belongs in the server's log, not in an answer
    return problem_response(503, "the log does not answer; send it again under the same id", retry_after_s=2)


async def identify(request: Request, authenticate: Authenticate) -> Caller:
    """Return the caller. Raises: what the authenticator raises."""
    return await asyncio.to_thread(authenticate, request.headers.get("X-API-Key"))


def require(caller: Caller, scope: str) -> None:
    """Raises: Refused (403), the caller's key lacks the scope."""
    resource = scope.partition(":")[0]
    if not {"*", scope, f"{resource}:*"} & set(caller.scopes):
        raise Refused(HTTPStatus.FORBIDDEN, f"this api key lacks the scope {scope}")


def actor_of(caller: Caller) -> Actor:
    return Actor(ActorType.API_KEY, caller.key_id)


async def read_body(request: Request) -> bytes:
    """Return a request's body, unpacked.

    Raises: Refused: 413, it is larger than MAX_BODY_BYTES; 415, its encoding is unknown; 400, it cannot be unpacked.
    """
    body = bytearray()
    read = 0
    async for chunk in request.stream():
        read += len(chunk)
        # read to the end, without keeping it, or the sender would see a broken connection instead of the answer
        if read <= MAX_BODY_BYTES:
            body += chunk
        elif read > _MAX_DISCARDED_BYTES:
            break
    if read > MAX_BODY_BYTES:
        raise _too_large()
    return _unpack(bytes(body), request.headers.get("Content-Encoding", "identity").lower())


def _unpack(body: bytes, encoding: str) -> bytes:
    if encoding == "identity":
        return body
    if encoding not in {"gzip", "zstd"}:
        detail = f"content encoding {encoding!r} is not known; send gzip, zstd or none"
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    unpacked = bytearray()
    try:
        for part in _gunzip(body) if encoding == "gzip" else _unzstd(body):
            unpacked += part
            if len(unpacked) > MAX_BODY_BYTES:
                raise _too_large()
    except (zlib.error, zstandard.ZstdError) as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"the body is not {encoding}: {error}") from error
    return bytes(unpacked)


def _gunzip(body: bytes) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=31)
    while body and not unpacker.eof:
        yield unpacker.decompress(body, _CHUNK_BYTES)
        body = unpacker.unconsumed_tail
    if not unpacker.eof:
        raise zlib.error("it ends too early")


def _unzstd(body: bytes) -> Iterator[bytes]:
    yield from zstandard.ZstdDecompressor().read_to_iter(body, write_size=_CHUNK_BYTES)


def _too_large() -> Refused:
    return Refused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body is larger than {MAX_BODY_BYTES // 1024 // 1024} MiB; send it in parts",
        limit_bytes=MAX_BODY_BYTES,
    )
