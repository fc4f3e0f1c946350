"""The live stream over WebSocket, heard with a real client: guards, limits and places are those of the other way."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from fastapi.requests import HTTPConnection
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from infra.serve.http import LONGEST_MESSAGE
from projections.personal import MASKED
from projections.rows import Patch
from read_api.app import Answers
from read_api.edge.auth import Caller as Known
from read_api.edge.auth import CredentialKind
from read_api.live_socket import CODE_OF_STATUS
from schemas.envelope import StreamId
from schemas.personal import Origin, seal_payload, subjects
from tests.read_api.test_live import listening
from tests.read_api.world import ACME, BOLT, Caller, Stores, World, served


class Socket:
    """One connection. Shape: `place` is the last one that was told."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.place = ""
        self.signs_of_life = 0

    def say(self, **first: Any) -> "Socket":
        self.connection.send(json.dumps(first))
        return self

    def hear(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.connection.recv(timeout=10))
        self.place = said.get("place", self.place)
        self.signs_of_life += "record" not in said
        return said

    def opened(self) -> "Socket":
        assert self.hear().keys() == {"place"}
        return self

    def next(self) -> dict[str, Any]:
        while True:
            if record := self.hear().get("record"):
                return dict(record)

    def refused(self, status: int) -> dict[str, Any]:
        problem = self.hear()["problem"]
        assert problem["status"] == status, problem
        assert self.closed() == CODE_OF_STATUS + status
        return dict(problem)

    def closed(self) -> int:
        with pytest.raises(ConnectionClosed) as closed:
            self._read_to_the_end()
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code

    def _read_to_the_end(self) -> None:
        while True:
            self.connection.recv(timeout=10)


@pytest.fixture
def key(stores: Stores) -> str:
    return stores.issue_key(ACME, "socket-all", "*")


@contextmanager
def opened(address: str, path: str = "/v1/live", **how: Any) -> Iterator[Socket]:
    url = address.replace("http", "ws", 1) + path
    with connect(url, proxy=None, **how) as connection:
        yield Socket(connection)


def test_record_arrives_as_over_server_sent_events(address: str, acme: Caller, key: str, world: World) -> None:
    with opened(address) as socket, listening(acme) as stream:
        socket.say(api_key=key).opened()
        world.feed.add(BOLT, "device.registered", "device-foreign")
        world.feed.add(ACME, "device.registered", "device-1")
        assert socket.next() == stream.next()
        assert socket.place == stream.last_id


def test_listener_goes_on_behind_a_place_that_either_way_gave(
    address: str, acme: Caller, key: str, world: World
) -> None:
    with listening(acme) as stream:
        place = stream.last_id
    added = [world.feed.add(ACME, "device.heartbeat", "device-1").event_id for _ in range(4)]
    with opened(address) as socket:
        socket.say(api_key=key, after=place)
        assert [socket.next()["event_id"] for _ in range(2)] == added[:2]
    with listening(acme, after=socket.place) as stream:
        assert [stream.next()["event_id"] for _ in range(2)] == added[2:]


def test_filters_leave_out_what_was_not_asked_for_and_silence_is_broken(address: str, key: str, world: World) -> None:
    with opened(address) as socket:
        socket.say(api_key=key, types=["alert.raised"], stream="alert-1").opened()
        passed = world.feed.add(ACME, "device.heartbeat", "alert-1")
        while f"events/0/{passed.position}" not in socket.place:
            socket.hear()
        wanted = world.feed.add(ACME, "alert.raised", "alert-1")
        assert socket.next()["event_id"] == wanted.event_id


@pytest.mark.parametrize(
    ("first", "status"),
    [
        ({}, 401),
        ({"api_key": "ak_no.sk_no"}, 401),
        ({"token": "no.to.ken"}, 401),
        ({"api_key": "KEY", "token": "no.to.ken"}, 401),
        ({"api_key": "KEY", "after": "events/1/7"}, 400),
        ({"api_key": "KEY", "after": "events/0/999999"}, 409),
        ({"api_key": "KEY", "types": ["alert.rised"]}, 400),
        ({"api_key": "KEY", "typos": ["alert.raised"]}, 422),
        ({"api_key": 7}, 422),
    ],
    ids=str,
)
def test_who_is_not_known_or_asks_for_what_is_not_is_told(
    address: str, key: str, first: dict[str, Any], status: int
) -> None:
    with opened(address) as socket:
        said = socket.say(**{name: key if value == "KEY" else value for name, value in first.items()})
        assert key not in json.dumps(said.refused(status))


def test_no_message_that_is_no_object_makes_the_server_fail(address: str) -> None:
    for raw in ("", "[]", "7", "{", b"\x00\xff", '{"types": [' + '"a",' * 200 + '"a"]}'):
        with opened(address) as socket:
            socket.connection.send(raw)
            socket.refused(422)


def test_credentials_in_the_address_are_none(address: str, key: str) -> None:
    with opened(address, path=f"/v1/live?api_key={key}") as socket:
        socket.refused(400)


def test_header_of_the_request_names_who_listens_and_goes_with_no_other(address: str, key: str, world: World) -> None:
    with opened(address, additional_headers={"X-API-Key": key}) as socket:
        socket.say().opened()
        added = world.feed.add(ACME, "device.heartbeat", "device-1")
        assert socket.next()["event_id"] == added.event_id
    with opened(address, additional_headers={"X-API-Key": key}) as socket:
        socket.say(api_key=key).refused(401)


