"""These routes send a tenant's records as they are written, as server-sent events that can be resumed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from threading import BoundedSemaphore
from time import monotonic, sleep
from typing import Annotated, Any, NamedTuple, TypeVar

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from projections.stores import StoreUnavailable
from read_api.answers import Answers
from read_api.edge.parameters import LONGEST_NAME, parse_positions
from read_api.edge.problems import Problem
from read_api.edge.responses import Answer, to_json
from read_api.edge.scopes import require
from read_api.edge.tokens import token
from read_api.reading import Read, Reading
from schemas.envelope import Envelope, Position, Topic
from schemas.shown import shown
from schemas.values import Id

router = APIRouter(prefix="/v1", tags=["live"])

T = TypeVar("T")
Places = dict[Topic, Position]

_READ_ROWS = 500
# how long a thread may be blocked: the bound of leaving, of stopping, and of noticing a revoked key
_WAIT_S = 1.0
# news are gathered for a moment, so that a busy log does not wake every stream for each record
_GATHER_S = 0.05
_RETRY_MS = 2000
_SEEN_WITHIN_S = 0.5
_BUSY_RETRY_S = 5


class Wanted(NamedTuple):
    types: frozenset[str]
    stream: str | None
    reporter: str | None

    def has(self, topic: Topic, envelope: Envelope) -> bool:
        return (
            (not self.types or envelope.type in self.types)
            and self.stream in (None, envelope.stream)
            and (topic is not Topic.TELEMETRY or self.reporter in (None, envelope.stream))
        )


class LiveResponse(StreamingResponse):
    """Gives its slot back however it ends, even if it never began."""

    def __init__(self, events: AsyncIterator[bytes], slots: BoundedSemaphore) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._slots = slots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._slots.release()


@router.get(
    "/live",
    summary="Server-sent events as they are recorded",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Each event's id is a set of positions; send the last one as Last-Event-ID to go on from it",
            "content": {
                "text/event-stream": {
                    "example": 'id: events/0/12,telemetry/0/99\ndata: {"type": "device.registered", "stream": "…"}\n\n'
                }
            },
        }
    },
)
def live(
    *,
    request: Request,
    read: Annotated[Read, Depends(Reading("live"))],
    types: Annotated[str, Query(max_length=2000, description="event types, with commas; none means all")] = "",
    stream: Annotated[str | None, Query(max_length=LONGEST_NAME)] = None,
    telemetry: Annotated[Id | None, Query(description="a device: of telemetry, only its own")] = None,
    after: Annotated[str | None, Query(max_length=300, description="positions to go on from")] = None,
    last_event_id: Annotated[str | None, Header(max_length=300)] = None,
) -> LiveResponse:
    wanted_types = frozenset(type_.strip() for type_ in types.split(",")) - {""}
    wanted = Wanted(wanted_types, stream, f"device-{telemetry}" if telemetry else None)
    # a browser that reconnects sends the same address again: its header is the newer of the two
    places = _places(read, last_event_id or after)
    slots = read.answers.live_slots
    if read.answers.stopping.is_set() or not slots.acquire(blocking=False):
        raise Problem(503, "no live stream is free; try again", retry_after_s=_BUSY_RETRY_S)
    return LiveResponse(_events(request, read, wanted, places), slots)


def _places(read: Read, text: str | None) -> Places:
    ends = _ends(read)
    if not text:
        return ends
    places = dict(ends)
    for place in parse_positions(text, "Last-Event-ID or after", read.answers.log):
        if place[:2] != ends[place.topic][:2]:
            raise Problem(400, f"{place} is not in the partition of this tenant")
        places[place.topic] = place
    if _past(places, ends):
        # what was answered a moment ago may not be seen by readers of the log yet
        sleep(_SEEN_WITHIN_S)
        if past := _past(places, ends := _ends(read)):
            raise Problem(409, f"{past} is past the end of the log, which is at {ends[past.topic]}; ask without it")
    return places


def _ends(read: Read) -> Places:
    return {end.topic: end for end in read.answers.feed.ends(read.tenant_id)}


def _past(places: Places, ends: Places) -> Position | None:
    return next((place for place in places.values() if place.position > ends[place.topic].position), None)


async def _events(request: Request, read: Read, wanted: Wanted, places: Places) -> AsyncIterator[bytes]:
    answers = read.answers
    spoke_at = monotonic()
    yield b"retry: %d\nid: %s\n\n" % (_RETRY_MS, _id(places, answers.log))
    while not answers.stopping.is_set() and not await request.is_disconnected():
        try:
            await _in_thread(answers, lambda: _still_allowed(request, answers))
            news = await _in_thread(answers, lambda: _news(read, places))
        except (StoreUnavailable, Problem):
            # the client comes again from its last id, and is told then
            return
        for topic, envelopes, looked_to in news:
            for envelope in envelopes:
                if wanted.has(topic, envelope):
                    places[topic] = Position(topic, envelope.partition, envelope.position)
                    yield b"id: %s\ndata: %s\n\n" % (_id(places, answers.log), to_json(envelope_answer(envelope)))
                    spoke_at = monotonic()
            places[topic] = looked_to
        if monotonic() - spoke_at >= answers.heartbeat_s:
            # the id moves on past records that were not wanted
            yield b": heartbeat\nid: %s\n\n" % _id(places, answers.log)
            spoke_at = monotonic()
        if not news:
            try:
                grown = await _in_thread(answers, lambda: _wait(answers, places))
            except StoreUnavailable:
                return
            if grown:
                await asyncio.sleep(_GATHER_S)


async def _in_thread(answers: Answers, ask: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(answers.live_threads, ask)


def _still_allowed(request: Request, answers: Answers) -> None:
    require(answers.authenticator.authenticate(request.headers.get("X-API-Key")), "live:read")


def _news(read: Read, places: Places) -> Sequence[tuple[Topic, Sequence[Envelope], Position]]:
    feed, opening, news = read.answers.feed, read.opening, []
    for end in feed.ends(read.tenant_id):
        if end.position > places[end.topic].position:
            envelopes, looked_to = feed.since(read.tenant_id, places[end.topic], limit=_READ_ROWS)
            news.append((end.topic, [opening.event(envelope) for envelope in envelopes], looked_to))
    return news


def _wait(answers: Answers, places: Places) -> bool:
    return answers.feed.wait(tuple(places.values()), min(_WAIT_S, answers.heartbeat_s))


def _id(places: Places, log: str) -> bytes:
    return ",".join(token(places[topic], log) for topic in sorted(places)).encode()


def envelope_answer(envelope: Envelope) -> Answer:
    answer: dict[str, Any] = envelope.shown()
    del answer["topic"], answer["partition"]
    answer["position"] = str(Position(envelope.topic, envelope.partition, envelope.position))
    answer["actor"] = envelope.actor._asdict()
    answer["data"] = shown(envelope.data)
    return answer
