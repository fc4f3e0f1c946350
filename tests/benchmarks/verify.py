"""How long it takes to prove that a view equals the log, again after one per cent more, and to build it anew.

Times are those of the processor that the process had, so that other work on the machine does not count.
`BASELINE` names a work tree of an earlier commit (`git worktree add ../before 864c86d`), which is measured beside it;
`READINGS` says how many there are, 300,000 where nobody says. `python -m tests.benchmarks.verify profile verify
metrics_5m` shows where the time goes; `rebuild` and `again` are the other two.
"""

import cProfile
import json
import os
import pstats
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from domain.fleet.facts import DeviceMetricsReported
from infra.collector import settle_collector
from infra.embedded import DEMO_TENANT, Embedded
from schemas.envelope import Actor, ActorType
from streams.ports import FactSubmission
from tests.benchmarks.result import Result

HERE = Path(__file__).resolve().parents[2]
VIEWS = ("device_metrics", "metrics_5m")
READINGS = int(os.environ.get("READINGS", "300000"))
DEVICES = 2_000
METRICS = 5
AT_ONCE = 1_000
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_ACTOR = Actor(ActorType.SYSTEM, "benchmark")
_FIRST, _AGAIN, _REBUILD, _MEMORY = "verify", "verify again", "rebuild", "memory"


def run(say: Callable[[str], None]) -> Iterator[Result]:
    """Measure every view with its baseline; results come as they are there."""
    before = os.environ.get("BASELINE")
    say(f"{READINGS:,} readings: verify and rebuild{f', then in {before}' if before else ''}")
    ours = _measured(HERE)
    theirs = _measured(Path(before)) if before else {}
    for view in VIEWS:
        for what in (_FIRST, _REBUILD):
            rate, baseline = READINGS / ours[f"{what} {view}"], theirs.get(f"{what} {view}")
            then = READINGS / baseline if baseline else None
            yield Result(f"{what} of {view}, readings", rate, "/s", then, 5, of_ratio=True)
        again, first = ours[f"{_AGAIN} {view}"], ours[f"{_FIRST} {view}"]
        yield Result(
            f"{_AGAIN} of {view} after 1 % more, against the first", again, "s", first, 0.1, of_ratio=True, most=True
        )
    yield Result("memory of the process after it", ours[_MEMORY], "MB", theirs.get(_MEMORY), most=True)


def _measured(tree: Path) -> Mapping[str, float]:
    """Return what a process of its own measures, with the code of a work tree."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), "measure"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: Mapping[str, float] = json.loads(done.stdout)
    return found


# --- what the process does, in either tree


def measure() -> Mapping[str, float]:
    times: dict[str, float] = {}
    with _filled() as folder, Embedded.open(Path(folder)) as embedded:
        operations = embedded.views.operations
        settle_collector()
        for view in VIEWS:
            times[f"{_FIRST} {view}"] = _seconds(lambda: _equal(operations.verify(view, _ignore)))  # noqa: B023 - at once
        _record(embedded, READINGS, READINGS // 100)
        for view in VIEWS:
            times[f"{_AGAIN} {view}"] = _seconds(lambda: _equal(operations.verify(view, _ignore)))  # noqa: B023 - at once
            times[f"{_REBUILD} {view}"] = _seconds(lambda: operations.rebuild(view, _ignore))  # noqa: B023 - at once
    times[_MEMORY] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return times


def _filled() -> "TemporaryDirectory[str]":
    folder = TemporaryDirectory(dir=HERE / "build")
    with Embedded.open(Path(folder.name)) as embedded:
        embedded.first_start()
        _record(embedded, 0, READINGS)
    return folder


def _record(embedded: Embedded, first: int, readings: int) -> None:
    """Record readings as a fleet sends them: all metrics of a device at once, and device after device each minute."""
    facts = range(first // METRICS, (first + readings) // METRICS)
    for at in range(facts.start, facts.stop, AT_ONCE):
        some = range(at, min(at + AT_ONCE, facts.stop))
        embedded.log.append_facts(DEMO_TENANT, [_fact(n) for n in some], _ACTOR)
    embedded.views.catch_up()


def _fact(n: int) -> FactSubmission:
    metrics = {f"metric-{m}": (n * m) % 1000 / 7 for m in range(METRICS)}
    at = BEGIN + timedelta(minutes=n // DEVICES, milliseconds=n % DEVICES)
    return FactSubmission(f"web-{n % DEVICES}", at, DeviceMetricsReported(metrics=metrics, unit="%"))


def _equal(verdict: Any) -> None:
    assert verdict.differences == 0, verdict


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _ignore(_step: object) -> None:
    pass


def _profile(what: str, view: str) -> None:
    with _filled() as folder, Embedded.open(Path(folder)) as embedded:
        operations = embedded.views.operations
        if what == "again":
            operations.verify(view, _ignore)
            _record(embedded, READINGS, READINGS // 100)
        profile = cProfile.Profile()
        profile.runcall(operations.rebuild if what == "rebuild" else operations.verify, view, _ignore)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    if sys.argv[1] == "profile":
        _profile(*sys.argv[2:4])
    else:
        print(json.dumps(measure()))
