"""A web server of this process, which says what it was sent."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple

from tests.serving import port_of


class Sent(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = tuple[int, dict[str, str], bytes | list[bytes]]
"""A status, headers, and a body; one of several parts is sent part by part."""


class WebServer:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.sent: list[Sent] = []


@contextmanager
def web_server(answer: Callable[[Sent], Answer]) -> Iterator[WebServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("content-length", 0))
            headers = {name.lower(): text for name, text in self.headers.items()}
            sent = Sent(self.command, self.path, headers, self.rfile.read(length))
            running.sent.append(sent)
            status, more, body = answer(sent)
            self.send_response(status)
            parts = body if isinstance(body, list) else [body]
            size = {"transfer-encoding": "chunked"} if parts is body else {"content-length": str(len(body))}
            for name, text in {**size, **more}.items():
                self.send_header(name, text)
            self.end_headers()
            if self.command != "HEAD":
                try:
                    for part in parts:
                        self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if parts is body else part)
                        self.wfile.flush()
                    self.wfile.write(b"0\r\n\r\n" if parts is body else b"")
                except OSError:
                    self.close_connection = True

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the library calls them so

    with port_of(Handler) as port:
        running = WebServer(port)
        yield running
