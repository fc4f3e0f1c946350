"""`python -m tests.chaos` runs the long forms of the chaos tests, or one of them with other numbers."""

import argparse
import json
import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from infra.engines.java import ToolMissing
from infra.engines.kafka import Kafka
from infra.engines.registry import Registry
from tests.chaos import distributed, embedded, flood, poison, projections, read_side, steps

KILLS = {"embedded": 50, "distributed": 30, "processes": 0, "projections": projections.Plan().kills}
PAUSES = 3
BROKER_KILLS = 1
ROUNDS = 1_000
OTHERS = 49
RATE = 10
FLOOD_S = 20
POISONED_LOG = 10_000
_TOTALS = ("kills", "commands", "facts", "lost", "doubled", "differences")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("profile", choices=[*KILLS], nargs="?", help="one of them; all if it is left out")
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--commands", type=int, default=projections.Plan().commands, help="of projections")
    parser.add_argument("--facts", type=int, default=projections.Plan().facts, help="of projections")
    asked = parser.parse_args()
    if not sorted(embedded.INVOICES.glob("*.csv")) and asked.profile in ("embedded", None):
        print(f"no invoices in {embedded.INVOICES}", file=sys.stderr)
        return 2
    results = {}
    for profile in [asked.profile] if asked.profile else KILLS:
        kills = KILLS[profile] if asked.kills is None else asked.kills
        with TemporaryDirectory(prefix="factline-chaos-") as folder:
            try:
                results[profile] = _RUN[profile](asked, kills, Path(folder))
            except ToolMissing as missing:
                print(missing, file=sys.stderr)
                return 2
        _write(f"chaos-{profile}", results[profile])
    if asked.profile is None:
        totals = {name: sum(result[name] for result in results.values()) for name in _TOTALS}
        _write("chaos", {"seed": asked.seed, **totals, **results})
    for profile, result in results.items():
        print(f"{profile}:")
        for name, value in result.items():
            print(f"  {name}: {value}")
    return 1 if any(result["failures"] for result in results.values()) else 0


def _embedded(asked: argparse.Namespace, kills: int, folder: Path) -> dict[str, Any]:
    files = sorted(embedded.INVOICES.glob("*.csv"))
    return embedded.run(kills=kills, seed=asked.seed, folder=folder, files=files, say=_say).as_json()


def _distributed(asked: argparse.Namespace, kills: int, folder: Path) -> dict[str, Any]:
    with Kafka(folder / "kafka").start() as kafka, Registry(folder / "registry").start() as registry:
        return distributed.run(
            kafka,
            registry.url,
            kills=kills,
            pauses=PAUSES,
            broker_kills=BROKER_KILLS,
            rounds=ROUNDS,
            seed=asked.seed,
            folder=folder,
            say=_say,
        ).as_json()


def _processes(_asked: argparse.Namespace, _kills: int, folder: Path) -> dict[str, Any]:
    # each of their transactions is a kill or two
    with Kafka(folder / "kafka").start() as kafka:
        return steps.run(kafka, folder=folder / "stories", say=_say).as_json()


def _projections(asked: argparse.Namespace, kills: int, folder: Path) -> dict[str, Any]:
    # a client warns whenever a store that was stopped for a while does not answer
    logging.disable(logging.WARNING)
    plan = projections.Plan(kills=kills, commands=asked.commands, facts=asked.facts)
    with read_side.running(folder / "engines") as engines:
        _say("flood")
        flooded = flood.run(engines, folder, others=OTHERS, rate=RATE, seconds=FLOOD_S)
        _say(str(flooded.as_json()))
        _say("poison")
        poisoned = poison.run(engines, folder, events=POISONED_LOG)
        _say(str(poisoned._asdict()))
        _say("chaos")
        result = projections.run(engines, plan, seed=asked.seed, folder=folder, say=_say)
    return {
        **result.as_json(),
        "poison": poisoned._asdict(),
        "flood": flooded.as_json(),
        "failures": [*result.failures, *poisoned.failures],
    }


_RUN = {"embedded": _embedded, "distributed": _distributed, "processes": _processes, "projections": _projections}


def _say(text: str) -> None:
    print(text, flush=True)


def _write(name: str, result: dict[str, Any]) -> None:
    path = Path("build") / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
