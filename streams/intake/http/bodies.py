"""Bodies of requests are read and unpacked within bounds here, and lent until the request is answered."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import zstandard
from fastapi import Request

from read_api.edge.problems import Problem
from streams.ports import Overloaded

MAX_BODY_BYTES = 16 * 1024 * 1024
"""What one request may carry, as it is sent and as it unpacks."""

MAX_HELD_BYTES = 128 * 1024 * 1024
"""What all requests together may hold; one more is answered 503, because memory is not a queue."""

MAX_VALUES = 1_000_000
"""What a body may hold of values: of the smallest ones 16 MiB would become a gigabyte of objects."""

MAX_FRAMES = 1_000
"""Members of gzip and frames of zstd in one body; a packer makes one, and blocks of 64 KiB make 256 of 16 MiB."""

_SILENCE_S = 30.0
"""A file that is sent goes on within this time, or whoever sends it would keep its place for ever."""

_STEP_BYTES = 1024 * 1024
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
async def body_of(request: Request, budget: BodyBudget | None = None) -> AsyncIterator[bytes]:
    """Lend a request's body, unpacked, until the request is answered, from the budget of all requests or this one.

    Raises: Problem: 413, it is larger than MAX_BODY_BYTES or holds more than MAX_VALUES; 415, its encoding is unknown;
    400, it cannot be unpacked; Overloaded, other requests hold all the memory there is for bodies.
    """
    hold = _Hold(budget or request.app.state.body_budget)
    try:
        body = await _read(request, hold)
        encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding != "identity":
            body = await _unpack(body, encoding, hold)
        if len(body) > MAX_VALUES:
            await asyncio.to_thread(_check_values, body)
        yield body
    finally:
        hold.give_back()


async def _next(chunks: AsyncIterator[bytes]) -> bytes:
    """Return what comes next of a body, b"" at its end. Raises: Problem (408), nothing comes any more."""
    try:
        async with asyncio.timeout(_SILENCE_S):
            async for chunk in chunks:
                if chunk:
                    return chunk
            return b""
    except TimeoutError:
        raise Problem(408, f"nothing came for {_SILENCE_S:g} s; send the file again") from None


async def save_file(request: Request, path: Path, budget: BodyBudget, max_bytes: int) -> int:
    """Write a request's body to a file as it comes, and return how many bytes of the budget it took.

    Shape: whoever calls this gives them back to the budget, once the file is gone.
    Raises: Problem: 408, it does not go on; 413, it is larger than `max_bytes`; 415, it is packed; Overloaded, the
    budget has no more.
    """
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise Problem(415, "a file is sent as it is, without a content encoding")
    hold, size, some = _Hold(budget), 0, bytearray()
    chunks = request.stream()
    try:
        with path.open("wb") as file:
            while chunk := await _next(chunks):
                size += len(chunk)
                _check_file(size, max_bytes)
                hold.take(len(chunk))
                some += chunk
                if len(some) >= _STEP_BYTES:
                    await asyncio.to_thread(file.write, bytes(some))
                    some.clear()
            await asyncio.to_thread(file.write, bytes(some))
    except BaseException as error:
        hold.give_back()
        if isinstance(error, Problem | Overloaded):
            await _discard(chunks)
        raise
    return size


def json_of(body: bytes) -> Any:
    """Return what a body says in JSON. Raises: Problem (400), it is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"the body is not JSON: {error}") from error


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


async def _unpack(body: bytes, encoding: str, hold: _Hold) -> bytes:
    """Unpack in a thread, some of it at a time, so that what it becomes is counted while it grows."""
    if encoding not in _UNPACKERS:
        raise Problem(415, f"content encoding {encoding[:100]!r} is not known; send gzip, zstd or none")
    parts = _UNPACKERS[encoding](body)
    unpacked = bytearray()
    try:
        while some := await asyncio.to_thread(_some, parts):
            _check_size(len(unpacked) + len(some))
            hold.take(len(some))
            unpacked += some
    except (zlib.error, zstandard.ZstdError) as error:
        raise Problem(400, f"the body is not {encoding}: {error}") from error
    return bytes(unpacked)


