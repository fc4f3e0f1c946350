"""This route sends a tenant's records as they are written, as server-sent events that can be resumed."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from read_api.edge.credential import credential_of
from read_api.edge.parameters import LONGEST_NAME
from read_api.edge.responses import answered, to_json
from read_api.feeding import LONGEST_PLACE, RESOURCE, Listener, news_for, places_of, take_slot, wanted_of
from read_api.reading import Read, Reading
from schemas.values import Id

router = APIRouter(prefix="/v1", tags=["live"])

_RETRY_MS = 2000


class LiveResponse(StreamingResponse):
    """Gives its slot back however it ends, even if it never began."""

    def __init__(self, events: AsyncIterator[bytes], give_back: Callable[[], None]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._give_back = give_back

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._give_back()


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
    read: Annotated[Read, Depends(Reading(RESOURCE))],
    types: Annotated[str, Query(max_length=2000, description="event types, with commas; none means all")] = "",
    stream: Annotated[str | None, Query(max_length=LONGEST_NAME)] = None,
    telemetry: Annotated[Id | None, Query(description="a device: of telemetry, only what is about it")] = None,
    after: Annotated[str | None, Query(max_length=LONGEST_PLACE, description="positions to go on from")] = None,
    last_event_id: Annotated[str | None, Header(max_length=LONGEST_PLACE)] = None,
) -> LiveResponse:
    wanted = wanted_of(types.split(","), stream, telemetry)
    # a browser that reconnects sends the same address again: its header is the newer of the two
    places = places_of(read, wanted, last_event_id or after)
    listener = Listener(read, credential_of(request), wanted, places)
    return LiveResponse(_events(request, listener), take_slot(read))


async def _events(request: Request, listener: Listener) -> AsyncIterator[bytes]:
    said_nothing = b"retry: %d" % _RETRY_MS
    async for place, record in news_for(listener, request.is_disconnected):
        if record is None:
            yield b"%s\nid: %s\n\n" % (said_nothing, place.encode())
            said_nothing = b": heartbeat"
        else:
            yield b"id: %s\ndata: %s\n\n" % (place.encode(), to_json(record))
