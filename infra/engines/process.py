"""A process is known by a pid file, so that any later process can find it, signal it and stop it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path

POLL_S = 0.05


@cache
def _spawner() -> ThreadPoolExecutor:
    # The kernel ends a tethered child with the *thread* that started it: this one lives as long as the interpreter.
    return ThreadPoolExecutor(1, thread_name_prefix="engines")


def spawn(command: Sequence[str], *, log: Path, pid_file: Path, detach: bool) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, so that Ctrl-C reaches the launcher alone, which stops it in order."""
    tether = [] if detach else [sys.executable, "-m", "infra.engines.tether", str(os.getpid())]
    with log.open("ab") as output:
        child = (
            _spawner()
            .submit(
                subprocess.Popen,
                [*tether, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            .result()
        )
    pid_file.write_text(f"{child.pid} {_started(child.pid)}\n")
    return child


def run(command: Sequence[str], *, folder: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and keep what it says."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603, all are ours


def running(pid_file: Path) -> int | None:
    """Return the pid if that very process still runs; a number the system has given to another process is not it."""
    try:
        pid, started = (int(part) for part in pid_file.read_text().split())
    except (FileNotFoundError, ValueError):
        return None
    if _started(pid) == started:
        return pid
    pid_file.unlink(missing_ok=True)
    return None


def send(pid_file: Path, number: signal.Signals) -> None:
    if pid := running(pid_file):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def wait(pid_file: Path, timeout_s: float) -> bool:
    """Wait until the process is gone; False when the time ran out."""
    deadline = time.monotonic() + timeout_s
    while running(pid_file):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _started(pid: int) -> int | None:
    """Return when a process began, in clock ticks since boot; None for one that is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state == "Z" else int(fields[18])
