"""Tasks over HTTP: how many can be claimed and completed in a second by workers that take one at a time, or several.

`BASELINE` names a work tree of an earlier commit, which is measured beside this one in turns.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from tests.benchmarks.commands_http import Send, in_parallel
from tests.benchmarks.embedded import Server, served
from tests.benchmarks.result import Result

TASKS = 4_000
WORKERS = 32
BATCH = 500
ROUNDS = 2
AT_ONCE = (1, 20)
"""Tasks that a worker takes with one claim."""


def run(say: Callable[[str], None]) -> Iterator[Result]:
    here, before = Path.cwd(), os.environ.get("BASELINE")
    trees = [Path(before), here] if before else [here]
    say("tasks over HTTP" + ("" if before else "; set BASELINE to a work tree of an earlier commit for a ratio"))
    rates = {tree: [_rates(tree) for _ in range(ROUNDS)] for tree in trees}
    for n, at_once in enumerate(AT_ONCE):
        best = {tree: max(rate[n] for rate in measured) for tree, measured in rates.items()}
        baseline = best[trees[0]] if before else None
        yield Result(
            f"tasks claimed ({at_once} a claim) and completed, {WORKERS} workers", best[here], "/s", baseline, 1_000
        )


def _rates(tree: Path) -> list[float]:
    with TemporaryDirectory(dir="build") as folder, served(Path(folder).absolute(), tree) as server:
        return [asyncio.run(_rate(server, at_once)) for at_once in AT_ONCE]


async def _rate(server: Server, at_once: int) -> float:
    kind = f"bench.take{at_once}"

    async def request(send: Send, names: Sequence[str]) -> None:
        for at in range(0, len(names), BATCH):
            items = [
                {"id": name, "command": "operations.RequestTask", "body": {"task_id": name, "kind": kind}}
                for name in names[at : at + BATCH]
            ]
            await send(b"/v1/commands", orjson.dumps(items))

    done = 0

    async def work(send: Send, names: Sequence[str]) -> None:
        nonlocal done
        claim = orjson.dumps({"kinds": [kind], "worker": names[0], "max": at_once, "wait_s": 5})
        while done < TASKS:
            for task in orjson.loads(await send(b"/v1/tasks/claim", claim))["rows"]:
                answer = orjson.dumps({"attempt": task["attempt"], "output": {"status": 200}})
                await send(b"/v1/tasks/%b/complete" % task["task_id"].encode(), answer)
                done += 1

    await in_parallel(server, 1, [f"{kind}-{n}" for n in range(TASKS)], request)
    begin = time.perf_counter()
    await in_parallel(server, WORKERS, [f"worker-{n}" for n in range(WORKERS)], work)
    return TASKS / (time.perf_counter() - begin)
