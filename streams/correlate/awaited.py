"""Devices that watches wait to hear from, by when they will be missed."""

import heapq
from collections.abc import Iterator
from datetime import datetime
from itertools import count

from streams.correlate.known import Known


class Awaited:
    """Each device once: what is heard meanwhile is looked at when its time has come."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Known]] = []
        self._numbers = count()

    def add(self, known: Known) -> None:
        if not known.awaited and (missed := known.missed_at()) is not None:
            known.awaited = True
            heapq.heappush(self._heap, (missed, next(self._numbers), known))

    def due(self, now: datetime) -> Iterator[Known]:
        """Yield those whose time has come, which are awaited no more."""
        while self._heap and self._heap[0][0] <= now:
            *_, known = heapq.heappop(self._heap)
            known.awaited = False
            yield known
