"""The distributed profile runs here on one machine: a worker of each kind and a gateway, over real engines."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from infra.engines import process
from infra.engines.catalog import environment
from infra.engines.engine import free_ports
from projections.rows import Role
from tests.waiting import eventually

if TYPE_CHECKING:
    from infra.engines.clickhouse import ClickHouseFront
    from infra.engines.engine import Engine

STOPS_WITHIN_S = 180
PARTITIONS = 4
GATEWAY = "gateway"
OTHER_GATEWAY = "other-gateway"

_NUMBERS = count(1)


class Deployment:
    """What `factline migrate` made ready and `factline worker …` and `factline serve` keep going."""

    def __init__(self, engines: Sequence["Engine"], clickhouse: "ClickHouseFront", folder: Path) -> None:
        self.folder = folder
        self.ports = free_ports([GATEWAY, OTHER_GATEWAY, *Role])
        name = f"deployed_{os.getpid()}_{next(_NUMBERS)}"
        httpx.post(clickhouse.url, content=f"CREATE DATABASE {name}", timeout=60).raise_for_status()
        self._settings = {
            **environment(engines),
            "FACTLINE_CLICKHOUSE_URL": f"{clickhouse.url}/{name}",
            "FACTLINE_CASSANDRA_KEYSPACE": name,
            "FACTLINE_MONGO_DATABASE": name,
            "FACTLINE_TOPIC_PREFIX": name,
            "FACTLINE_PARTITIONS": str(PARTITIONS),
            "FACTLINE_MASTER_KEY_FILE": str(folder / "master.key"),
            # no test waits so long, and none is surprised by a device that goes OFFLINE
            "FACTLINE_SILENCE_S": "86400",
            "FACTLINE_CURSOR_SECRET": "for the gateways of this deployment",
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def factline(self, *arguments: str) -> str:
        """Run a command of an operator to its end and return what it says."""
        done = process.run(self._command("machine", {"FACTLINE_PROFILE": "distributed"}, *arguments))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self) -> None:
        """Return when every part says that it is ready."""
        self.factline("migrate")
        self._run("commands", "worker", "commands")
        for role in Role:
            self._run(role.value, "worker", role.value, "--status-port", str(self.ports[role]))
        self.run_gateway(GATEWAY)
        for role in Role:
            eventually(lambda: _ready(f"http://127.0.0.1:{self.ports[role]}/ready"), self._logs)  # noqa: B023
        eventually(lambda: _ready(f"{self.url()}/v1/ops/health"), self._logs)

    def run_gateway(self, name: str) -> None:
        """Start a gateway and return when it answers, though a store may be away."""
        self._run(name, "serve", "--profile", "distributed", PORT=str(self.ports[name]))
        eventually(lambda: _ready(f"{self.url(name)}/v1/ops/alive"), self._logs)

    def _run(self, name: str, *arguments: str, **settings: str) -> None:
        # a folder of its own, as on a machine of its own
        command = self._command(name, settings, *arguments)
        log, pid_file = self.folder / f"{name}.log", self.folder / f"{name}.pid"
        self.processes[name] = process.spawn(command, log=log, pid_file=pid_file, detach=False)

    def url(self, gateway: str = GATEWAY) -> str:
        return f"http://127.0.0.1:{self.ports[gateway]}"

    @property
    def operator_key(self) -> str:
        """Return the operator's key, which the gateway that registered the operator keeps."""
        key: str = eventually(self._operator_key, self._logs)
        return key

    def _operator_key(self) -> str | None:
        found = list(self.folder.glob("*/gateways/0/operator.key"))
        return found[0].read_text().strip() if found else None

    def stop(self) -> None:
        for child in self.processes.values():
            child.terminate()
        for child in self.processes.values():
            child.wait(STOPS_WITHIN_S)

    def _command(self, name: str, settings: Mapping[str, str], *arguments: str) -> list[str]:
        # `env` becomes the program: the process is tethered to this one, and has no orphans
        told = {**self._settings, "DATA_DIR": str(self.folder / name), **settings}
        return ["env", *(f"{key}={value}" for key, value in told.items()), *_CLI, *arguments]

    def _logs(self) -> str:
        return "\n".join(f"{log.name}: {log.read_text()[-2_000:]}" for log in self.folder.glob("*.log"))


_CLI = (sys.executable, "-m", "infra.cli.main")


def _ready(url: str) -> bool:
    try:
        return httpx.get(url, timeout=15, trust_env=False).is_success
    except httpx.TransportError:
        return False


@contextmanager
def deployed(engines: Sequence["Engine"], clickhouse: "ClickHouseFront", folder: Path) -> Iterator[Deployment]:
    deployment = Deployment(engines, clickhouse, folder)
    try:
        deployment.start()
        yield deployment
    finally:
        deployment.stop()
