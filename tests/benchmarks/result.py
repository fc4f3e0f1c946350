"""A benchmark gives a figure, a baseline of the same run, and what is asked for."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table


class Result(NamedTuple):
    """One figure.

    Shape: `ratio` is value / baseline; `floor` is what the issue asks for, compared with the ratio where `of_ratio`,
    else with the value; `most` says that the floor is a ceiling.
    """

    name: str
    value: float
    unit: str
    baseline: float | None = None
    floor: float | None = None
    of_ratio: bool = False
    most: bool = False

    @property
    def ratio(self) -> float | None:
        return None if not self.baseline else self.value / self.baseline

    @property
    def met(self) -> bool | None:
        measured = self.ratio if self.of_ratio else self.value
        if self.floor is None or measured is None:
            return None
        return measured <= self.floor if self.most else measured >= self.floor

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "value": round(self.value, 3),
            "unit": self.unit,
            "baseline": None if self.baseline is None else round(self.baseline, 3),
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "floor": self.floor,
            "met": self.met,
        }


def median_of(times: int, measure: Callable[[], float]) -> float:
    return median(measure() for _ in range(times))


def show(results: Sequence[Result]) -> None:
    table = Table("what", "value", "baseline", "ratio", "floor", "met", box=None)
    for result in results:
        bound = "" if result.floor is None else f"{'≤' if result.most else '≥'} {result.floor:,g}"
        table.add_row(
            result.name,
            f"{result.value:,.4g} {result.unit}" if result.value < 1000 else f"{result.value:,.0f} {result.unit}",
            "" if result.baseline is None else f"{result.baseline:,.0f}",
            "" if result.ratio is None else f"{result.ratio:.2f}",
            f"{bound}{' times' if result.of_ratio else ''}",
            {True: "yes", False: "MISSED", None: ""}[result.met],
        )
    Console(width=150).print(table)


def write(results: Sequence[Result], path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([result.as_json() for result in results], indent=1) + "\n", encoding="utf-8")
