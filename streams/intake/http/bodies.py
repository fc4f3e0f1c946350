"""Bodies of requests are read and unpacked within bounds here, and lent until the request is answered."""

import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager

import zstandard
from fastapi import Request

from read_api.edge.problems import Problem
from streams.ports import Overloaded

MAX_BODY_BYTES = 16 * 1024 * 1024
"""What one request may carry, as it is sent and as it unpacks."""

MAX_HELD_BYTES = 128 * 1024 * 1024
"""What all requests together may hold; one more is answered 503, because memory is not a queue."""

_MAX_DISCARDED_BYTES = 256 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
# four bytes of zstd can hold 128 KiB: this much unpacks to 8 MiB at most
_ZSTD_CHUNK_BYTES = 256
_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024


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

    Raises: Problem: 413, it is larger than MAX_BODY_BYTES; 415, its encoding is unknown; 400, it cannot be unpacked;
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
    except (Problem, Overloaded):
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
        raise Problem(415, f"content encoding {encoding!r} is not known; send gzip, zstd or none")
    unpacked = bytearray()
    try:
        for part in _UNPACKERS[encoding](body):
            unpacked += part
            _check_size(len(unpacked))
    except (zlib.error, zstandard.ZstdError) as error:
        raise Problem(400, f"the body is not {encoding}: {error}") from error
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
        limit_mib = MAX_BODY_BYTES // 1024 // 1024
        detail = f"the body is larger than {limit_mib} MiB; send it in parts"
        raise Problem(413, detail, limit_bytes=MAX_BODY_BYTES)
