"""What the ways in over HTTP share: who sends, how a body is read within bounds, how an error is answered."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Protocol

import zstandard
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from schemas.envelope import Actor, ActorType, TenantId
from schemas.problem import MEDIA_TYPE, problem
from streams.ports import LogFull, LogUnavailable, Overloaded

MAX_BODY_BYTES = 16 * 1024 * 1024
"""What one request may carry, as it is sent and as it unpacks."""

MAX_HELD_BYTES = 128 * 1024 * 1024
"""What all requests together may hold; one more is answered 503, because memory is not a queue."""

_MAX_DISCARDED_BYTES = 256 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
# four bytes of zstd can hold 128 KiB: this much unpacks to 8 MiB at most
_ZSTD_CHUNK_BYTES = 256
_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024


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
    """Answer what the write side raises with problem documents, and bound what its requests hold."""
    app.state.body_budget = BodyBudget()
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Overloaded, _overloaded)
    app.add_exception_handler(LogUnavailable, _log_unavailable)
    app.add_exception_handler(ClientDisconnect, _gone)


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


async def _gone(_request: Request, _error: Exception) -> Response:
    # nobody reads this: a caller that leaves before its body has come is no error of ours
    return problem_response(HTTPStatus.BAD_REQUEST, "the body did not come whole")


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


class BodyBudget:
    """The bytes of bodies that all requests together may hold until they are answered.

    Belongs to one event loop.
    """

    def __init__(self, max_bytes: int = MAX_HELD_BYTES) -> None:
        self.left = max_bytes


class _Hold:
    """One request's part of the budget."""

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._held = 0

    def take(self, size: int) -> None:
        if size > self._budget.left:
            raise Overloaded
        self._budget.left -= size
        self._held += size

    def give_back(self) -> None:
        self._budget.left += self._held
        self._held = 0


@asynccontextmanager
async def body_of(request: Request) -> AsyncIterator[bytes]:
    """Lend a request's body, unpacked, until the request is answered.

    Raises: Refused: 413, it is larger than MAX_BODY_BYTES; 415, its encoding is unknown; 400, it cannot be unpacked;
    Overloaded, other requests hold all the memory there is for bodies.
    """
    hold = _Hold(request.app.state.body_budget)
    try:
        body = await _read(request, hold)
        encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding != "identity":
            body = _unpack(body, encoding)
            hold.take(len(body))
        yield body
    finally:
        hold.give_back()


async def _read(request: Request, hold: _Hold) -> bytes:
    body = bytearray()
    chunks = request.stream()
    try:
        async for chunk in chunks:
            _check_size(len(body) + len(chunk))
            hold.take(len(chunk))
            body += chunk
    except (Refused, Overloaded):
        hold.give_back()
        body.clear()
        await _discard(chunks)
        raise
    return bytes(body)


async def _discard(chunks: AsyncIterator[bytes]) -> None:
    """Read what is left of a refused body, or its sender would see a broken connection instead of the answer."""
    left = _MAX_DISCARDED_BYTES
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            return


def _unpack(body: bytes, encoding: str) -> bytes:
    if encoding not in _UNPACKERS:
        detail = f"content encoding {encoding!r} is not known; send gzip, zstd or none"
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    unpacked = bytearray()
    try:
        for part in _UNPACKERS[encoding](body):
            unpacked += part
            _check_size(len(unpacked))
    except (zlib.error, zstandard.ZstdError) as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"the body is not {encoding}: {error}") from error
    return bytes(unpacked)


def _gunzip(body: bytes) -> Iterator[bytes]:
    """Yield what all members hold. Source: RFC 1952, section 2.2."""
    while True:
        unpacker = zlib.decompressobj(wbits=31)
        while body and not unpacker.eof:
            yield unpacker.decompress(body, _CHUNK_BYTES)
            body = unpacker.unconsumed_tail
        if not unpacker.eof:
            raise zlib.error("it ends too early")
        body = unpacker.unused_data
        if not body:
            return


def _unzstd(body: bytes) -> Iterator[bytes]:
    """Yield what all frames hold. Source: RFC 8878; RFC 9659 for the window."""
    unpacker = _zstd_frame()
    for at in range(0, len(body), _ZSTD_CHUNK_BYTES):
        chunk = body[at : at + _ZSTD_CHUNK_BYTES]
        while chunk:
            if unpacker.eof:
                unpacker = _zstd_frame()
            yield unpacker.decompress(chunk)
            chunk = unpacker.unused_data
    if not unpacker.eof:
        raise zstandard.ZstdError("it ends too early")


def _zstd_frame() -> "zstandard.ZstdDecompressionObj":
    return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()


_UNPACKERS: Mapping[str, Callable[[bytes], Iterator[bytes]]] = {"gzip": _gunzip, "zstd": _unzstd}


def _check_size(size: int) -> None:
    if size > MAX_BODY_BYTES:
        raise _too_large()


def _too_large() -> Refused:
    return Refused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body is larger than {MAX_BODY_BYTES // 1024 // 1024} MiB; send it in parts",
        limit_bytes=MAX_BODY_BYTES,
    )
