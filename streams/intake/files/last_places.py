"""Where each name of some files occurs last says how long what belongs to it must be kept."""

from collections.abc import Iterator
from typing import Protocol


class LastPlaces(Protocol):
    """Takes names with growing places; iterated once, gives the last place of each name in the order of the places."""

    def say(self, name: str, place: int) -> None:
        """Take note of a name."""

    def __iter__(self) -> Iterator[tuple[int, str]]: ...


class PlacesInMemory:
    """For files whose names fit into memory."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def say(self, name: str, place: int) -> None:
        self._last[name] = place

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return iter(sorted((place, name) for name, place in self._last.items()))
