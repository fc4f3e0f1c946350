"""Messages that nobody records go to those who listen at this moment: the words of a model while it says them, say."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from threading import Lock
from typing import Any, NamedTuple, Protocol

from anyio import to_thread
from starlette.requests import HTTPConnection

from read_api.edge.auth import Caller
from read_api.edge.problems import Problem
from read_api.edge.rates import RateLimiter, Window, where_it_may_wait, whole_seconds
from schemas.envelope import StreamId, TenantId

STREAMED, TYPING = "task.streamed", "conversation.typing"
EPHEMERAL_TYPES = (TYPING, STREAMED)
"""The types of messages that are not recorded; no event has one of these."""

MOST_BYTES = 8_192
"""Of what one message says, as JSON."""

MOST_A_MINUTE = 6_000
"""Messages of one tenant."""

_UNREAD = 200


class Ephemeral(NamedTuple):
    """A message that is not recorded.

    Shape: `streams` are those that it is about, the nearest first. Who hears it may read the `resource`, and personal
    fields where it is `personal`.
    """

    tenant_id: TenantId
    type: str
    streams: tuple[StreamId, ...]
    at: datetime
    data: Mapping[str, Any]
    resource: str
    personal: bool = False

    def shown(self) -> Mapping[str, Any]:
        return {
            "type": self.type,
            "tenant_id": self.tenant_id,
            "stream": self.streams[0],
            "about": self.streams,
            "at": self.at,
            "data": self.data,
        }


class Hearing:
    """What one listener has not taken yet. Any thread may put something in; the loop that made it takes it out.

    Shape: of who takes too slowly the oldest messages are lost, and counted.
    """

    def __init__(self, types: Collection[str], stream: str | None) -> None:
        self.news = asyncio.Event()
        self.types, self._stream = types, stream
        self._loop = asyncio.get_running_loop()
        self._unread: deque[Ephemeral] = deque()
        self._lost = 0
        self._using = Lock()

    def put(self, message: Ephemeral) -> None:
        if message.type not in self.types or (self._stream is not None and self._stream not in message.streams):
            return
        with self._using:
            if len(self._unread) >= _UNREAD:
                self._unread.popleft()
                self._lost += 1
            self._unread.append(message)
        # a loop that is closed has no listener any more
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.news.set)

    def take(self) -> tuple[Sequence[Ephemeral], int]:
        """Return what came since the last time, and how many messages before it are lost."""
        self.news.clear()
        with self._using:
            taken, lost = [*self._unread], self._lost
            self._unread.clear()
            self._lost = 0
        return taken, lost


class Ephemerals(Protocol):
    """Carries messages to the listeners of their tenant. Any thread may call it.

    Shape: `waits` says that to publish may wait for another machine, and so must not be done on the event loop.
    """

    waits: bool

    def publish(self, message: Ephemeral) -> None:
        """Give a message to who listens now; whoever comes later never hears it."""

    def listen(self, tenant_id: TenantId, hearing: Hearing) -> Callable[[], None]:
        """Let a listener hear the messages of a tenant from now on, and return what ends that."""


class LocalEphemerals:
    """Carries messages within this process."""

    waits = False

    def __init__(self) -> None:
        self._hearing: dict[TenantId, tuple[Hearing, ...]] = {}
        self._using = Lock()

    def publish(self, message: Ephemeral) -> None:
        for hearing in self._hearing.get(message.tenant_id, ()):
            hearing.put(message)

    def listen(self, tenant_id: TenantId, hearing: Hearing) -> Callable[[], None]:
        with self._using:
            self._hearing[tenant_id] = (*self._hearing.get(tenant_id, ()), hearing)

        def end() -> None:
            with self._using:
                left = tuple(one for one in self._hearing[tenant_id] if one is not hearing)
                if left:
                    self._hearing[tenant_id] = left
                else:
                    del self._hearing[tenant_id]

        return end


class TooManyMessages(Problem):
    """The tenant has published as many messages as it may in a minute; this one is lost."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(
            429,
            f"this tenant has published the {MOST_A_MINUTE:,} messages that it may publish a minute; this one is lost",
            retry_after_s=wait_s,
            limit=MOST_A_MINUTE,
        )


async def count_message(request: HTTPConnection, caller: Caller) -> None:
    """Count a request to publish against what its tenant may, before anything is looked up. Raises: TooManyMessages."""
    limiter: RateLimiter | None = request.app.state.limiter
    if limiter is not None:
        windows = [Window(f"ephemeral:{{{caller.tenant_id}}}", "minute", MOST_A_MINUTE)]
        counted = await where_it_may_wait(request, limiter.count, windows)
        if counted is not None and not counted.allowed:
            raise TooManyMessages(whole_seconds(counted.left[0]))


async def publish(ephemerals: Ephemerals, message: Ephemeral) -> None:
    """Publish a message that was counted."""
    if ephemerals.waits:
        await to_thread.run_sync(ephemerals.publish, message)
    else:
        ephemerals.publish(message)
