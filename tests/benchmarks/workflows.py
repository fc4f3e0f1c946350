"""Steps of workflows in the embedded profile, all recorded in their log, beside DBOS Transact on the same disk.

DBOS comes from PyPI into an environment of its own, `build/dbos`, because nothing else needs it; where that cannot be
made, its figure is left out.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from domain.automation.execution import ExecuteWorkflow, WorkflowCompleted
from domain.automation.graph import Edge, TransformNode
from domain.automation.workflow import CreateWorkflow, PublishWorkflow
from infra.embedded import Embedded
from schemas.envelope import Entry, Envelope, Topic
from tests.benchmarks.embedded import alone
from tests.benchmarks.result import Result, median_of
from tests.streams.kit import accepted, register_tenant, submission

STEPS = 100
WORKFLOWS = 100
ROUNDS = 3
_DBOS = "dbos>=3.4,<4"
_HERE = Path(__file__).parent


def run(say: Callable[[str], None]) -> Iterator[Result]:
    say(f"{WORKFLOWS} workflows of {STEPS} steps")
    ours = median_of(ROUNDS, lambda: alone(steps_per_s))
    say("the same with DBOS")
    theirs = median_of(ROUNDS, dbos) if _has_dbos(say) else None
    yield Result("steps of workflows, embedded", ours, "/s", theirs, 3_000)
    yield Result("… against DBOS on SQLite, the same disk", ours, "/s", theirs, 1, of_ratio=True)


def steps_per_s() -> float:
    """Return how many nodes a second are completed and on disk. Shape: one writer, all executions begun together."""
    with TemporaryDirectory(dir="build") as folder, Embedded.open(Path(folder)) as embedded:
        writer = embedded.writer
        names = [f"n{at}" for at in range(STEPS)]
        nodes = tuple(
            TransformNode(
                id=name, type="transform", expression=f"nodes.n{at - 1}.output + 1" if at else "int(input.start) + 1"
            )
            for at, name in enumerate(names)
        )
        edges = tuple(Edge(from_=one, to=other) for one, other in pairwise(names))
        publish = PublishWorkflow(workflow_id="count", nodes=nodes, edges=edges)
        made = [submission(CreateWorkflow(workflow_id="count", name="Count")), submission(publish)]
        assert all(map(accepted, writer.write([register_tenant("demo"), *made])[1:]))
        begin = time.perf_counter()
        begun = [
            submission(ExecuteWorkflow(execution_id=f"e{n}", workflow_id="count", input={"start": 0}))
            for n in range(WORKFLOWS)
        ]
        assert all(map(accepted, writer.write(begun)))
        while writer.wait_s() <= 0:
            writer.tick()
        took = time.perf_counter() - begin
        ended = [entry for entry in embedded.log.read(Topic.EVENTS, 0, after=0, limit=1_000_000) if _is_end(entry)]
        assert len(ended) == WORKFLOWS
        return WORKFLOWS * STEPS / took


def _is_end(entry: Entry) -> bool:
    return isinstance(entry, Envelope) and entry.type == WorkflowCompleted.TYPE and str(STEPS) in entry.data["output"]


def dbos() -> float:
    with TemporaryDirectory(dir="build") as folder:
        command = [_python(), _HERE / "dbos_steps.py", Path(folder).absolute() / "dbos.sqlite", WORKFLOWS, STEPS]
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
        return float(done.stdout.split()[-1])


def _python() -> Path:
    return Path("build/dbos/bin/python").absolute()


def _has_dbos(say: Callable[[str], None]) -> bool:
    if not _python().exists():
        subprocess.run([sys.executable, "-m", "venv", "build/dbos"], check=True)
    done = subprocess.run(
        [_python(), "-m", "pip", "install", "--quiet", _DBOS], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        say(f"DBOS is left out: {done.stderr.strip().splitlines()[-1:]}")
    return done.returncode == 0
