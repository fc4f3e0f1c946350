"""An engine is a process on this machine with a folder and ports of its own; each kind has a file beside this."""

import json
import random
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from infra.engines import process

READY_TIMEOUT_S = 180
STOP_TIMEOUT_S = 30
LOG_TAIL_LINES = 20
# Below the range that Linux hands out to outgoing connections, so that a stopped engine finds its port free again.
PORTS = range(20_000, 32_000)


class EngineFailed(Exception):  # noqa: N818
    """An engine ended or gave no answer in time; its log says why. Retry once that is put right."""


@dataclass
class Engine(ABC):
    """Shape: `directory` is the engine's own: data, configuration, log, pid file, ports."""

    directory: Path
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False, compare=False)

    name: ClassVar[str]
    port_names: ClassVar[tuple[str, ...]]

    @abstractmethod
    def prepare(self) -> Sequence[str]:
        """Write the configuration and return the command line."""

    @abstractmethod
    def answers(self) -> bool:
        """Ask the engine, through its own protocol, if it serves."""

    @property
    @abstractmethod
    def address(self) -> Mapping[str, str | int]:
        """Return what a client needs to reach it."""

    def __post_init__(self) -> None:
        self.directory = self.directory.absolute()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def log(self) -> Path:
        return self.directory / "log"

    @property
    def pid(self) -> int | None:
        return process.running(self._pid_file)

    @cached_property
    def ports(self) -> Mapping[str, int]:
        """Return the ports, chosen once: some engines write theirs into their data."""
        file = self.directory / "ports.json"
        if not file.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(free_ports(self.port_names)))
        ports: dict[str, int] = json.loads(file.read_text())
        return ports

    def start(self, *, detach: bool = False) -> Self:
        """Start it, unless it runs already, and wait until it answers.

        Raises: EngineFailed, it ended or gave no answer; ToolMissing, something has to be installed first.
        """
        self.launch(detach=detach)
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def launch(self, *, detach: bool = False) -> bool:
        """Start the process and do not wait; False if it runs already."""
        if self.pid:
            return False
        self.directory.mkdir(parents=True, exist_ok=True)
        for port in self.ports.values():
            if listens(port):
                raise EngineFailed(f"{self.name}: port {port} is taken; end what uses it, or delete {self.directory}")
        command = self.prepare()
        self._child = process.spawn(command, log=self.log, pid_file=self._pid_file, detach=detach)
        return True

    def wait_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self.ready():
            if not self.pid:
                raise EngineFailed(f"{self.name} ended while it started; the end of {self.log}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise EngineFailed(f"{self.name} gave no answer in {READY_TIMEOUT_S} s; see {self.log}")
            time.sleep(process.POLL_S)

    def ready(self) -> bool:
        # The port first: clients are slow and loud about a server that is not there yet.
        return self.pid is not None and listens(next(iter(self.ports.values()))) and self.answers()

    def stop(self) -> None:
        """Stop it in order, by force if that takes too long. Nothing happens when it does not run."""
        self.terminate()
        if not process.wait(self._pid_file, STOP_TIMEOUT_S):
            self.kill()
        self._reap()

    def terminate(self) -> None:
        """Ask it to stop and do not wait."""
        process.send(self._pid_file, signal.SIGTERM)
        self.resume()

    def kill(self) -> None:
        """End it at once, with SIGKILL."""
        process.send(self._pid_file, signal.SIGKILL)
        process.wait(self._pid_file, STOP_TIMEOUT_S)
        self._reap()

    def pause(self) -> None:
        process.send(self._pid_file, signal.SIGSTOP)

    def resume(self) -> None:
        process.send(self._pid_file, signal.SIGCONT)

    def restart(self) -> Self:
        """Stop it if it runs, and start it on the same ports and data."""
        self.stop()
        return self.start()

    def log_tail(self, lines: int = LOG_TAIL_LINES) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    @property
    def _pid_file(self) -> Path:
        return self.directory / "pid"

    def _reap(self) -> None:
        if self._child:
            self._child.wait()
            self._child = None


def listens(port: int) -> bool:
    with closing(socket.socket()) as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def free_ports(names: Iterable[str]) -> dict[str, int]:
    candidates = (port for port in random.sample(PORTS, len(PORTS)) if _can_bind(port))
    return dict(zip(names, candidates, strict=False))


def _can_bind(port: int) -> bool:
    with closing(socket.socket()) as server:
        try:
            server.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
