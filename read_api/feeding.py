"""A live stream sends a tenant's records as they are written; this finds them, for every way to listen."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property, partial
from time import monotonic, sleep
from typing import Any, NamedTuple

from projections.automation.conversations import PROJECTION as CONVERSATIONS
from projections.catalog import TYPES
from projections.stores import StoreUnavailable
from read_api.answers import LIVE_STREAMS_OF_A_TENANT, Answers
from read_api.edge.auth import Caller, Forbidden
from read_api.edge.ephemeral import EPHEMERAL_TYPES, Ephemeral, Hearing
from read_api.edge.parameters import parse_positions
from read_api.edge.problems import Problem
from read_api.edge.queries import one_of
from read_api.edge.responses import Answer, to_json
from read_api.edge.scopes import may, require
from read_api.edge.tokens import token
from read_api.reading import PERSONAL_SCOPE, Read
from schemas.envelope import Envelope, Position, StreamId, Topic
from schemas.shown import shown_record

Places = dict[tuple[Topic, int], Position]
News = Sequence[tuple[Sequence[Envelope], Position]]

LONGEST_PLACE = 8_192
"""Characters of where to go on: a position for each partition of telemetry, and one of events."""

RESOURCE = "live"

_TYPES = (*TYPES, *EPHEMERAL_TYPES)
_READ_ROWS = 500
_LARGE = 500
_AT_ONCE = 100
"""Records that are sent together."""
# how long a thread may be blocked: the bound of leaving, of stopping, and of noticing a revoked key
_WAIT_S = 1.0
# news are gathered for a moment, so that a busy log does not wake every stream for each record
_GATHER_S = 0.05
_GATHER_EACH_S = 0.0002
_MOST_GATHER_S = 0.2
_SEEN_WITHIN_S = 0.5
_BUSY_RETRY_S = 5
_BEGUN_WITHIN_S = 1.0
_LOOK_S = 0.05


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
    """Return what is asked for; no types mean all that is recorded, `device` bounds telemetry alone.

    Raises: Problem, no such type.
    """
    names = frozenset(one_of("types", name.strip(), _TYPES) for name in types if name.strip())
    return Wanted(names, stream, StreamId(f"device-{device}") if device else None)


class Listener(NamedTuple):
    """One who listens, with the credential that they showed and the places that they have heard everything up to."""

    read: Read
    credential: str | None
    wanted: Wanted
    places: Places


class Told:
    """What is sent.

    Shape: `place` is where to go on from behind it; no record means that there is nothing new. What is ephemeral has no
    place of its own. `as_event` and `as_message` are made once for all who are sent it.
    """

    def __init__(self, place: str, record: Answer | None, ephemeral: Answer | None = None) -> None:
        self.place, self.record, self.ephemeral = place, record, ephemeral

    @cached_property
    def as_event(self) -> bytes:
        """Return it as a server-sent event."""
        if self.ephemeral is not None:
            # without an id, so that nobody goes on behind it, and with a name, so that nobody takes it for a record
            return b"event: ephemeral\ndata: %s\n\n" % to_json(self.ephemeral)
        if self.record is None:
            return b": heartbeat\nid: %s\n\n" % self.place.encode()
        return b"id: %s\ndata: %s\n\n" % (self.place.encode(), to_json(self.record))

    @cached_property
    def as_message(self) -> str:
        """Return it as a message of a WebSocket."""
        said: dict[str, Any] = {"place": self.place}
        if self.ephemeral is not None:
            said = {"ephemeral": self.ephemeral}
        elif self.record is not None:
            said["record"] = self.record
        return to_json(said).decode()


class _Batch(NamedTuple):
    """What was found behind some places, and the places behind it. Shape: `is_all` says that there was no more."""

    told: Sequence[Told]
    places: Places
    is_all: bool

    @property
    def is_large(self) -> bool:
        # one record of a request of facts may hold thousands of them
        return len(self.told) > _LARGE


def check_own(read: Read, wanted: Wanted) -> None:
    """Do nothing where the caller may hear what is wanted. May wait for a second.

    Shape: who sees only what is their own may listen to a conversation of theirs.
    Raises: Forbidden, it is not their own; StoreUnavailable.
    """
    if not read.own:
        return
    kind, _, id_ = (wanted.stream or "").partition("-")
    if kind != "conversation":
        require(read.caller, f"{RESOURCE}:read")
    until = monotonic() + _BEGUN_WITHIN_S
    while (talk := read.answers.documents.get(CONVERSATIONS.name, read.tenant_id, id_)) is None and monotonic() < until:
        # whoever began it a moment ago may be ahead of the view
        sleep(_LOOK_S)
    if talk is None or talk.fields.get(CONVERSATIONS.documents.owner) != read.caller.actor.id:
        raise Forbidden(f"conversation {id_} is not there, or not yours; you may listen to your own only")


def take_slot(read: Read) -> Callable[[], None]:
    """Take a place for one more stream, and return what gives it back. Raises: Problem, there is none."""
    slots, streams, quota = read.answers.live_slots, read.answers.live_of, read.caller.quota.live_streams
    most = LIVE_STREAMS_OF_A_TENANT if quota is None else quota
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


async def news_for(listener: Listener, is_gone: Callable[[], Awaitable[bool]]) -> AsyncGenerator[Sequence[Told], None]:
    """Yield what a listener is told, first where they begin, until they are gone or may not listen any more.

    Shape: in silence a Told without a record comes now and then; its place moves on past what was not wanted. Those who
    listen to the same from the same place wait, read and encode together, once.
    """
    answers, places = listener.read.answers, listener.places
    with _hearing(listener) as hearing:
        yield [Told(_place(places, answers.log), None)]
        spoke_at, is_behind = monotonic(), True
        batch: _Batch | None
        while not answers.stopping.is_set() and not await is_gone():
            try:
                read = await _still_allowed(listener)
                async with answers.live_rooms.of(read.tenant_id) if is_behind else nullcontext():
                    batch = await _batch_of(read, listener.wanted, places)
                    if batch.is_large and not is_behind:
                        # it is made again, once there is room for it
                        is_behind, batch = True, None
                        continue
                    # what was said on the way to a record comes before it
                    told = [*_said(hearing, read), *batch.told]
                    if not told and monotonic() - spoke_at >= answers.heartbeat_s:
                        told = [Told(_place(batch.places, answers.log), None)]
                    for at in range(0, len(told), _AT_ONCE):
                        yield told[at : at + _AT_ONCE]
                        spoke_at = monotonic()
                    is_behind, before, places = not batch.is_all, places, batch.places
                # who waits for room holds nothing
                batch, told = None, []
                if places == before:
                    async for said in _said_until_grown(hearing, read, places):
                        yield said
                        spoke_at = monotonic()
                elif not is_behind:
                    # the more listen, the more each of them is told at once
                    await asyncio.sleep(min(_MOST_GATHER_S, _GATHER_S + answers.live_of.all * _GATHER_EACH_S))
            except (StoreUnavailable, Problem):
                # the client comes again from its last id, and is told then
                return


async def _said_until_grown(hearing: Hearing, read: Read, places: Places) -> AsyncGenerator[Sequence[Told], None]:
    """Yield what is said and not recorded while nothing is recorded. Raises: StoreUnavailable."""
    grown = asyncio.ensure_future(_grown(read.answers, places))
    try:
        while hearing.types and not grown.done():
            await _first_of(grown, hearing.news)
            if told := [*_said(hearing, read)]:
                yield told
        if await grown:
            await asyncio.sleep(_GATHER_S)
    finally:
        grown.cancel()


@contextmanager
def _hearing(listener: Listener) -> Iterator[Hearing]:
    """Give what the listener hears of messages that are not recorded."""
    read, wanted = listener.read, listener.wanted
    hearing = Hearing(wanted.types.intersection(EPHEMERAL_TYPES), wanted.stream)
    end = read.answers.ephemerals.listen(read.tenant_id, hearing)
    try:
        yield hearing
    finally:
        end()


async def _first_of(grown: "asyncio.Future[bool]", news: asyncio.Event) -> None:
    heard = asyncio.ensure_future(news.wait())
    try:
        await asyncio.wait((grown, heard), return_when=asyncio.FIRST_COMPLETED)
    finally:
        heard.cancel()


def _said(hearing: Hearing, read: Read) -> Iterator[Told]:
    """Yield the messages that the caller may hear, and first how many are lost."""
    messages, lost = hearing.take()
    if lost:
        yield Told("", None, {"lost": lost})
    for message in messages:
        if _may_hear(message, read.caller, read):
            yield Told("", None, message.shown())


def _may_hear(message: Ephemeral, caller: Caller, read: Read) -> bool:
    # who may listen to their own only hears of one stream, which is theirs
    is_theirs = read.own or may(caller, f"{message.resource}:read")
    return is_theirs and (not message.personal or may(caller, PERSONAL_SCOPE))


def records_of(news: News, wanted: Wanted, places: Places, log: str) -> Iterator[Told]:
    """Yield what is wanted of the news, and move the places on."""
    for envelopes, looked_to in news:
        for n, envelope in enumerate(envelopes, 1):
            if not wanted.has(envelope):
                continue
            # facts of one record share its position: whoever comes again before the last of them gets them all
            if n == len(envelopes) or envelopes[n].position != envelope.position:
                places[looked_to[:2]] = looked_to._replace(position=envelope.position)
            yield Told(_place(places, log), shown_record(envelope))
        places[looked_to[:2]] = looked_to


async def _still_allowed(listener: Listener) -> Read:
    """Return the read with what its caller may do by now. Raises: Problem, they may not listen any more."""
    read = listener.read
    caller = await read.answers.authenticator.identify(listener.credential)
    require(caller, f"{RESOURCE}:{'own' if read.own else 'read'}")
    return read._replace(caller=caller)


async def _batch_of(read: Read, wanted: Wanted, places: Places) -> _Batch:
    """Return what is new for a listener, made once for all who are at the same places. Raises: StoreUnavailable."""
    key = ("news", read.tenant_id, may(read.caller, PERSONAL_SCOPE), wanted, tuple(places.values()))
    make = partial(_made_batch, read, wanted, places)
    # what is behind a place stays the same: only that there is nothing may be otherwise in a moment
    return await read.answers.live_news.get(
        key, make, group=read.tenant_id, keeps=lambda batch: batch.places != places and not batch.is_large
    )


def _made_batch(read: Read, wanted: Wanted, before: Places) -> _Batch:
    feed, opening, news, is_all = read.answers.feed, read.opening, [], True
    for end in feed.ends(read.tenant_id, wanted.about):
        if end.position > before[end[:2]].position:
            envelopes, looked_to = feed.since(read.tenant_id, before[end[:2]], limit=_READ_ROWS)
            news.append(([opening.event(envelope) for envelope in envelopes], looked_to))
            is_all &= looked_to.position >= end.position
    places = dict(before)
    return _Batch([*records_of(news, wanted, places, read.answers.log)], places, is_all)


async def _grown(answers: Answers, places: Places) -> bool:
    """Wait until there is more behind the places, or for a moment; tell which. Raises: StoreUnavailable."""
    behind = tuple(places.values())
    wait_s = min(_WAIT_S, answers.heartbeat_s)
    return await answers.live_news.get(("wait", behind), lambda: answers.feed.wait(behind, wait_s))


def _place(places: Places, log: str) -> str:
    return ",".join(token(places[place], log) for place in sorted(places))
