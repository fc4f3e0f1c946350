"""What a key and its tenant may ask in a minute, an hour and a day is counted here, and told in headers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from math import ceil
from time import perf_counter
from typing import Any, NamedTuple, Protocol, TypeVar

from anyio import to_thread
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from projections.credentials import RateLimits
from read_api.edge.auth import Caller
from read_api.edge.problems import Problem
from read_api.edge.usage import UsageMeter

T = TypeVar("T")

DEFAULT = RateLimits(60, 1_000, 10_000)
"""What a key may ask that says nothing else. Source: the domain model's limits by key."""

SECONDS: Mapping[str, int] = {"minute": 60, "hour": 3_600, "day": 86_400}

_SEEN = "factline.caller"


class Window(NamedTuple):
    """So many requests, or events or facts, of a key or a tenant in so many seconds, from the first one on.

    Shape: `whose` says what is counted too; it holds the tenant in braces, so that a cluster keeps together what is
    counted together.
    """

    whose: str
    name: str
    most: int

    @property
    def seconds(self) -> int:
        return SECONDS[self.name]


class Left(NamedTuple):
    """What is left of a window. Units: `ends_in_s` is the time until all of it is free again."""

    requests: int
    ends_in_s: float


class Counted(NamedTuple):
    """Whether a request was counted, and what is left of each window after it, in their order."""

    allowed: bool
    left: Sequence[Left]


class RateLimiter(Protocol):
    """Counts requests. Any thread may call it.

    Shape: `waits` says that a call may wait for another machine, and so must not be made on the event loop.
    """

    waits: bool

    def count(self, windows: Sequence[Window], amount: int = 1, *, done: bool = False) -> Counted | None:
        """Count a request in all of the windows, or in none where one of them is full; an amount of 0 only looks.

        Shape: what is `done` already is counted also where a window is full. None where the counts cannot be asked for
        now: then nothing is limited.
        """


class TooMany(Problem):
    """The key, or its tenant, has asked for as much as it may; the same request is taken after `Retry-After`."""

    def __init__(self, window: Window, left: Left) -> None:
        wait_s = whole_seconds(left)
        who = "this tenant" if window.whose.startswith("tenant") else "this api key"
        what = "request" if window.most == 1 else "requests"
        super().__init__(
            429,
            f"{who} has sent the {window.most:,} {what} that it may send a {window.name}; send this one again in"
            f" {wait_s} s",
            retry_after_s=wait_s,
            limit=window.most,
            window=window.name,
        )


def whole_seconds(left: Left) -> int:
    """Return after how many seconds a window is free again for sure."""
    return max(1, ceil(left.ends_in_s))


class _Seen:
    """Who sends a request, once that is known, and what is left to them."""

    def __init__(self) -> None:
        self.caller: Caller | None = None
        self.windows: Sequence[Window] = ()
        self.left: Sequence[Left] = ()


def seen(request: HTTPConnection, caller: Caller) -> None:
    """Remember who sends a request, so that also the answer to a refused one says what is left."""
    request.scope[_SEEN].caller = caller


async def count(request: HTTPConnection, caller: Caller) -> None:
    """Count a request against the limits of its key and tenant. Raises: TooMany."""
    await where_it_may_wait(request, count_here, request, caller)


async def where_it_may_wait(request: HTTPConnection, ask: Callable[..., T], *values: Any) -> T:
    """Return what `ask` does, which asks the limiter; in a thread if that may wait."""
    limiter: RateLimiter | None = request.app.state.limiter
    if limiter is not None and limiter.waits:
        return await to_thread.run_sync(ask, *values)
    return ask(*values)


def count_here(request: HTTPConnection, caller: Caller) -> None:
    """Do as `count`, in a thread that may wait. Raises: TooMany."""
    counted = _counted(request, caller, 1)
    if counted is None or counted.allowed:
        return
    full = [one for one in zip(_windows(caller), counted.left, strict=True) if not one[1].requests]
    raise TooMany(*max(full, key=lambda one: one[1].ends_in_s))


def _counted(request: HTTPConnection, caller: Caller, requests: int) -> Counted | None:
    limiter: RateLimiter | None = request.app.state.limiter
    windows = _windows(caller)
    if limiter is None or not windows:
        return None
    counted = limiter.count(windows, requests)
    if counted is not None:
        found: _Seen = request.scope[_SEEN]
        found.windows, found.left = windows, counted.left
    return counted


@lru_cache(maxsize=10_000)  # callers are the same for a second at least
def _windows(caller: Caller) -> Sequence[Window]:
    tenant = f"{{{caller.tenant_id}}}"
    of = ((f"key:{tenant}:{caller.actor.id}", caller.limits), (f"tenant:{tenant}", caller.quota.requests))
    return [
        Window(whose, name, most)
        for whose, limits in of
        if limits is not None
        for name, most in zip(SECONDS, limits, strict=True)
        if most is not None
    ]


class CountCallers:
    """ASGI middleware that counts what each key asks, and says in headers of each answer what of its limits is left.

    Shape: where the key and its tenant both have a limit, the one is told of which less is left.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = scope[_SEEN] = _Seen()
        began = perf_counter()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and found.caller is not None:
                if not found.windows:
                    await _look(scope, found.caller)
                message["headers"] = [*message["headers"], *_told(found)]
                meter: UsageMeter = scope["app"].state.usage
                route = f"{scope['method']} {scope['route'].path}"
                meter.count(found.caller, route, message["status"], perf_counter() - began)
            await send(message)

        await self._app(scope, receive, sending)


async def _look(scope: Scope, caller: Caller) -> None:
    """Ask what is left for a request that was refused before it was counted."""
    request = HTTPConnection(scope)
    await where_it_may_wait(request, _counted, request, caller, 0)


def _told(found: _Seen) -> Iterator[tuple[bytes, bytes]]:
    least: dict[str, tuple[int, int]] = {}
    for window, left in zip(found.windows, found.left, strict=True):
        told = (left.requests, window.most)
        if window.name not in least or told < least[window.name]:
            least[window.name] = told
    for name, (requests, most) in least.items():
        limit, remaining = _HEADERS[name]
        yield limit, str(most).encode()
        yield remaining, str(requests).encode()


_HEADERS: Mapping[str, tuple[bytes, bytes]] = {
    name: (f"x-ratelimit-limit-{name}".encode(), f"x-ratelimit-remaining-{name}".encode()) for name in SECONDS
}
