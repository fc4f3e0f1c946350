"""What one GraphQL request may read, and has read: its rights, its loaders, and how much of it is left."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from aiodataloader import DataLoader
from anyio import to_thread

from projections.projection import Projection
from read_api.answers import Answers
from read_api.documents import DocumentList, found_by_id, reading_of, rows_of
from read_api.edge.auth import Caller
from read_api.edge.problems import Problem
from read_api.edge.responses import Answer, AsOf
from read_api.reading import Read

FIRST, MOST_FIRST = 20, 100

MOST_COST = 2_000
"""What one request may cost: of each list 10 and its rows, of each thing that is named 1."""

_LIST_COST = 10

AT_ONCE = 4
"""Of the threads that all requests share, one request holds so many at a time."""

T = TypeVar("T")


class Context:
    """One request's own. Belongs to the event loop."""

    def __init__(self, caller: Caller, answers: Answers, consistent_with: str | None) -> None:
        self._caller = caller
        self._answers = answers
        self._consistent_with = consistent_with
        self._left = MOST_COST
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._reads: dict[str, asyncio.Task[Read]] = {}
        self._loaders: dict[str, DataLoader[str, Answer | None]] = {}

    async def one(self, view: Projection, id_: str) -> Answer | None:
        """Return one document of a view, None where there is none. Raises: Problem; StoreUnavailable."""
        self._take(1)
        if view.name not in self._loaders:
            self._loaders[view.name] = DataLoader(partial(self._load, view), max_batch_size=MOST_FIRST)
        return await self._loaders[view.name].load(id_)

    async def page(
        self, view: Projection, query: Sequence[tuple[str, str]], *, sort: str, first: int, after: str | None
    ) -> Answer:
        """Return a connection: edges, nodes, and where the next page begins. Raises: Problem; StoreUnavailable."""
        if not 1 <= first <= MOST_FIRST:
            raise Problem(422, f"first must be 1 to {MOST_FIRST}, it is {first}")
        self._take(_LIST_COST + first)
        read = await self._read(view)

        def ask() -> Answer:
            found = DocumentList(read, view, query, sort)
            documents, more = found.page(after, first)
            nodes = rows_of(read, view, documents)
            cursors = list(map(found.cursor_of, documents))
            edges = [{"cursor": cursor, "node": node} for cursor, node in zip(cursors, nodes, strict=True)]
            ends = {"startCursor": cursors[0], "endCursor": cursors[-1]} if cursors else {}
            info = {"hasNextPage": more, "hasPreviousPage": after is not None, **ends}
            return {"edges": edges, "nodes": nodes, "pageInfo": info}

        return await self._in_thread(ask)

    def as_of(self) -> Mapping[str, AsOf]:
        """Return of each view that was read what the answer is based on."""
        done = {name: read for name, read in self._reads.items() if read.done() and not read.exception()}
        return {name: read.result().as_of for name, read in sorted(done.items())}

    async def _load(self, view: Projection, ids: Sequence[str]) -> list[Answer | None]:
        read = await self._read(view)

        def ask() -> list[Answer | None]:
            documents = [found_by_id(read, view, id_) for id_ in ids]
            return [rows_of(read, view, [one])[0] if one else None for one in documents]

        return await self._in_thread(ask)

    async def _read(self, view: Projection) -> Read:
        """Return the allowed read of a view, which is the same for all of the request. Raises: Problem."""
        if view.name not in self._reads:
            self._reads[view.name] = asyncio.ensure_future(self._in_thread(partial(self._wait, view)))
        return await self._reads[view.name]

    async def _in_thread(self, ask: Callable[[], T]) -> T:
        async with self._turns:
            return await to_thread.run_sync(ask)

    def _wait(self, view: Projection) -> Read:
        reading = reading_of(view)
        own = reading.check(self._caller)
        # the path of the list over REST: the cursors are the same
        return reading.read(self._caller, self._answers, self._consistent_with, path=f"/v1/{view.name}", own=own)

    def _take(self, cost: int) -> None:
        self._left -= cost
        if self._left < 0:
            raise Problem(
                422,
                f"the request asks for too much: of each list {_LIST_COST} and `first`, of each thing that is named 1,"
                f" together at most {MOST_COST:,}; ask for fewer rows, or in several requests",
            )
