"""The supervisor: what ends by itself is started again, what is told to stop stops."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.workers import supervisor
from infra.workers.supervisor import supervise

COUNTS_DOWN = """
import pathlib, sys
path = pathlib.Path(sys.argv[1])
left = int(path.read_text())
path.write_text(str(left - 1))
sys.exit(70 if left else 0)
"""

WAITS = """
import pathlib, signal, sys, time
path = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: (path.write_text("stopped"), sys.exit(5)))
path.write_text("started")
time.sleep(60)
"""

SUPERVISES = "import sys; from infra.workers.supervisor import supervise; sys.exit(supervise(sys.argv[1:]))"

SUPERVISES_TWO = SUPERVISES.replace("sys.argv[1:])", "*([*sys.argv[1:-1], f'{sys.argv[-1]}{n}'] for n in (1, 2)))")


def test_worker_that_ends_by_itself_is_started_again_until_it_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_BACKOFF_S", 0.01)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    left = tmp_path / "left"
    left.write_text("3")
    assert supervise([sys.executable, "-c", COUNTS_DOWN, str(left)]) == 0
    assert left.read_text() == "-1"
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_told_to_stop_it_tells_its_worker_and_starts_no_other(tmp_path: Path) -> None:
    said = tmp_path / "said"
    process = subprocess.Popen([sys.executable, "-c", SUPERVISES, sys.executable, "-c", WAITS, str(said)])
    deadline = time.monotonic() + 20
    while not said.exists() or said.read_text() != "started":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.terminate()
    assert process.wait(20) == 5
    assert said.read_text() == "stopped"


def test_killed_it_takes_its_worker_with_it(tmp_path: Path) -> None:
    said = tmp_path / "said"
    waits = WAITS.replace('"started"', "str(os.getpid())").replace("import pathlib", "import os, pathlib")
    process = subprocess.Popen([sys.executable, "-c", SUPERVISES, sys.executable, "-c", waits, str(said)])
    until(lambda: said.exists() and said.read_text().isdigit())
    worker = int(said.read_text())
    process.kill()
    assert process.wait(20) == -signal.SIGKILL
    until(lambda: not is_running(worker))


def test_each_of_several_is_started_again_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_BACKOFF_S", 0.01)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    counts = {tmp_path / "one": 2, tmp_path / "two": 0, tmp_path / "three": 1}
    for path, left in counts.items():
        path.write_text(str(left))
    assert supervise(*([sys.executable, "-c", COUNTS_DOWN, str(path)] for path in counts)) == 0
    assert [path.read_text() for path in counts] == ["-1"] * 3
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_told_to_stop_it_tells_all_of_several(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", SUPERVISES_TWO, sys.executable, "-c", WAITS, str(tmp_path / "n")])
    said = [tmp_path / "n1", tmp_path / "n2"]
    until(lambda: all(one.exists() and one.read_text() == "started" for one in said))
    process.terminate()
    assert process.wait(20) == 5
    assert [one.read_text() for one in said] == ["stopped"] * 2


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        # who takes its parent's place may leave it unwaited for
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
