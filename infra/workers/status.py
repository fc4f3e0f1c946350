"""A worker says over HTTP how it is, at `/ready` and `/metrics`."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.registry import Collector


class Address(NamedTuple):
    """Where a worker says how it is. Shape: any free port where `port` is 0."""

    host: str
    port: int


class Status(Collector):
    """What a worker says of itself; asked from another thread than it works in."""

    @property
    def problem(self) -> str | None:
        """Return why the worker is not ready, or None."""
        raise NotImplementedError

    @property
    def behind(self) -> int | None:
        """Return how many records or commands are not read, None where nobody knows."""
        raise NotImplementedError


@contextmanager
def served(status: Status, at: Address) -> Iterator[int]:
    """Answer at an address and yield the port; threads of their own answer while the worker is busy, or hangs."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(status)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            elif self.path == "/ready":
                problem = status.problem
                body = {"ready": problem is None, "problem": problem, "lag": status.behind}
                self._answer(503 if problem else 200, "application/json", json.dumps(body).encode())
            else:
                self.send_error(404)

        def _answer(self, code: int, content_type: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: a scrape every few seconds is no news."""

    with ThreadingHTTPServer(at, Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, name="status", daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
