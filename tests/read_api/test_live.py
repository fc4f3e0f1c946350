"""Server-sent events: what is new, from any position on."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from projections.personal import MASKED
from projections.rows import Patch
from read_api import feeding
from read_api.app import Answers
from read_api.feeding import Wanted, records_of
from read_api.reading import PERSONAL_SCOPE
from schemas.envelope import Envelope, Position, StreamId, TenantId, Topic
from schemas.personal import Origin, seal_payload, subjects
from tests.read_api.world import ACME, BOLT, Caller, Stores, World, problem, served


class Stream:
    """The events of one connection, read as a browser reads them. Shape: `named` is what the last one was called."""

    def __init__(self, response: httpx.Response) -> None:
        self.lines = response.iter_lines()
        self.last_id = ""
        self.comments = 0
        self.named = ""

    def next(self) -> dict[str, Any]:
        self.named = ""
        for line in self.lines:
            name, _, value = line.partition(": ")
            if name == "id":
                self.last_id = value
            elif name == "event":
                self.named = value
            elif name == "":
                self.comments += value == "heartbeat"
            elif name == "data":
                found: dict[str, Any] = json.loads(value)
                return found
        raise EOFError

    def opened(self) -> "Stream":
        for line in self.lines:
            if line.startswith("id: "):
                self.last_id = line.removeprefix("id: ")
                return self
        raise EOFError


@contextmanager
def listening(caller: Caller, headers: Mapping[str, str] | None = None, **query: str) -> Iterator[Stream]:
    with caller.http.stream("GET", "/v1/live", params=query, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Stream(response).opened()


def test_an_event_arrives_as_it_is_recorded(acme: Caller, world: World) -> None:
    with listening(acme) as stream:
        world.feed.add(BOLT, "device.registered", "device-foreign")
        added = world.feed.add(ACME, "device.registered", "device-1")
        event = stream.next()
    assert event == {
        "event_id": added.event_id,
        "type": "device.registered",
        "schema_version": 1,
        "tenant_id": "acme",
        "stream": "device-1",
        "version": 1,
        "position": f"events/0/{added.position}",
        "happened_at": "2026-01-31T12:00:00Z",
        "recorded_at": "2026-01-31T12:00:00Z",
        "actor": {"type": "system", "id": "test"},
        "correlation_id": "c",
        "causation_id": "c",
        "data": {"n": added.position},
        "organization_id": None,
        "traceparent": None,
    }
    assert stream.last_id == ",".join(str(end) for end in world.feed.ends(ACME))


def test_a_listener_that_comes_back_misses_and_repeats_nothing(acme: Caller, world: World) -> None:
    seen: list[str] = []
    added: list[str] = []
    last_id = ",".join(str(end) for end in world.feed.ends(ACME))
    for turn in range(4):
        for number in range(3):
            topic = Topic.EVENTS if (turn + number) % 2 else Topic.TELEMETRY
            added.append(world.feed.add(ACME, "device.heartbeat", "device-1", topic).event_id)
            world.feed.add(BOLT, "device.heartbeat", "device-1", topic)
        with listening(acme, headers={"Last-Event-ID": last_id}) as stream:
            # leaves in the middle of what there is
            seen += [stream.next()["event_id"] for _ in range(2)]
            last_id = stream.last_id
    with listening(acme, after=last_id) as stream:
        seen += [stream.next()["event_id"] for _ in range(4)]
    assert sorted(seen) == sorted(added)


def test_the_header_goes_before_the_address(acme: Caller, world: World) -> None:
    first = world.feed.add(ACME, "device.heartbeat", "device-1")
    second = world.feed.add(ACME, "device.heartbeat", "device-1")
    with listening(
        acme, headers={"Last-Event-ID": f"events/0/{first.position}"}, after=f"events/0/{first.position - 1}"
    ) as stream:
        assert stream.next()["event_id"] == second.event_id


def test_filters_leave_out_what_was_not_asked_for(acme: Caller, world: World) -> None:
    with listening(acme, types="alert.raised,alert.resolved", stream="alert-1") as stream:
        world.feed.add(ACME, "device.heartbeat", "alert-1")
        world.feed.add(ACME, "alert.raised", "alert-2")
        wanted = world.feed.add(ACME, "alert.raised", "alert-1")
        assert stream.next()["event_id"] == wanted.event_id


def test_of_telemetry_only_one_devices_is_sent_where_one_is_named_and_of_events_all(acme: Caller, world: World) -> None:
    with listening(acme, telemetry="web-1") as stream:
        world.feed.add(ACME, "device.heartbeat", "device-web-2", Topic.TELEMETRY)
        wanted = [
            world.feed.add(ACME, "device.heartbeat", "device-web-1", Topic.TELEMETRY),
            world.feed.add(ACME, "device.registered", "device-web-3"),
        ]
        assert {stream.next()["event_id"] for _ in wanted} == {envelope.event_id for envelope in wanted}


def test_a_heartbeat_moves_the_id_past_what_was_left_out(acme: Caller, world: World) -> None:
    with listening(acme, types="alert.raised") as stream:
        passed = world.feed.add(ACME, "device.heartbeat", "device-1")
        while f"events/0/{passed.position}" not in stream.last_id:
            stream.opened()
        last = world.feed.add(ACME, "alert.raised", "alert-1")
        assert stream.next()["event_id"] == last.event_id


def test_silence_is_broken_by_heartbeats(acme: Caller, world: World) -> None:
    with listening(acme) as stream:
        timer = threading.Timer(0.7, world.feed.add, (ACME, "device.heartbeat", "device-1"))
        timer.start()
        stream.next()
        timer.join()
    assert stream.comments >= 2


@pytest.mark.parametrize("after", ["7", "events/0", "events/1/7", "telemetry/5/0,events/0/1"])
def test_a_position_of_another_form_or_partition_is_refused(acme: Caller, after: str) -> None:
    problem(acme.get("/v1/live", after=after), 400)


def test_a_revoked_key_stops_hearing(stores: Stores, caller: Callable[[str | None], Caller]) -> None:
    client = caller(stores.issue_key(ACME, "live-then-revoked", "live:read"))
    with listening(client) as stream:
        stores.write("callers", [Patch(ACME, "live-then-revoked", "events", 2, {"revoked": True})])
        with pytest.raises(EOFError):
            stream.next()


def test_who_may_not_see_personal_fields_any_more_gets_them_masked(
    world: World, stores: Stores, caller: Callable[[str | None], Caller]
) -> None:
    said = {"email": "ann@acme.example", "roles": ["USER"], "expires_at": "2026-02-07T12:00:00Z"}
    origin = Origin(ACME, StreamId("user-ann"), "user.invited", 1)
    sealed = seal_payload(origin, said, world.keys.make(subjects(origin, said)))

    def invite() -> None:
        world.feed.add(ACME, origin.type, origin.stream, data=sealed)

    client = caller(stores.issue_key(ACME, "live-then-masked", "live:read", PERSONAL_SCOPE))
    with listening(client) as stream:
        invite()
        assert stream.next()["data"]["email"] == said["email"]
        stores.issue_key(ACME, "live-then-masked", "live:read", order=2)
        wait_until_forgotten()
        invite()
        assert stream.next()["data"]["email"] == MASKED


def wait_until_forgotten() -> None:
    """Sleep for as long as a caller is remembered."""
    time.sleep(1.1)


def test_many_who_listen_to_the_same_are_read_for_once_and_all_are_told(
    acme: Caller, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Position] = []
    since = world.feed.since

    def counted(tenant_id: TenantId, after: Position, *, limit: int) -> tuple[Sequence[Envelope], Position]:
        read.append(after)
        return since(tenant_id, after, limit=limit)

    monkeypatch.setattr(world.feed, "since", counted)
    with ExitStack() as listeners:
        streams = [listeners.enter_context(listening(acme)) for _ in range(12)]
        foreign = listeners.enter_context(listening(acme, types="alert.raised"))
        added = world.feed.add(ACME, "device.registered", "device-1")
        assert {stream.next()["event_id"] for stream in streams} == {added.event_id}
        alert = world.feed.add(ACME, "alert.raised", "alert-1")
        assert foreign.next()["event_id"] == alert.event_id
    # of the twelve one read the first event for all, and one for who wants something else
    assert 1 <= read.count(Position(Topic.EVENTS, 0, added.position - 1)) <= 4


def test_tenant_whose_quota_says_nothing_leaves_places_to_others(
    acme: Caller, caller: Callable[[str | None], Caller], stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "LIVE_STREAMS_OF_A_TENANT", 2)
    bolt = caller(stores.issue_key(BOLT, "listens-beside", "live:read"))
    with listening(acme) as one, listening(acme) as two, listening(bolt) as other:
        assert "2; close one" in problem(acme.get("/v1/live"), 429)["detail"]
        assert one.last_id
        assert two.last_id
        assert other.last_id


def test_only_so_many_listen_at_once_and_leaving_makes_room(
    acme: Caller, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "live_slots", threading.BoundedSemaphore(1))
    with listening(acme) as stream:
        assert problem(acme.get("/v1/live"), 503)["detail"] == "no live stream is free; try again"
        assert stream.comments == 0
    deadline = time.monotonic() + 5
    while not answers.live_slots.acquire(blocking=False):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    answers.live_slots.release()


def test_stopping_ends_the_streams_and_their_threads(world: World, stores: Stores) -> None:
    answers = world.answers()
    before = set(threading.enumerate())
    with served(answers) as address:
        client = Caller(address, stores.issue_key(ACME, "stopping", "*"))
        with listening(client) as stream:
            answers.stop()
            with pytest.raises(EOFError):
                stream.next()
        problem(client.get("/v1/live"), 503)
        client.http.close()
    left = {thread for thread in threading.enumerate() if thread.name.startswith(("live", "analytics"))} - before
    for thread in left:
        thread.join(3)
    assert not [thread for thread in left if thread.is_alive()]


def test_the_id_moves_on_with_the_last_fact_of_a_record(world: World) -> None:
    at = Position(Topic.TELEMETRY, 0, 7)
    fact = world.feed.add(ACME, "device.heartbeat", "device-1", Topic.TELEMETRY)._replace(position=7)
    passed = fact._replace(position=9)
    places = {at[:2]: at._replace(position=3)}
    wanted = Wanted(frozenset(), None, None)
    news = [([fact, fact._replace(place=1), passed], at._replace(position=12))]
    assert [told.place for told in records_of(news, wanted, places, "")] == [f"telemetry/0/{n}" for n in (3, 7, 9)]
    assert places == {at[:2]: at._replace(position=12)}


def test_what_is_about_a_device_is_what_names_it_or_else_what_it_sent(world: World) -> None:
    wanted = Wanted(frozenset(), None, StreamId("device-2"))
    sent = world.feed.add(ACME, "log.recorded", "device-1", Topic.TELEMETRY)
    assert not wanted.has(sent)
    assert wanted.has(sent._replace(data={"device_id": "2"}))
    assert wanted.has(sent._replace(stream=StreamId("device-2")))
