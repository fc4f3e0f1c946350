"""What one GraphQL request may read, and has read: its rights, its loaders, and how much of it is left."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from aiodataloader import DataLoader
from anyio import to_thread
from graphql import GraphQLResolveInfo

from projections.projection import Projection
from read_api.answers import Answers
from read_api.documents import DocumentList, found_by_id, reading_of, rows_of
from read_api.edge.auth import Caller
from read_api.edge.problems import Problem
from read_api.edge.responses import Answer, AsOf
from read_api.graphql.meter import MOST_VALUES, Meter, values_of_row
from read_api.reading import Read, Reading

FIRST, MOST_FIRST = 20, 100

MOST_COST = 2_000
"""What one request may cost: of each list 10 and its rows, of each thing that is named 1."""

MOST_POINTS = 2_000
"""Of one list of readings: its points are completed in one piece on the event loop."""

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
        self.meter = Meter()
        self._left = MOST_COST
        self._values_left = MOST_VALUES
        self._of_points = asyncio.Lock()
        self._of_rows: dict[tuple[int, ...], int] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._reads: dict[str, asyncio.Task[Read]] = {}
        self._telemetry: dict[str, AsOf] = {}
        self._loaders: dict[str, DataLoader[str, Answer | None]] = {}

    async def one(self, view: Projection, id_: str) -> Answer | None:
        """Return one document of a view, None where there is none. Raises: Problem; StoreUnavailable."""
        self._take(1)
        if view.name not in self._loaders:
            self._loaders[view.name] = DataLoader(partial(self._load, view), max_batch_size=MOST_FIRST)
        return await self._loaders[view.name].load(id_)

    async def page(
        self,
        view: Projection,
        query: Sequence[tuple[str, str]],
        *,
        sort: str,
        first: int,
        after: str | None,
        values: int,
    ) -> Answer:
        """Return a connection: edges, nodes, and where the next page begins. Raises: Problem; StoreUnavailable.

        Units: `values` are those of a row.
        """
        self._take_rows(first, values)
        read = await self._read(view)

        def ask() -> Answer:
            found = DocumentList(read, view, query, sort)
            documents, more = found.page(after, first)
            nodes = rows_of(read, view, documents)
            cursors = list(map(found.cursor_of, documents))
            return connected(nodes, cursors, after=after, more=more)

        return await self._in_thread(ask)

    async def telemetry(
        self,
        reading: Reading,
        view: str,
        path: str,
        said: Mapping[str, Any],
        ask: Callable[[Read], T],
        *,
        first: int = 1,
        values: int = 0,
    ) -> T:
        """Return what is asked of readings or log lines, as the route of this path would. Raises: as `page`.

        Shape: `said` are the arguments, of which a time that is relative is bound to the cursors as it was said.
        """
        self._take_rows(first, values)
        texts = {name: text for name, text in said.items() if isinstance(text, str)}

        def whole() -> tuple[Read, T]:
            own = reading.check(self._caller)
            read = reading.read(self._caller, self._answers, self._consistent_with, path=path, said=texts, own=own)
            return read, ask(read)

        read, found = await self._in_thread(whole)
        self._telemetry[view] = read.as_of
        return found

    def values_of_row(self, info: GraphQLResolveInfo["Context"]) -> int:
        """Return what a row of a list comes to."""
        # the same place in the query is asked for each row of the list around it
        place = tuple(map(id, info.field_nodes))
        if place not in self._of_rows:
            self._of_rows[place] = values_of_row(info)
        return self._of_rows[place]

    @asynccontextmanager
    async def points(self, values: int) -> AsyncIterator["Points"]:
        """Give what a list of readings may have, of which what it does not need is given back. Raises: Problem.

        Shape: one list after the other, so that each is refused before it is read when nothing is left.
        """
        async with self._of_points:
            most = min(MOST_POINTS, self._values_left // values)
            self._take_values(max(most, 1) * values)
            points = Points(most)
            yield points
            # a list that was refused was read all the same, and is not given back
            self._values_left += (most - points.found) * values

    def as_of(self) -> Mapping[str, AsOf]:
        """Return of each view that was read what the answer is based on."""
        done = {name: read for name, read in self._reads.items() if read.done() and not read.exception()}
        return dict(sorted({**{name: read.result().as_of for name, read in done.items()}, **self._telemetry}.items()))

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

    def _take_rows(self, first: int, values: int) -> None:
        if not 1 <= first <= MOST_FIRST:
            raise Problem(422, f"first must be 1 to {MOST_FIRST}, it is {first}")
        self._take_values(first * values)
        self._take(_LIST_COST + first)

    def _take_values(self, values: int) -> None:
        if values > self._values_left:
            raise Problem(
                422,
                "the request asks for too much: its rows times the fields of a row are together at most"
                f" {MOST_VALUES:,}, where a thing that is named is ten; ask for fewer rows or fields, for readings with"
                " a greater step, or in several requests",
            )
        self._values_left -= values

    def _take(self, cost: int) -> None:
        self._left -= cost
        if self._left < 0:
            raise Problem(
                422,
                f"the request asks for too much: of each list {_LIST_COST} and `first`, of each thing that is named 1,"
                f" together at most {MOST_COST:,}; ask for fewer rows, or in several requests",
            )


class Points:
    """Shape: at most `most` are to be found."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.found = most


def connected(nodes: Sequence[Any], cursors: Sequence[str], *, after: str | None, more: bool) -> Answer:
    """Return a connection of rows and the cursor of each."""
    ends = {"startCursor": cursors[0], "endCursor": cursors[-1]} if cursors else {}
    return {
        "edges": [{"cursor": cursor, "node": node} for cursor, node in zip(cursors, nodes, strict=True)],
        "nodes": nodes,
        "pageInfo": {"hasNextPage": more, "hasPreviousPage": after is not None, **ends},
    }
