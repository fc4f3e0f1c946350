"""An hour of the embedded server with the readings of its machine, five watches and a page that asks.

Threads, descriptors, memory and the write-ahead logs must not grow with time: what they are in the last quarter of the
hour is compared with the second, because the first has what is made once. `GROWTH_MINUTES` makes it shorter, and
`BASELINE` names a work tree of an earlier commit, whose server is measured beside this one.
"""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.benchmarks.embedded import Server, served
from tests.benchmarks.result import Result

MINUTES = 60
EVERY_S = 2.0
_ASKED = ("/v1/devices?limit=20", "/v1/alerts?limit=20", "/v1/ops/health", "/v1/ops/lag", "/v1/logs?limit=20")


class Sample(NamedTuple):
    """What the server has at a moment. Units: MB, but for the counts."""

    threads: int
    descriptors: int
    memory: float
    write_ahead: float
    written: float


def run(say: Callable[[str], None]) -> Iterator[Result]:
    minutes = float(os.environ.get("GROWTH_MINUTES", MINUTES))
    say(f"the server at rest for {minutes:g} minutes")
    trees = [Path.cwd(), *(Path(tree) for tree in [os.environ.get("BASELINE")] if tree)]
    with ThreadPoolExecutor(len(trees)) as side_by_side:
        of_trees = list(side_by_side.map(lambda tree: _at_rest(tree, minutes * 60), trees))
    samples = of_trees[0]
    quarter = len(samples) // 4
    second, last = samples[quarter : 2 * quarter], samples[-quarter:]
    for name, unit in (("threads", ""), ("descriptors", ""), ("memory", "MB")):
        value, before = (median(getattr(one, name) for one in part) for part in (last, second))
        yield Result(f"embedded at rest: {name} in the last quarter", value, unit, before, 1.1, True, most=True)
    yield Result("embedded at rest: write-ahead logs at most", max(one.write_ahead for one in samples), "MB")
    written = [(each[-1].written - each[0].written) * 60 / minutes for each in of_trees]
    baseline = written[1] if len(written) > 1 else None
    yield Result("embedded at rest: written an hour", written[0], "MB", baseline, 0.5, True, most=True)


def _at_rest(tree: Path, seconds: float) -> list[Sample]:
    with TemporaryDirectory(dir="build") as folder, served(Path(folder), tree) as server:
        _watch(server)
        return _samples(server, seconds)


def _watch(server: Server) -> None:
    for at, metric in enumerate(("cpu_percent", "memory_percent", "disk_percent", "load_1m", "network_sent_bytes")):
        rule = {"kind": "threshold", "metric": metric, "above": 1e12, "for_s": 60}
        watch = {"watch_id": f"w{at}", "name": metric, "severity": "warning", "rule": rule}
        answer = server.client.post("/v1/commands/fleet/DefineWatch", json=watch)
        answer.raise_for_status()


def _samples(server: Server, seconds: float) -> list[Sample]:
    samples = []
    end = time.monotonic() + seconds
    at = 0
    while time.monotonic() < end:
        samples.append(_sample(server))
        server.client.get(_ASKED[at % len(_ASKED)]).raise_for_status()
        at += 1
        time.sleep(EVERY_S)
    return samples


def _sample(server: Server) -> Sample:
    process = Path(f"/proc/{server.process.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    written = next(line for line in (process / "io").read_text().splitlines() if line.startswith("write_bytes"))
    # the folders of parts come and go, and have none
    ahead = [path for at in ("*-wal", "views/*-wal") for path in server.folder.glob(at)]
    return Sample(
        threads=int(status["Threads"]),
        descriptors=len(list((process / "fd").iterdir())),
        memory=int(status["VmRSS"].split()[0]) / 1_000,
        write_ahead=sum(path.stat().st_size for path in ahead) / 1e6,
        written=int(written.split()[1]) / 1e6,
    )
