"""Real servers in processes of their own."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from infra.engines.cassandra import Cassandra
    from infra.engines.clickhouse import ClickHouseFront
    from infra.engines.engine import Engine
    from infra.engines.kafka import Kafka
    from infra.engines.mongo import Mongo
    from infra.engines.registry import Registry
    from tests.end_to_end.deployment import Deployment

STARTS_WITHIN_S = 60
STOPS_WITHIN_S = 30


class Server:
    """`factline serve` on a data directory; `demo_key` is what its first start printed."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.url = ""
        self.demo_key = ""
        self._port = 0

    def start(self) -> None:
        """Start, at the same address as before, and return when it answers."""
        command = (
            sys.executable,
            "-m",
            "infra.cli.main",
            "serve",
            "--data-dir",
            self.data_dir,
            "--port",
            str(self._port),
        )
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        address = self._greeting()
        self.url, _, key = address.partition("/#key=")
        self.demo_key = key or self.demo_key
        self._port = httpx.URL(self.url).port or 0
        self._wait_until_ready()

    @property
    def log(self) -> Path:
        return self.data_dir.with_suffix(".log")

    def stop(self) -> int:
        """Press Ctrl-C; return the exit status."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(STOPS_WITHIN_S)
        finally:
            self.process.kill()
            self.process.communicate()

    def get(self, path: str, **parameters: Any) -> Any:
        return self._answer(httpx.get(self.url + path, params=parameters, headers=self._headers, timeout=30))

    def post(self, path: str, body: Any) -> Any:
        return self._answer(httpx.post(self.url + path, json=body, headers=self._headers, timeout=30))

    def command(self, name: str, **body: Any) -> Any:
        """Execute one command of the tenant demo, like `fleet.RegisterDevice`."""
        return self.post(f"/v1/commands/{name.replace('.', '/')}", body)

    @property
    def _headers(self) -> dict[str, str]:
        return {"X-API-Key": self.demo_key}

    @staticmethod
    def _answer(response: httpx.Response) -> Any:
        assert response.is_success, response.text
        return response.json()

    def _greeting(self) -> str:
        assert self.process.stdout
        for line in self.process.stdout:
            if " on http://" in line:
                return line.split(" on ")[1].split()[0]
        raise AssertionError(f"the server did not start: {self.log.read_text()}")

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                if httpx.get(f"{self.url}/v1/ops/health", timeout=5).is_success:
                    return
            except httpx.TransportError:
                assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server") / "data")
    server.start()
    try:
        yield server
    finally:
        status = server.stop()
    assert status == 0, server.log.read_text()


@pytest.fixture(scope="package")
def engines(kafka: "Kafka", registry: "Registry", cassandra: "Cassandra", own_mongo: "Mongo") -> "Sequence[Engine]":
    return (kafka, registry, cassandra, own_mongo)


@pytest.fixture(scope="package")
def deployment(
    engines: "Sequence[Engine]", clickhouse_front: "ClickHouseFront", tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Deployment]":
    from tests.end_to_end.deployment import deployed  # noqa: PLC0415, the drivers come with an extra

    with deployed((*engines, clickhouse_front), clickhouse_front, tmp_path_factory.mktemp("deployment")) as running:
        yield running