def test_key_without_the_scope_may_not_listen(address: str, stores: Stores) -> None:
    with opened(address) as socket:
        socket.say(api_key=stores.issue_key(ACME, "socket-narrow", "devices:read")).refused(403)


@pytest.mark.parametrize(
    ("headers", "is_allowed"),
    [
        ({"Origin": "OWN"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({}, False),
        ({"Origin": "OWN", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}, True),
    ],
    ids=str,
)
def test_cookie_of_a_session_counts_from_a_page_of_this_server_alone(
    address: str, answers: Answers, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], *, is_allowed: bool
) -> None:
    ann = Known(ACME, "ann", (), kind=CredentialKind.SESSION, roles=("OWNER",))
    monkeypatch.setattr(answers.authenticator, "_known", lambda shown: ann if shown == "Session of-ann" else None)
    said = {name: address if value == "OWN" else value for name, value in headers.items()}
    with opened(address, additional_headers={"Cookie": "factline_session=of-ann", **said}) as socket:
        socket.say()
        if is_allowed:
            socket.opened()
        else:
            assert "must come from a page of this server" in socket.refused(403)["detail"]


def test_revoked_key_stops_hearing(address: str, stores: Stores) -> None:
    key = stores.issue_key(ACME, "socket-then-revoked", "live:read")
    with opened(address) as socket:
        socket.say(api_key=key).opened()
        stores.write("callers", [Patch(ACME, "socket-then-revoked", "events", 2, {"revoked": True})])
        assert socket.closed() == 1012
    with opened(address) as socket:
        socket.say(api_key=key).refused(401)


def test_personal_fields_are_masked_as_everywhere(address: str, stores: Stores, world: World) -> None:
    said = {"email": "ann@acme.example", "roles": ["USER"], "expires_at": "2026-02-07T12:00:00Z"}
    origin = Origin(ACME, StreamId("user-socket"), "user.invited", 1)
    sealed = seal_payload(origin, said, world.keys.make(subjects(origin, said)))
    with opened(address) as masked, opened(address) as open_:
        masked.say(api_key=stores.issue_key(ACME, "socket-masked", "live:read")).opened()
        open_.say(api_key=stores.issue_key(ACME, "socket-open", "live:read", "personal:read")).opened()
        world.feed.add(ACME, origin.type, origin.stream, data=sealed)
        assert masked.next()["data"]["email"] == MASKED
        assert open_.next()["data"]["email"] == said["email"]


def test_sockets_and_server_sent_events_have_their_places_together(
    address: str, acme: Caller, key: str, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "live_slots", threading.BoundedSemaphore(1))
    with listening(acme) as stream, opened(address) as socket:
        assert socket.say(api_key=key).refused(503)["detail"] == "no live stream is free; try again"
        # as long as somebody has it, it is open
        assert stream.comments == 0
    assert eventually_free(answers)
    with opened(address) as socket:
        socket.say(api_key=key).opened()
        assert acme.get("/v1/live").status_code == 503
    assert eventually_free(answers)


def eventually_free(answers: Answers) -> bool:
    deadline = time.monotonic() + 5
    while not answers.live_slots.acquire(blocking=False):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    answers.live_slots.release()
    return True


def test_who_says_nothing_is_closed_and_leaves_room(
    address: str, key: str, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "hello_s", 0.3)
    monkeypatch.setattr(answers, "unnamed_slots", threading.BoundedSemaphore(1))
    with opened(address) as silent, opened(address) as second:
        assert second.refused(503)
        assert silent.refused(408)
    with opened(address) as socket:
        socket.say(api_key=key).opened()


def test_more_than_the_first_message_closes_the_connection(address: str, key: str) -> None:
    with opened(address) as socket:
        socket.say(api_key=key).opened()
        socket.say(api_key=key)
        assert socket.closed() == 1008


def test_who_reads_nothing_is_dropped_and_gives_the_place_back(
    address: str, key: str, answers: Answers, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "live_slots", threading.BoundedSemaphore(1))
    monkeypatch.setattr(answers, "slow_s", 0.3)
    host, _, port = address.removeprefix("http://").partition(":")
    with closing(socket.socket()) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((host, int(port)))
        with opened(address, sock=sock, max_queue=1, close_timeout=0) as slow:
            slow.say(api_key=key).opened()
            for _ in range(64):
                world.feed.add(ACME, "device.heartbeat", "device-1", data={"text": "x" * 200_000})
            assert eventually_free(answers)


def test_stopping_closes_the_sockets(world: World, stores: Stores) -> None:
    answers = world.answers()
    with served(answers) as address, opened(address) as socket:
        socket.say(api_key=stores.issue_key(ACME, "socket-stopping", "*")).opened()
        answers.stop()
        assert socket.closed() == 1012


def test_requests_over_websocket_are_counted_like_others(
    address: str, stores: Stores, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []

    async def count(_request: HTTPConnection, caller: Known) -> None:
        counted.append(caller.id)

    monkeypatch.setattr("read_api.reading.count", count)
    with opened(address) as socket:
        socket.say(api_key=stores.issue_key(ACME, "socket-counted", "*")).opened()
    assert [id_.rpartition("socket")[1:] for id_ in counted] == [("socket", "-counted")]
    assert answers.limiter is None


def test_first_message_has_a_bound(address: str, key: str) -> None:
    with opened(address) as socket:
        socket.say(api_key=key, after="e" * LONGEST_MESSAGE)
        assert socket.closed() == 1009
