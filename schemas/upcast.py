"""An old payload becomes a new one in steps, one pure function for each, when an old event is read."""

from collections.abc import Callable, Mapping
from typing import Any

Step = Callable[[dict[str, Any]], dict[str, Any]]

STEPS: Mapping[tuple[str, int], Step] = {}
"""(type, version) -> the function that makes its payload one version newer."""


def to_newest(
    type_: str, version: int, data: dict[str, Any], steps: Mapping[tuple[str, int], Step] = STEPS
) -> tuple[int, dict[str, Any]]:
    """Return the newest version's number and payload."""
    while step := steps.get((type_, version)):
        data = step(data)
        version += 1
    return version, data
