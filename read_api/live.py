"""This route sends a tenant's records as they are written, as server-sent events that can be resumed."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from read_api.edge.credential import credential_of
from read_api.edge.ephemeral import EPHEMERAL_TYPES
from read_api.edge.parameters import LONGEST_NAME
from read_api.edge.responses import answered
from read_api.feeding import LONGEST_PLACE, RESOURCE, Listener, check_own, news_for, places_of, take_slot, wanted_of
from read_api.reading import Read, Reading
from schemas.values import Id

router = APIRouter(prefix="/v1", tags=["live"])

_RETRY_MS = 2000
_TYPES = (
    "event types, with commas; none means all. Messages that are not recorded come where their type is named,"
    f" {' or '.join(EPHEMERAL_TYPES)}, as the server-sent event `ephemeral`"
)


class LiveResponse(StreamingResponse):
    """Gives its slot back however it ends, even if it never began."""

    def __init__(self, events: AsyncGenerator[bytes, None], give_back: Callable[[], None], slow_s: float) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._events = events
        self._give_back = give_back
        self._slow_s = slow_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def in_time(message: Message) -> None:
            async with asyncio.timeout(self._slow_s):
                await send(message)

        try:
            await super().__call__(scope, receive, in_time)
        except TimeoutError:
            # who does not read is not sent more, and the connection ends: a browser comes again from its last id
            return
        finally:
            self._give_back()
            # who has left while something was sent hears no more
            await self._events.aclose()


@router.get(
    "/live",
    summary="Server-sent events as they are recorded; over WebSocket the same (factline asyncapi says how)",
    response_class=StreamingResponse,
    responses=answered(
        'id: events/0/12,telemetry/0/99\ndata: {"type": "device.registered", "stream": "…"}\n\n',
        "Each event's id is a set of positions; send the last one as Last-Event-ID to go on from it",
        media_type="text/event-stream",
        schema={"type": "string"},
    ),
)
def live(
    *,
    request: Request,
    read: Annotated[Read, Depends(Reading(RESOURCE, own=True))],
    types: Annotated[str, Query(max_length=2000, description=_TYPES)] = "",
    stream: Annotated[str | None, Query(max_length=LONGEST_NAME)] = None,
    telemetry: Annotated[Id | None, Query(description="a device: of telemetry, only what is about it")] = None,
    after: Annotated[str | None, Query(max_length=LONGEST_PLACE, description="positions to go on from")] = None,
    last_event_id: Annotated[str | None, Header(max_length=LONGEST_PLACE)] = None,
) -> LiveResponse:
    wanted = wanted_of(types.split(","), stream, telemetry)
    check_own(read, wanted)
    # a browser that reconnects sends the same address again: its header is the newer of the two
    places = places_of(read, wanted, last_event_id or after)
    listener = Listener(read, credential_of(request), wanted, places)
    return LiveResponse(_events(request, listener), take_slot(read), read.answers.slow_s)


async def _events(request: Request, listener: Listener) -> AsyncGenerator[bytes, None]:
    yield b"retry: %d\n" % _RETRY_MS
    async with aclosing(news_for(listener, request.is_disconnected)) as news:
        async for told in news:
            yield b"".join([one.as_event for one in told])
