"""`factline ready`, which asks a worker how it is, as health checks do."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest
from click.testing import CliRunner, Result

from infra.cli.main import cli
from tests.serving import port_of


@contextmanager
def worker(status: int, body: bytes) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/ready" else 404)
            self.end_headers()
            self.wfile.write(body)

    with port_of(Handler) as port:
        yield port


def ready(port: int) -> Result:
    return CliRunner().invoke(cli, ["ready"], env={"FACTLINE_STATUS_PORT": str(port)})


def test_worker_that_does_its_work_is_ready() -> None:
    with worker(200, b"{}") as port:
        result = ready(port)
    assert (result.exit_code, result.output) == (0, "ready\n")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (json.dumps({"ready": False, "problem": "waiting: no node answers"}).encode(), "waiting: no node answers"),
        (b"proxy", "is no worker of factline"),
    ],
)
def test_worker_that_waits_is_not_ready_and_says_why(body: bytes, said: str) -> None:
    with worker(503, body) as port:
        result = ready(port)
    assert result.exit_code == 1
    assert said in result.output


def test_worker_that_is_not_there_is_not_ready() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        result = ready(held.getsockname()[1])
    assert result.exit_code == 1
    assert "no worker answers at http://127.0.0.1:" in result.output
