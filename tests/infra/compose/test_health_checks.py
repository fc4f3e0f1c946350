"""Health checks of docker-compose.yml: what they start is in the images, and they say yes and no where they should."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest
from click.testing import CliRunner

from infra.cli.main import cli
from tests.infra.compose.compose_file import ENGINES, LISTENS, SERVICES, WORKERS
from tests.serving import port_of

CHECKED = (*ENGINES, "gateway", *WORKERS)
PROGRAMS = {
    # docker/jvm/Dockerfile of apache/kafka adds bash; docker/resources/common-scripts/run is a script of it
    "kafka": "bash",
    # made from ubi8/openjdk-17-runtime, whose start script run-java.sh is one of bash; nothing says that curl is there
    "registry": "bash",
    # docker-entrypoint.sh of docker-library/cassandra is a script of bash
    "cassandra": "bash",
    # docker/server/Dockerfile.ubuntu of ClickHouse adds wget; entrypoint.sh asks /ping with it
    "clickhouse": "wget",
    # 8.0/Dockerfile of docker-library/mongo adds mongodb-org-shell
    "mongo": "mongosh",
    # debian/Dockerfile of docker-library/redis builds both, redis-server and redis-cli
    "redis": "redis-cli",
    # our own Dockerfile: FROM python, then factline
    "gateway": "python",
    **dict.fromkeys(WORKERS, "factline"),
}
"""What each health check starts, and where it is known from that the image has it."""

BUILT_INTO_BASH = {"exec", "printf", "read", "["}


def check(name: str) -> list[str]:
    test: list[str] = SERVICES[name]["healthcheck"]["test"]
    return test


@contextmanager
def registry(status: int) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/apis/ccompat/v7/subjects" else 404)
            self.end_headers()

    with port_of(Handler) as port:
        yield port


def says(name: str, port: int) -> bool:
    """Run a check of bash here, against a port of this machine in place of the service's."""
    _, *command = (word.replace("$$", "$") for word in check(name))
    command[-1] = re.sub(r"/dev/tcp/[\w.]+/\d+", f"/dev/tcp/127.0.0.1/{port}", command[-1])
    return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0


@pytest.mark.parametrize("name", CHECKED)
def test_check_starts_only_what_the_image_has(name: str) -> None:
    kind, *command = check(name)
    assert kind == ("CMD-SHELL" if name == "mongo" else "CMD")
    words = [line.split()[0] for line in command[2].splitlines()] if command[0] == "bash" else []
    assert command[0].split()[0] == PROGRAMS[name]
    assert all(word in BUILT_INTO_BASH or word.startswith("</dev/tcp/") for word in words)


@pytest.mark.parametrize("name", ["kafka", "registry", "cassandra", "clickhouse", "gateway"])
def test_check_asks_the_port_that_others_use(name: str) -> None:
    assert re.search(rf"[:/]{LISTENS[name]}\b", " ".join(check(name)))


@pytest.mark.parametrize("name", ["kafka", "cassandra"])
def test_service_is_healthy_once_it_takes_connections(name: str) -> None:
    with registry(200) as port:
        assert says(name, port)
    assert not says(name, port)


def test_registry_is_healthy_once_it_answers() -> None:
    with registry(200) as port:
        assert says("registry", port)
    assert not says("registry", port)
    with registry(503) as port:
        assert not says("registry", port)


@pytest.mark.parametrize("name", WORKERS)
def test_worker_is_asked_where_it_is_told_to_answer(name: str) -> None:
    assert SERVICES[name]["environment"]["FACTLINE_STATUS_PORT"]
    _, _, *command = check(name)
    shown = CliRunner().invoke(cli, [*command, "--help"], terminal_width=200)
    assert "FACTLINE_STATUS_PORT" in shown.output
