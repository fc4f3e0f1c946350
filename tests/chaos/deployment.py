"""The processes of a distributed deployment, which a run kills, pauses and starts again."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from infra.engines import process
from streams.topics import Topics
from tests.chaos.embedded import free_port
from tests.cluster import master_key_file

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka

MACHINES = 2
TENANTS = ("acme", "bolt", "core")
_STARTS_WITHIN_S = 180
_ENDS_WITHIN_S = 90.0


class Member:
    """A worker or gateway as a process; `keep` starts it again when it has ended by itself."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        module: str = "infra.cli.main",
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.ended: list[int] = []
        self._pid_file = folder / f"{name}.pid"
        # `env` becomes the program: the process is tethered to this one, and has no orphans
        settings = [f"{key}={value}" for key, value in environment.items()]
        self._command = ["env", *settings, sys.executable, "-m", module, *arguments]
        self._lock = threading.Lock()
        self._child = self._spawn()

    def _spawn(self) -> Any:
        return process.spawn(self._command, log=self.log, pid_file=self._pid_file, detach=False)

    def keep(self) -> None:
        # whoever holds the lock has ended it, and starts it again
        if not self._lock.acquire(blocking=False):
            return
        try:
            if (status := self._child.poll()) is not None:
                self.ended.append(status)
                self._child = self._spawn()
        finally:
            self._lock.release()

    def kill(self, away_s: float) -> None:
        """End it with SIGKILL, and start it again after a while."""
        with self._lock:
            self._child.kill()
            self._child.wait()
            time.sleep(away_s)
            self._child = self._spawn()

    def end(self, away_s: float) -> None:
        """End it in order, as a deployment does, and start it again; the status of one that did not is kept."""
        with self._lock:
            self._child.terminate()
            # one that had only begun to start has no say in how it ends
            if (status := self._child.wait(_ENDS_WITHIN_S)) not in (0, -signal.SIGTERM):
                self.ended.append(status)
            time.sleep(away_s)
            self._child = self._spawn()

    def pause(self, for_s: float) -> None:
        self._child.send_signal(signal.SIGSTOP)
        time.sleep(for_s)
        self._child.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it in order, by force if that takes too long."""
        self._child.terminate()
        try:
            self._child.wait(30)
        finally:
            self._child.kill()
            self._child.wait()


class Deployment:
    """Two machines with a worker and a gateway each, over one broker."""

    def __init__(self, kafka: "Kafka", registry_url: str, topics: Topics, folder: Path) -> None:
        self.kafka, self.topics, self._folder = kafka, topics, folder
        ports = [free_port() for _ in range(MACHINES)]
        self.addresses = [f"http://127.0.0.1:{port}" for port in ports]
        common = {
            "FACTLINE_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "FACTLINE_REGISTRY_URL": registry_url,
            "FACTLINE_TOPIC_PREFIX": topics.prefix,
            "FACTLINE_PARTITIONS": str(topics.partitions),
            "FACTLINE_MASTER_KEY_FILE": master_key_file(folder),
        }
        migrating = process.run(
            ["env", *(f"{k}={v}" for k, v in common.items()), f"DATA_DIR={folder}", *cli("migrate", "--only", "log")]
        )
        assert migrating.returncode == 0, migrating.stdout + migrating.stderr
        self.workers, self.gateways = [], []
        for n, port in enumerate(ports):
            here = common | {"DATA_DIR": str(folder / f"machine-{n}"), "PORT": str(port)}
            self.workers.append(Member(f"worker-{n}", ["worker", "commands"], here, folder))
            self.gateways.append(Member(f"gateway-{n}", ["serve", "--profile", "distributed"], here, folder))
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep)
        self._keeper.start()

    @property
    def members(self) -> list[Member]:
        return [*self.workers, *self.gateways]

    def _keep(self) -> None:
        while not self._stopping.wait(0.1):
            for member in self.members:
                member.keep()

    def stop(self) -> None:
        self._stopping.set()
        self._keeper.join()
        # gateways first: what they have sent is still decided
        for member in [*self.gateways, *self.workers]:
            member.stop()

    def keys(self) -> Mapping[str, str]:
        """Register the tenants; return an API key for each."""
        operator = _until(self._operator_key, _STARTS_WITHIN_S)
        with httpx.Client(headers={"X-API-Key": operator}, timeout=30, trust_env=False) as client:
            return {tenant: _until(partial(self._register, client, tenant), _STARTS_WITHIN_S) for tenant in TENANTS}

    def _operator_key(self) -> str | None:
        found = sorted(self._folder.glob("machine-*/gateways/*/operator.key"))
        return found[0].read_text().strip() if found else None

    def _register(self, client: httpx.Client, tenant: str) -> str | None:
        try:
            answer = client.post(f"{self.addresses[0]}/v1/tenants", json={"tenant_id": tenant, "name": tenant})
        except httpx.TransportError:
            return None
        if answer.status_code in (401, 503):
            return None
        assert answer.status_code == 201, answer.text
        key: str = answer.json()["api_key"]
        return key


def _until(find: Callable[[], str | None], timeout_s: float) -> str:
    deadline = time.monotonic() + timeout_s
    while (found := find()) is None:
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.1)
    return found


def cli(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "infra.cli.main", *arguments]
