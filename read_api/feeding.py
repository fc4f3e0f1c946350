"""A live stream sends a tenant's records as they are written; this finds them, for every way to listen."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from time import monotonic, sleep
from typing import Any, NamedTuple, TypeVar

from projections.catalog import TYPES
from projections.stores import StoreUnavailable
from read_api.answers import Answers
from read_api.edge.parameters import parse_positions
from read_api.edge.problems import Problem
from read_api.edge.queries import one_of
from read_api.edge.responses import Answer
from read_api.edge.scopes import require
from read_api.edge.tokens import token
from read_api.reading import Read
from schemas.envelope import Envelope, Position, StreamId, Topic
from schemas.shown import shown

T = TypeVar("T")
Places = dict[tuple[Topic, int], Position]
News = Sequence[tuple[Sequence[Envelope], Position]]

LONGEST_PLACE = 8_192
"""Characters of where to go on: a position for each partition of telemetry, and one of events."""

RESOURCE = "live"

_READ_ROWS = 500
# how long a thread may be blocked: the bound of leaving, of stopping, and of noticing a revoked key
_WAIT_S = 1.0
# news are gathered for a moment, so that a busy log does not wake every stream for each record
_GATHER_S = 0.05
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


def wanted_of(types: Iterable[str], stream: str | None, device: str | None) -> Wanted:
    """Return what is asked for; no types mean all, `device` bounds telemetry alone. Raises: Problem, no such type."""
    names = frozenset(one_of("types", name.strip(), TYPES) for name in types if name.strip())
    return Wanted(names, stream, StreamId(f"device-{device}") if device else None)


class Listener(NamedTuple):
    """One who listens, with the credential that they showed and the places that they have heard everything up to."""

    read: Read
    credential: str | None
    wanted: Wanted
    places: Places


class Told(NamedTuple):
    """What is sent. Shape: `place` is where to go on from behind it; no record means that there is nothing new."""

    place: str
    record: Answer | None


def take_slot(read: Read) -> Callable[[], None]:
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


def places_of(read: Read, wanted: Wanted, text: str | None) -> Places:
    """Return the places that a listener goes on from, the ends of the log where none is said.

    Raises: Problem, there is no such place; StoreUnavailable. May wait for half a second.
    """
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


async def news_for(listener: Listener, is_gone: Callable[[], Awaitable[bool]]) -> AsyncGenerator[Told, None]:
    """Yield what a listener is told, first where they begin, until they are gone or may not listen any more.

    Shape: in silence a Told without a record comes now and then; its place moves on past what was not wanted.
    """
    read, _, wanted, places = listener
    answers = read.answers
    spoke_at = monotonic()
    yield Told(_place(places, answers.log), None)
    while not answers.stopping.is_set() and not await is_gone():
        try:
            news = await in_thread(answers, lambda: _news(_still_allowed(listener), wanted, places))
        except (StoreUnavailable, Problem):
            # the client comes again from its last id, and is told then
            return
        for told in records_of(news, wanted, places, answers.log):
            yield told
            spoke_at = monotonic()
        if monotonic() - spoke_at >= answers.heartbeat_s:
            yield Told(_place(places, answers.log), None)
            spoke_at = monotonic()
        if not news:
            try:
                grown = await in_thread(answers, lambda: _wait(answers, places))
            except StoreUnavailable:
                return
            if grown:
                await asyncio.sleep(_GATHER_S)


def records_of(news: News, wanted: Wanted, places: Places, log: str) -> Iterator[Told]:
    """Yield what is wanted of the news, and move the places on."""
    for envelopes, looked_to in news:
        for n, envelope in enumerate(envelopes, 1):
            if not wanted.has(envelope):
                continue
            # facts of one record share its position: whoever comes again before the last of them gets them all
            if n == len(envelopes) or envelopes[n].position != envelope.position:
                places[looked_to[:2]] = looked_to._replace(position=envelope.position)
            yield Told(_place(places, log), envelope_answer(envelope))
        places[looked_to[:2]] = looked_to


async def in_thread(answers: Answers, ask: Callable[[], T]) -> T:
    """Ask in one of the threads that live streams have."""
    return await asyncio.get_running_loop().run_in_executor(answers.live_threads, ask)


def _still_allowed(listener: Listener) -> Read:
    """Return the read with what its caller may do by now. Raises: Problem, they may not listen any more."""
    caller = listener.read.answers.authenticator.authenticate(listener.credential)
    require(caller, f"{RESOURCE}:read")
    return listener.read._replace(caller=caller)


def _news(read: Read, wanted: Wanted, places: Places) -> News:
    feed, opening, news = read.answers.feed, read.opening, []
    for end in feed.ends(read.tenant_id, wanted.about):
        if end.position > places[end[:2]].position:
            envelopes, looked_to = feed.since(read.tenant_id, places[end[:2]], limit=_READ_ROWS)
            news.append(([opening.event(envelope) for envelope in envelopes], looked_to))
    return news


def _wait(answers: Answers, places: Places) -> bool:
    return answers.feed.wait(tuple(places.values()), min(_WAIT_S, answers.heartbeat_s))


def _place(places: Places, log: str) -> str:
    return ",".join(token(places[place], log) for place in sorted(places))


def envelope_answer(envelope: Envelope) -> Answer:
    answer: dict[str, Any] = envelope.shown()
    del answer["topic"], answer["partition"]
    answer["position"] = str(Position(envelope.topic, envelope.partition, envelope.position))
    answer["actor"] = envelope.actor._asdict()
    answer["data"] = shown(envelope.data)
    return answer
