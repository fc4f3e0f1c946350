"""Tests start a worker or a gateway as a process of its own here."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster import Cluster, master_key_file

_GREETING = re.compile(r"gateway on (http://\S+)")


class ClusterProcess:
    """`factline …`, started again by `run` whenever it has ended.

    Shape: `program` is another Python program, told by the same environment; `folder` is its data directory; `ends` are
    the exit statuses of those that `run` found ended.
    """

    def __init__(
        self,
        arguments: str,
        cluster: Cluster,
        registry_url: str,
        folder: Path,
        *,
        more: Mapping[str, str] | None = None,
        program: Sequence[str] = ("-m", "infra.cli.main"),
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.ends: list[int] = []
        self._log = folder / "log"
        self._command = [sys.executable, *program, *arguments.split()]
        self._environment = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "FACTLINE_KAFKA_BOOTSTRAP": cluster.bootstrap,
            "FACTLINE_REGISTRY_URL": registry_url,
            "FACTLINE_TOPIC_PREFIX": cluster.topics.prefix,
            "FACTLINE_PARTITIONS": str(cluster.topics.partitions),
            "FACTLINE_MASTER_KEY_FILE": master_key_file(folder),
            "DATA_DIR": str(folder),
            "PORT": "0",
            **(more or {}),
        }
        self._child: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        if self._child is not None and self._child.poll() is None:
            return
        if self._child is not None:
            self.ends.append(self._child.wait())
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)

    def send(self, number: int) -> None:
        assert self._child is not None
        self._child.send_signal(number)

    def kill(self) -> None:
        """End it at once, and wait until it has ended: `run` leaves alone what still runs."""
        self.send(signal.SIGKILL)
        self.wait(30)

    def wait(self, timeout_s: float) -> int:
        """Wait until it has ended by itself; return its exit status."""
        assert self._child is not None
        return self._child.wait(timeout_s)

    def close(self) -> None:
        if self._child is not None:
            self._child.send_signal(signal.SIGCONT)
            self._child.terminate()
            self._child.wait(30)

    def said(self) -> str:
        return self._log.read_text()

    @property
    def address(self) -> str | None:
        """Return where a gateway listens, once it does."""
        found = _GREETING.search(self.said())
        return found and found[1]
