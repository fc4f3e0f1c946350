"""`make bench` measures every figure with its baseline, and shows them as a table and in build/bench.json."""

import importlib
import sys
from pathlib import Path

from infra.engines.java import ToolMissing
from tests.benchmarks.result import Result, show, write

PARTS = (
    "embedded",
    "commands_http",
    "tasks_http",
    "reads_http",
    "subscribers",
    "telemetry",
    "imports",
    "timers",
    "workflows",
    "anomalies",
    "kafka_writer",
    "faust_delivery",
    "stores",
    "columns",
    "verify",
    "projectors",
    "fleet",
    "page",
)
"""Modules beside this one; `python -m tests.benchmarks stores` measures one alone.

`growth` takes an hour and is measured by its name only.
"""


def main() -> None:
    Path("build").mkdir(exist_ok=True)
    results: list[Result] = []
    for part in sys.argv[1:] or PARTS:
        try:
            for result in importlib.import_module(f"tests.benchmarks.{part}").run(_say):
                results.append(result)
                _say(f"  {result.name}: {result.value:,.1f} {result.unit}")
        except ToolMissing as missing:
            _say(f"{part} is left out: {missing}")
    show(results)
    write(results, Path("build/bench.json"))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
