"""A supervisor keeps workers running: one that ends by itself is started again, after a longer pause each time."""

import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

_LOG = logging.getLogger(__name__)

FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 30.0
STEADY_S = 60.0
"""A worker that lived so long is started again at once."""


def supervise(*commands: Sequence[str]) -> int:
    """Run commands beside each other until all have ended well, or until this process is told to stop.

    Shape: returns the last exit status of the first command whose last one is not 0, else 0.
    """
    stop = threading.Event()
    kept = [_Kept(command, stop) for command in commands]

    def pass_on(number: int, _frame: FrameType | None) -> None:
        stop.set()
        for one in kept:
            one.send(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    with ThreadPoolExecutor(len(kept), "supervise") as threads:
        return next((status for status in threads.map(_Kept.run, kept) if status), 0)


class _Kept:
    """One command that is kept running."""

    def __init__(self, command: Sequence[str], stop: threading.Event) -> None:
        # a session of its own: Ctrl-C reaches it through this process alone; tethered: when this process is killed, so
        # is the worker, or a second one would be started beside it
        self._command = [sys.executable, "-m", "infra.engines.tether", str(os.getpid()), *command]
        self._stop = stop
        self._child: subprocess.Popen[bytes] | None = None

    def send(self, number: int) -> None:
        if (child := self._child) is not None:
            child.send_signal(number)

    def run(self) -> int:
        backoff_s = FIRST_BACKOFF_S
        while True:
            began = time.monotonic()
            self._child = child = subprocess.Popen(self._command, start_new_session=True)  # noqa: S603 - our own line
            if self._stop.is_set():
                child.terminate()
            status = child.wait()
            if status == 0 or self._stop.is_set():
                return status
            backoff_s = FIRST_BACKOFF_S if time.monotonic() - began > STEADY_S else min(backoff_s * 2, MAX_BACKOFF_S)
            pause_s = backoff_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
            _LOG.error("the worker ended with status %d; it is started again in %.1f s", status, pause_s)
            self._stop.wait(pause_s)
            if self._stop.is_set():
                return status
