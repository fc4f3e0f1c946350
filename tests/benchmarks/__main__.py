"""`make bench`: every figure with its baseline of the same run, as a table and as build/bench.json."""

import sys
from pathlib import Path

from tests.benchmarks import embedded
from tests.benchmarks.result import Result, show, write


def main() -> None:
    Path("build").mkdir(exist_ok=True)
    results: list[Result] = []
    for result in embedded.run(lambda text: print(f"… {text}", file=sys.stderr, flush=True)):
        results.append(result)
        print(f"  {result.name}: {result.value:,.1f} {result.unit}", file=sys.stderr, flush=True)
    show(results)
    write(results, Path("build/bench.json"))


if __name__ == "__main__":
    main()
