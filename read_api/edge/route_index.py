"""A request finds its route by the beginning of its path, and not by trying some two hundred routes in turn."""

from collections.abc import Iterable, Mapping, Sequence

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

_ENTRY = "factline.entry"
_Beginning = tuple[str, ...]


def include(app: FastAPI, router: APIRouter) -> None:
    """Add a router to an application, as `include_router` does, so that its routes are found at once."""
    app.include_router(router)
    index: RouteIndex | None = getattr(app.state, "route_index", None)
    if index is None:
        index = app.state.route_index = RouteIndex()
        app.router.routes.insert(0, index)
    index.add(app.router.routes[-1], [str(getattr(route, "path", "")) for route in router.routes])


class RouteIndex(BaseRoute):
    """Stands before the routes of an application, and answers those requests whose route it finds.

    Shape: what it does not find (another method, a path that is nowhere) is left to the routes themselves. Of two
    routes that match, the one that was added first is taken, as without the index.
    """

    def __init__(self) -> None:
        self._entries: list[tuple[BaseRoute, frozenset[_Beginning]]] = []
        self._found: Mapping[_Beginning, Sequence[BaseRoute]] | None = None

    def add(self, entry: BaseRoute, paths: Iterable[str]) -> None:
        self._entries.append((entry, frozenset(map(_beginning, paths))))
        self._found = None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if self._found is None:
            self._found = self._by_beginning()
        if scope["type"] == "http":
            for entry in self._found.get(_beginning(scope["path"]), ()):
                match, child = entry.matches(scope)
                if match is Match.FULL:
                    return match, {**child, _ENTRY: entry}
        return Match.NONE, {}

    def _by_beginning(self) -> Mapping[_Beginning, Sequence[BaseRoute]]:
        known = frozenset[_Beginning]().union(*(beginnings for _, beginnings in self._entries))
        return {
            key: [entry for entry, beginnings in self._entries if any(_fits(one, key) for one in beginnings)]
            for key in known
            if not any(part.startswith("{") for part in key)
        }

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope[_ENTRY].handle(scope, receive, send)


def _beginning(path: str) -> _Beginning:
    """Return the first two parts of a path."""
    return tuple(path.split("/", 3)[1:3])


def _fits(template: _Beginning, key: _Beginning) -> bool:
    return len(template) == len(key) and all(
        mine == other or mine.startswith("{") for mine, other in zip(template, key, strict=True)
    )
