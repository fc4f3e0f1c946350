"""What many want at the same moment is made once, in a thread, and no group of them takes all threads."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from concurrent.futures import Executor
from contextlib import asynccontextmanager, nullcontext
from typing import Any, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")

KEPT_S = 1.0

_AT_ONCE = 4
"""Of one group."""

_Place = tuple[asyncio.AbstractEventLoop, Hashable]


def _never(_made: object) -> bool:
    return False


class Turns:
    """Lets a few of each group do something at a time, the others one after the other."""

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._at_once = at_once
        # of a group that nobody is in, nothing stays
        self._turns: WeakValueDictionary[_Place, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, group: Hashable) -> AsyncIterator[None]:
        place = (asyncio.get_running_loop(), group)
        turns = self._turns.get(place)
        if turns is None:
            turns = self._turns[place] = asyncio.Semaphore(self._at_once)
        async with turns:
            yield


class Shared:
    """Makes an answer for who asks first, and gives it to all who ask for the same meanwhile, or just afterwards."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._made: dict[_Place, asyncio.Task[Any]] = {}
        self._waiting: dict[_Place, int] = {}
        self._turns = Turns()

    async def get(
        self, key: Hashable, make: Callable[[], T], *, group: Hashable = None, keeps: Callable[[T], bool] = _never
    ) -> T:
        """Return what `make` gives for this key. Raises: what it raises, for all who wait for it.

        Shape: `keeps` says of what was made if it is kept for another `KEPT_S`. Of a `group` a few are made at a time,
        the others wait for their turn, and are not made any more when all who asked have left.
        """
        loop = asyncio.get_running_loop()
        place = (loop, key)
        if place not in self._made:
            begun = self._made[place] = loop.create_task(self._make(group, make))
            begun.add_done_callback(lambda done: self._keep(place, keeps, done))
        made: asyncio.Task[T] = self._made[place]
        self._waiting[place] = self._waiting.get(place, 0) + 1
        try:
            # one that leaves takes the answer from nobody else
            return await asyncio.shield(made)
        finally:
            self._waiting[place] -= 1
            if not self._waiting[place]:
                del self._waiting[place]
                if not made.done() and self._made.get(place) is made:
                    del self._made[place]
                    made.cancel()

    async def _make(self, group: Hashable, make: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        async with nullcontext() if group is None else self._turns.of(group):
            return await loop.run_in_executor(self._threads, make)

    def _keep(self, place: _Place, keeps: Callable[[T], bool], made: "asyncio.Task[T]") -> None:
        # its exception is seen: where all who asked have left, asyncio must not complain
        failed = made.cancelled() or made.exception() is not None
        if self._made.get(place) is not made:
            return
        if failed or not keeps(made.result()):
            del self._made[place]
        else:
            place[0].call_later(KEPT_S, self._made.pop, place, None)
