"""This stands in for ClickHouse's HTTP interface, so that several processes of a test can reach one chDB.

SQL, storage and formats are the real engine's. Only the transport is not: no users, no sessions, answers not
compressed and not streamed, every error is status 500.
"""

import asyncio
import gzip
import json
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import HTTP
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple

import chdb
import lz4.frame
import uvicorn
import zstandard
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

# One connection for each: readers that share one wait for each other.
THREADS = 8
# Parameters of the HTTP interface itself, and those that only make sense with it.
TRANSPORT = frozenset(
    {
        "buffer_size",
        "cancel_http_readonly_queries_on_client_close",
        "client_protocol_version",
        "compress",
        "database",
        "decompress",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "query",
        "query_id",
        "quota_key",
        "role",
        "send_progress_in_http_headers",
        "session_check",
        "session_id",
        "session_timeout",
        "wait_end_of_query",
    }
)
PARAMETER = "param_"
# The rows follow the format's name after one white space; VALUES and SELECT are complete in themselves.
INSERT = re.compile(
    rb"(\s*INSERT\s+INTO\s(?:(?!\s(?:VALUES|SELECT)\b).)+?)\sFORMAT\s+(\w+)[ \t]*(?:\r?\n|\s|$)",
    re.IGNORECASE | re.DOTALL,
)
CODE = re.compile(r"Code: (\d+)")


class Answer(NamedTuple):
    """Shape: `written` is how many rows an INSERT with its rows behind it has written, None for any other statement."""

    body: bytes
    written: int | None = None


class ChDB:
    def __init__(self, path: str) -> None:
        self._path = path
        self._thread = threading.local()

    def connect(self) -> None:
        """Open the connection of this thread."""
        self._thread.connection = chdb.connect(self._path)  # type: ignore[no-untyped-call]

    def answer(self, statement: bytes, url: Mapping[str, str]) -> Answer:
        """Run one statement, which may be an INSERT with its rows behind it.

        Raises: RuntimeError, with the engine's text.
        """
        values = {name.removeprefix(PARAMETER): value for name, value in url.items() if name.startswith(PARAMETER)}
        settings = {
            name: value for name, value in url.items() if name not in TRANSPORT and not name.startswith(PARAMETER)
        }
        self._query(f"USE {_quoted(url.get('database') or 'default', '`')}")
        with self._set(settings):
            insert = INSERT.match(statement)
            if insert is None:
                return Answer(self._query(statement.decode(), values).bytes())
            with NamedTemporaryFile() as rows:
                rows.write(memoryview(statement)[insert.end() :])
                rows.flush()
                source = f"FROM INFILE {_quoted(rows.name)} FORMAT {insert[2].decode()}"
                done = self._query(f"{insert[1].decode()} {source}", values)
                return Answer(done.bytes(), done.rows_read())

    def _query(self, sql: str, values: Mapping[str, str] | None = None) -> Any:
        return self._thread.connection.query(sql, "TabSeparated", params=dict(values or {}))

    @contextmanager
    def _set(self, settings: Mapping[str, str]) -> Iterator[None]:
        try:
            for name, value in settings.items():
                self._query(f"SET {_quoted(name, '`')} = {_quoted(value)}")
            yield
        finally:
            for name in settings:
                self._query(f"SET {_quoted(name, '`')} = DEFAULT")


def create_app(path: str) -> Starlette:
    engine = ChDB(path)
    engine.connect()  # a folder that cannot be opened ends the process here, and not request by request
    threads = ThreadPoolExecutor(THREADS, initializer=engine.connect)

    async def query(request: Request) -> Response:
        body = _decompressed(await request.body(), request.headers.get("content-encoding"))
        url = dict(request.query_params)
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            url |= _form(body, request.headers["content-type"])
            body = b""
        # A statement in the URL is continued by the body: that is how an INSERT brings its rows.
        statement = b"\n".join(part for part in (url.get("query", "").encode(), body) if part)
        try:
            answer = await asyncio.get_running_loop().run_in_executor(threads, engine.answer, statement, url)
        except RuntimeError as error:
            code = CODE.search(str(error))
            return PlainTextResponse(f"{error}\n", 500, {"X-ClickHouse-Exception-Code": code[1] if code else "0"})
        summary = {} if answer.written is None else {"written_rows": str(answer.written)}
        return Response(answer.body, headers={"X-ClickHouse-Summary": json.dumps(summary)})

    async def ping(_request: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    return Starlette(routes=[Route("/", query, methods=["GET", "POST"]), Route("/ping", ping)])


def _form(body: bytes, content_type: str) -> dict[str, str]:
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=HTTP)
    return {
        str(part.get_param("name", header="content-disposition")): bytes(part.get_payload(decode=True)).decode()
        for part in message.iter_parts()
    }


def _decompressed(body: bytes, encoding: str | None) -> bytes:
    match encoding:
        case "lz4":
            return b"".join(_lz4_frames(body))
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress(body)
        case "gzip":
            return gzip.decompress(body)
        case _:
            return body


def _lz4_frames(body: bytes) -> Iterator[bytes]:
    """Yield what each frame holds: a client sends a large insert in several."""
    while body:
        frame = lz4.frame.LZ4FrameDecompressor()
        yield frame.decompress(body)
        if not frame.eof:
            raise RuntimeError("the body ends within an lz4 frame")
        body = frame.unused_data or b""


def _quoted(text: str, quote: str = "'") -> str:
    return quote + text.replace("\\", "\\\\").replace(quote, f"\\{quote}") + quote


def main() -> None:
    path, port = sys.argv[1:]
    os.environ.setdefault("TZ", "UTC")
    uvicorn.run(create_app(path), host="127.0.0.1", port=int(port), log_level="warning", timeout_graceful_shutdown=5)


if __name__ == "__main__":
    main()
