"""A supervisor starts a worker again when it ends by itself, and waits longer each time."""

import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType

_LOG = logging.getLogger(__name__)

FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 30.0
STEADY_S = 60.0
"""A worker that lived so long is started again at once."""


def supervise(command: Sequence[str]) -> int:
    """Run a command until it ends well, or until this process is told to stop; return its last exit status."""
    stop = threading.Event()
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        stop.set()
        if child is not None:
            child.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    backoff_s = FIRST_BACKOFF_S
    while True:
        began = time.monotonic()
        # a session of its own: Ctrl-C reaches it through this process alone; tethered: when this process is killed, so
        # is the worker, or a second one would be started beside it
        tethered = [sys.executable, "-m", "infra.engines.tether", str(os.getpid()), *command]
        child = subprocess.Popen(tethered, start_new_session=True)  # noqa: S603 - our own command line
        if stop.is_set():
            child.terminate()
        status = child.wait()
        if status == 0 or stop.is_set():
            return status
        backoff_s = FIRST_BACKOFF_S if time.monotonic() - began > STEADY_S else min(backoff_s * 2, MAX_BACKOFF_S)
        pause_s = backoff_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
        _LOG.error("the worker ended with status %d; it is started again in %.1f s", status, pause_s)
        stop.wait(pause_s)
        if stop.is_set():
            return status
