"""Tests start `factline serve` as a process of its own here, to stop it, kill it or starve it."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

FACTLINE = (sys.executable, "-m", "infra.cli.main")
STARTS_WITHIN_S = 60.0
STOPS_WITHIN_S = 30.0
_GREETING = re.compile(r"on (http://127\.0\.0\.1:\d+)(?:/#key=(\S+))?")


class ServerProcess:
    """A server on a data directory; started once, or again after it ended.

    Shape: `api_key` is the demo tenant's, which the first start on an empty directory shows; `port` is kept. `program`
    is how factline is started.
    """

    def __init__(
        self, data_dir: Path, *, port: int = 0, errors: Path | None = None, program: Sequence[str] = FACTLINE
    ) -> None:
        self.data_dir = data_dir
        self.port = port
        self.api_key = ""
        self.address = ""
        self._program = program
        self._errors = errors or data_dir.with_name(f"{data_dir.name}.stderr")
        self._process: subprocess.Popen[str] | None = None

    @property
    def process(self) -> "subprocess.Popen[str]":
        assert self._process is not None
        return self._process

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def spawn(self) -> None:
        """Start the process without waiting for it."""
        where = ("--data-dir", str(self.data_dir), "--port", str(self.port))
        command = [*self._program, "serve", *where]
        with self._errors.open("a") as errors:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)

    def start(self) -> Self:
        self.spawn()
        try:
            self.read_greeting()
            self._wait_until_it_answers()
        except BaseException:
            # left running, it would fail a later test that has nothing to do with it
            self.kill()
            raise
        return self

    def read_greeting(self) -> None:
        assert self.process.stdout is not None
        found = _GREETING.search(self.process.stdout.readline())
        assert found, f"the server did not start: {self.errors[-2000:]}"
        self.address = found[1]
        self.port = httpx.URL(self.address).port or 0
        self.api_key = found[2] or self.api_key

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                httpx.get(f"{self.address}/v1/ops/health", trust_env=False, timeout=STARTS_WITHIN_S)
            except httpx.TransportError:
                assert self.process.poll() is None, self.errors[-2000:]
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.02)
            else:
                return

    def client(self, key: str | None = None) -> httpx.Client:
        headers = {"X-API-Key": key or self.api_key}
        return httpx.Client(base_url=self.address, headers=headers, timeout=60, trust_env=False)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self._end()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Tell the server to stop; return its exit status."""
        self.process.send_signal(how)
        return self._end()

    def _end(self) -> int:
        status = self.process.wait(STOPS_WITHIN_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        elif self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()


def factline(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line to its end."""
    command = [*FACTLINE, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=STARTS_WITHIN_S * 2, check=False)
