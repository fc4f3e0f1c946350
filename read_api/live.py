"""These routes send a tenant's records as they are written, as server-sent events that can be resumed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from time import monotonic, sleep
from typing import Annotated, Any, NamedTuple, TypeVar

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from projections.catalog import TYPES
from projections.stores import StoreUnavailable
from read_api.answers import Answers
from read_api.edge.credential import credential_of
from read_api.edge.parameters import LONGEST_NAME, parse_positions
from read_api.edge.problems import Problem
from read_api.edge.queries import one_of
from read_api.edge.responses import Answer, answered, to_json
from read_api.edge.scopes import require
from read_api.edge.tokens import token
from read_api.reading import Read, Reading
from schemas.envelope import Envelope, Position, StreamId, Topic
from schemas.shown import shown
from schemas.values import Id

router = APIRouter(prefix="/v1", tags=["live"])

T = TypeVar("T")
Places = dict[tuple[Topic, int], Position]
News = Sequence[tuple[Sequence[Envelope], Position]]

_READ_ROWS = 500
# a position for each partition of telemetry, and one of events
_LONGEST_ID = 8_192
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
    about: StreamId | None

    def has(self, envelope: Envelope) -> bool:
        return (
            (not self.types or envelope.type in self.types)
            and self.stream in (None, envelope.stream)
            and (envelope.topic is not Topic.TELEMETRY or self.about in (None, _about(envelope)))
        )


def _about(envelope: Envelope) -> str:
    named = envelope.data.get("device_id")
    return f"device-{named}" if named else envelope.stream


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
    summary="Server-sent events as they are recorded",
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
    read: Annotated[Read, Depends(Reading("live"))],
    types: Annotated[str, Query(max_length=2000, description="event types, with commas; none means all")] = "",
    stream: Annotated[str | None, Query(max_length=LONGEST_NAME)] = None,
    telemetry: Annotated[Id | None, Query(description="a device: of telemetry, only what is about it")] = None,
    after: Annotated[str | None, Query(max_length=_LONGEST_ID, description="positions to go on from")] = None,
    last_event_id: Annotated[str | None, Header(max_length=_LONGEST_ID)] = None,
) -> LiveResponse:
    wanted_types = frozenset(one_of("types", name.strip(), TYPES) for name in types.split(",") if name.strip())
    wanted = Wanted(wanted_types, stream, StreamId(f"device-{telemetry}") if telemetry else None)
    # a browser that reconnects sends the same address again: its header is the newer of the two
    places = _places(read, wanted, last_event_id or after)
    return LiveResponse(_events(request, read, wanted, places), _taken_slot(read))


def _taken_slot(read: Read) -> Callable[[], None]:
    """Take a place for one more stream, and return what gives it back. Raises: Problem, there is none."""
    slots, streams, most = read.answers.live_slots, read.answers.live_of, read.caller.quota.live_streams
    if not streams.open(read.tenant_id, most):
        raise Problem(
            429,
            f"this tenant has as many live streams as it may have, {most}; close one, or ask the operator for a larger"
            " quota",
            retry_after_s=_BUSY_RETRY_S,
            limit=most,
            quota="live_streams",
        )
    if read.answers.stopping.is_set() or not slots.acquire(blocking=False):
        streams.close(read.tenant_id)
        raise Problem(503, "no live stream is free; try again", retry_after_s=_BUSY_RETRY_S)

    def give_back() -> None:
        slots.release()
        streams.close(read.tenant_id)

    return give_back


def _places(read: Read, wanted: Wanted, text: str | None) -> Places:
    ends = _ends(read, wanted)
    if not text:
        return ends
    places = dict(ends)
    for place in parse_positions(text, "Last-Event-ID or after", read.answers.log):
        if place[:2] in ends:
            places[place[:2]] = place
        elif place.topic is not Topic.TELEMETRY or wanted.about is None:
            raise Problem(400, f"{place} is not in a partition of this tenant")
    if _past(places, ends):
        # what was answered a moment ago may not be seen by readers of the log yet
        sleep(_SEEN_WITHIN_S)
        if past := _past(places, ends := _ends(read, wanted)):
            raise Problem(409, f"{past} is past the end of the log, which is at {ends[past[:2]]}; ask without it")
    return places


def _ends(read: Read, wanted: Wanted) -> Places:
    return {end[:2]: end for end in read.answers.feed.ends(read.tenant_id, wanted.about)}


def _past(places: Places, ends: Places) -> Position | None:
    return next((place for place in places.values() if place.position > ends[place[:2]].position), None)


async def _events(request: Request, read: Read, wanted: Wanted, places: Places) -> AsyncIterator[bytes]:
    answers = read.answers
    spoke_at = monotonic()
    yield b"retry: %d\nid: %s\n\n" % (_RETRY_MS, _id(places, answers.log))
    while not answers.stopping.is_set() and not await request.is_disconnected():
        try:
            news = await _in_thread(answers, lambda: _news(_still_allowed(request, read), wanted, places))
        except (StoreUnavailable, Problem):
            # the client comes again from its last id, and is told then
            return
        for message in _messages(news, wanted, places, answers.log):
            yield message
            spoke_at = monotonic()
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


def _messages(news: News, wanted: Wanted, places: Places, log: str) -> Iterator[bytes]:
    for envelopes, looked_to in news:
        for n, envelope in enumerate(envelopes, 1):
            if not wanted.has(envelope):
                continue
            # facts of one record share its position: whoever comes again before the last of them gets them all
            if n == len(envelopes) or envelopes[n].position != envelope.position:
                places[looked_to[:2]] = looked_to._replace(position=envelope.position)
            yield b"id: %s\ndata: %s\n\n" % (_id(places, log), to_json(envelope_answer(envelope)))
        places[looked_to[:2]] = looked_to


async def _in_thread(answers: Answers, ask: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(answers.live_threads, ask)


def _still_allowed(request: Request, read: Read) -> Read:
    """Return the read with what its caller may do by now. Raises: Problem, they may not listen any more."""
    caller = read.answers.authenticator.authenticate(credential_of(request))
    require(caller, "live:read")
    return read._replace(caller=caller)


def _news(read: Read, wanted: Wanted, places: Places) -> News:
    feed, opening, news = read.answers.feed, read.opening, []
    for end in feed.ends(read.tenant_id, wanted.about):
        if end.position > places[end[:2]].position:
            envelopes, looked_to = feed.since(read.tenant_id, places[end[:2]], limit=_READ_ROWS)
            news.append(([opening.event(envelope) for envelope in envelopes], looked_to))
    return news


def _wait(answers: Answers, places: Places) -> bool:
    return answers.feed.wait(tuple(places.values()), min(_WAIT_S, answers.heartbeat_s))


def _id(places: Places, log: str) -> bytes:
    return ",".join(token(places[place], log) for place in sorted(places)).encode()


def envelope_answer(envelope: Envelope) -> Answer:
    answer: dict[str, Any] = envelope.shown()
    del answer["topic"], answer["partition"]
    answer["position"] = str(Position(envelope.topic, envelope.partition, envelope.position))
    answer["actor"] = envelope.actor._asdict()
    answer["data"] = shown(envelope.data)
    return answer
