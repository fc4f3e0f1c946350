"""What a process knows of itself stands in its health beside what the operations know."""

from collections.abc import Callable, Mapping

from projections.operations import Operations


class WithParts:
    """Operations, with further parts of the process in their health."""

    def __init__(self, operations: Operations, parts: Mapping[str, Callable[[], str]]) -> None:
        self.projections = operations.projections
        self.workers = operations.workers
        self.dead_letters = operations.dead_letters
        self._operations = operations
        self._parts = parts

    def health(self) -> Mapping[str, str]:
        return {**self._operations.health(), **{name: state() for name, state in self._parts.items()}}