def _some(parts: Iterator[bytes]) -> bytes:
    """Return what comes next, about _STEP_BYTES of it; nothing at the end."""
    some = bytearray()
    for part in parts:
        some += part
        if len(some) >= _STEP_BYTES:
            break
    return bytes(some)


def _gunzip(body: bytes) -> Iterator[bytes]:
    """Yield what all members hold. Source: RFC 1952, section 2.2."""
    for _ in range(MAX_FRAMES):
        unpacker = zlib.decompressobj(wbits=31)
        while body and not unpacker.eof:
            yield unpacker.decompress(body, _CHUNK_BYTES)
            body = unpacker.unconsumed_tail
        if not unpacker.eof:
            raise zlib.error("it ends too early")
        body = unpacker.unused_data
        if not body:
            return
    raise zlib.error(f"it has more than {MAX_FRAMES} members; pack it as one")


def _unzstd(body: bytes) -> Iterator[bytes]:
    """Yield what all frames hold. Source: RFC 8878; RFC 9659 for the window."""
    unpacker, frames = _zstd_frame(), 1
    for at in range(0, len(body), _ZSTD_CHUNK_BYTES):
        chunk = body[at : at + _ZSTD_CHUNK_BYTES]
        while chunk:
            if unpacker.eof:
                unpacker, frames = _zstd_frame(), frames + 1
                if frames > MAX_FRAMES:
                    raise zstandard.ZstdError(f"it has more than {MAX_FRAMES} frames; pack it as one")
            yield unpacker.decompress(chunk)
            chunk = unpacker.unused_data
    if not unpacker.eof:
        raise zstandard.ZstdError("it ends too early")


def _zstd_frame() -> "zstandard.ZstdDecompressionObj":
    return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()


_UNPACKERS: Mapping[str, Callable[[bytes], Iterator[bytes]]] = {"gzip": _gunzip, "zstd": _unzstd}


def _check_file(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        detail = f"the file is larger than {max_bytes // 1024 // 1024} MiB; `factline import` takes files of any size"
        raise Problem(413, detail, limit_bytes=max_bytes)


def _check_size(size: int) -> None:
    if size > MAX_BODY_BYTES:
        limit_mib = MAX_BODY_BYTES // 1024 // 1024
        detail = f"the body is larger than {limit_mib} MiB; send it in parts"
        raise Problem(413, detail, limit_bytes=MAX_BODY_BYTES)


def _check_values(body: bytes) -> None:
    """Refuse a body that would become far more objects than any use of it needs, before one of them is made.

    Raises: Problem, it holds more than MAX_VALUES, counted by commas and opening brackets outside of texts.
    """
    if not _is_more(_pieces(body), _BEFORE_VALUES, MAX_VALUES):
        return
    if _is_more(_outside_of_texts(body), _BEFORE_VALUES, MAX_VALUES):
        raise Problem(413, f"the body holds more than {MAX_VALUES} values; send it in parts")


_BEFORE_VALUES = (b",", b"{", b"[")


def _pieces(body: bytes) -> Iterator[bytes]:
    return (body[at : at + _CHUNK_BYTES] for at in range(0, len(body), _CHUNK_BYTES))


def has_more_lines(body: bytes, most: int) -> bool:
    """Return whether a body has more than so many line ends, without a list of its lines."""
    return any(_is_more(_pieces(body), (end,), most) for end in (b"\n", b"\r"))


def _is_more(pieces: Iterator[bytes], what: Iterable[bytes], most: int) -> bool:
    """Return whether pieces hold more than so many of some bytes; it ends where that is known."""
    found = 0
    for piece in pieces:
        # each count by itself is short, so that other threads have their turn
        for one in what:
            found += piece.count(one)
        if found > most:
            return True
    return False


def _outside_of_texts(body: bytes) -> Iterator[bytes]:
    """Yield what of JSON stands outside of its texts, piece by piece, so that no step of it takes long."""
    in_text, escaped = False, False
    for whole in _pieces(body):
        piece = whole[1:] if escaped else whole
        # an escape that this piece does not end goes on in the next one
        escaped = (len(piece) - len(piece.rstrip(b"\\"))) % 2 == 1
        parts = piece.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        yield b"".join(parts[in_text::2])
        in_text ^= len(parts) % 2 == 0
