"""Subscriptions over graphql-transport-ws tell what /v1/live tells: the same places, rights, masks and bounds."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.requests import HTTPConnection
from websockets.sync.client import ClientConnection

from projections.personal import MASKED
from projections.rows import Patch
from read_api.app import Answers
from read_api.edge.auth import Caller as Known
from read_api.edge.auth import CredentialKind
from read_api.graphql.socket import MOST_AT_ONCE, PROTOCOL
from read_api.graphql.subscription import SUBSCRIPTION
from schemas.envelope import StreamId
from schemas.personal import Origin, seal_payload, subjects
from tests.read_api.graphql.test_graphql import PATH, send
from tests.read_api.test_live import listening
from tests.read_api.test_live_socket import Socket, eventually_free, opened
from tests.read_api.world import ACME, BOLT, Caller, Stores, World, problem, served

TOLD = """subscription($types: [String!], $stream: String, $telemetry: ID, $after: String) {
    told(types: $types, stream: $stream, telemetry: $telemetry, after: $after) {
        place ephemeral record { eventId type stream position document } } }"""


class Subscribing:
    """One connection of a client of the protocol."""

    def __init__(self, connection: ClientConnection) -> None:
        self.socket = Socket(connection)
        self.place = ""

    def say(self, type_: str, **more: Any) -> "Subscribing":
        self.socket.say(type=type_, **more)
        return self

    def init(self, **payload: str) -> "Subscribing":
        self.say("connection_init", **({"payload": payload} if payload else {}))
        assert self.socket.hear() == {"type": "connection_ack"}
        return self

    def subscribe(self, query: str = TOLD, id_: str = "1", **variables: Any) -> "Subscribing":
        return self.say("subscribe", id=id_, payload={"query": query, "variables": variables})

    def told(self, id_: str = "1") -> Any:
        said = self.socket.hear()
        assert (said["id"], said["type"], "errors" in said["payload"]) == (id_, "next", False), said
        found = said["payload"]["data"]["told"]
        self.place = found["place"] or self.place
        return found

    def begun(self, id_: str = "1") -> "Subscribing":
        assert self.told(id_)["record"] is None
        return self

    def record(self, id_: str = "1") -> Any:
        while True:
            if record := self.told(id_)["record"]:
                return record

    def refused(self, id_: str = "1") -> Any:
        said = self.socket.hear()
        assert (said["id"], said["type"]) == (id_, "error"), said
        return said["payload"][0]

    def closed(self) -> int:
        return self.socket.closed()


@pytest.fixture
def key(stores: Stores) -> str:
    return stores.issue_key(ACME, "subscriber", "*")


@contextmanager
def connected(address: str, **how: Any) -> Iterator[Subscribing]:
    with opened(address, PATH, **{"subprotocols": [PROTOCOL], **how}) as socket:
        yield Subscribing(socket.connection)


def test_subscriber_is_told_what_others_are_and_from_the_same_places(
    address: str, acme: Caller, key: str, world: World
) -> None:
    with connected(address) as client, listening(acme) as stream:
        assert client.socket.connection.subprotocol == PROTOCOL
        client.init(api_key=key).subscribe().begun()
        world.feed.add(BOLT, "device.registered", "device-foreign")
        added = world.feed.add(ACME, "device.registered", "device-1")
        record = client.record()
        assert record["document"] == stream.next()
        named = (record["eventId"], record["type"], record["stream"])
        assert named == (added.event_id, "device.registered", "device-1")
        assert client.place == stream.last_id
    later = world.feed.add(ACME, "device.heartbeat", "device-1")
    with connected(address) as client:
        assert client.init(api_key=key).subscribe(after=stream.last_id).record()["eventId"] == later.event_id


def test_filters_are_those_of_the_other_ways(address: str, key: str, world: World) -> None:
    with connected(address) as client:
        client.init(api_key=key).subscribe(types=["alert.raised"], stream="alert-s").begun()
        world.feed.add(ACME, "device.heartbeat", "alert-s")
        wanted = world.feed.add(ACME, "alert.raised", "alert-s")
        assert client.record()["eventId"] == wanted.event_id


def test_several_subscriptions_of_a_connection_begin_and_end_by_themselves(
    address: str, key: str, world: World, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "live_slots", threading.BoundedSemaphore(2))
    with connected(address) as client:
        client.init(api_key=key).subscribe(id_="a", types=["alert.raised"]).begun("a")
        client.subscribe(id_="b", types=["device.heartbeat"]).begun("b")
        client.subscribe(id_="c")
        assert "no live stream is free" in client.refused("c")["message"]
        client.say("ping")
        assert client.socket.hear() == {"type": "pong"}
        client.say("complete", id="a").subscribe(id_="c", types=["alert.resolved"]).begun("c")
        world.feed.add(ACME, "alert.raised", "alert-1")
        world.feed.add(ACME, "device.heartbeat", "device-1")
        assert client.record("b")["type"] == "device.heartbeat"
    assert eventually_free(answers)


@pytest.mark.parametrize(
    ("query", "variables", "said"),
    [
        ("subscription { told { colour } }", {}, "Cannot query field 'colour'"),
        ("subscription { told { place } a: told { place } }", {}, "only one top level field"),
        ("{ devices { nodes { id } } }", {}, "this is no subscription"),
        ("{", {}, "Syntax Error"),
        (TOLD, {"types": ["alert.rised"]}, "alert.rised"),
        (TOLD, {"after": "events/1/7"}, "is not in a partition of this tenant"),
        (TOLD, {"after": "events/0/999999"}, "past the end of the log"),
        (TOLD, {"types": 7}, "types"),
        (TOLD, {"types": ["alert.raised"] * 101}, "at most 100 types"),
    ],
)
def test_what_cannot_be_told_is_an_error_of_its_subscription(
    address: str, key: str, query: str, variables: dict[str, Any], said: str
) -> None:
    with connected(address) as client:
        client.init(api_key=key).subscribe(query, **variables)
        assert said in client.refused()["message"]
        # the connection goes on
        client.subscribe().begun()


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({}, 4401),
        ({"api_key": "ak_no.sk_no"}, 4401),
        ({"token": "no.to.ken"}, 4401),
        ({"api_key": "KEY", "token": "no.to.ken"}, 4401),
        ({"api_key": 7}, 4400),
        ({"typos": "x"}, 4400),
    ],
    ids=str,
)
def test_who_is_not_known_is_not_served(address: str, key: str, payload: dict[str, Any], code: int) -> None:
    said = {name: key if value == "KEY" else value for name, value in payload.items()}
    with connected(address) as client:
        client.say("connection_init", payload=said)
        assert client.closed() == code


def test_who_does_not_keep_to_the_protocol_is_out(address: str, key: str) -> None:
    with opened(address, PATH) as socket:
        assert socket.closed() == 4406
    with connected(address) as client:
        assert client.subscribe().closed() == 4401
    with connected(address) as client:
        assert client.init(api_key=key).say("connection_init").closed() == 4429
    with connected(address) as client:
        client.init(api_key=key).subscribe().begun().subscribe()
        assert client.closed() == 4409
    for raw in ("", "[]", "7", "{", b"\x00\xff", '{"type": "next"}', '{"type": "subscribe", "id": "1"}'):
        with connected(address) as client:
            client.init(api_key=key).socket.connection.send(raw)
            assert client.closed() == 4400


def test_connection_has_so_many_subscriptions(address: str, key: str) -> None:
    with connected(address) as client:
        client.init(api_key=key)
        for n in range(MOST_AT_ONCE + 1):
            client.subscribe(id_=str(n), stream=f"alert-{n}")
        assert client.closed() == 4429


def test_cookie_of_a_session_counts_from_a_page_of_this_server_alone(
    address: str, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = Known(ACME, "ann", (), kind=CredentialKind.SESSION, roles=("OWNER",))
    monkeypatch.setattr(answers.authenticator, "_known", lambda shown: ann if shown == "Session of-ann" else None)
    cookie = {"Cookie": "factline_session=of-ann"}
    with connected(address, additional_headers={**cookie, "Origin": address}) as client:
        client.init().subscribe().begun()
    for origin in ("http://evil.example", "null"):
        with connected(address, additional_headers={**cookie, "Origin": origin}) as client:
            assert client.say("connection_init").closed() == 4403


def test_key_without_the_scope_is_told_nothing_and_a_revoked_one_no_more(address: str, stores: Stores) -> None:
    with connected(address) as client:
        client.init(api_key=stores.issue_key(ACME, "sub-narrow", "devices:read")).subscribe()
        assert client.refused()["extensions"]["status"] == 403
    with connected(address) as client:
        client.init(api_key=stores.issue_key(ACME, "sub-revoked", "live:read")).subscribe().begun()
        stores.write("callers", [Patch(ACME, "sub-revoked", "events", 2, {"revoked": True})])
        assert client.closed() == 1012


def test_personal_fields_are_masked_as_everywhere(address: str, stores: Stores, world: World) -> None:
    said = {"email": "ann@acme.example", "roles": ["USER"], "expires_at": "2026-02-07T12:00:00Z"}
    origin = Origin(ACME, StreamId("user-subscribed"), "user.invited", 1)
    sealed = seal_payload(origin, said, world.keys.make(subjects(origin, said)))
    with connected(address) as masked, connected(address) as open_:
        masked.init(api_key=stores.issue_key(ACME, "sub-masked", "live:read")).subscribe().begun()
        open_.init(api_key=stores.issue_key(ACME, "sub-open", "live:read", "personal:read")).subscribe().begun()
        world.feed.add(ACME, origin.type, origin.stream, data=sealed)
        assert masked.record()["document"]["data"]["email"] == MASKED
        assert open_.record()["document"]["data"]["email"] == said["email"]


def test_who_asks_for_nothing_is_closed_and_leaves_room(
    address: str, key: str, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "hello_s", 0.3)
    monkeypatch.setattr(answers, "unnamed_slots", threading.BoundedSemaphore(1))
    with connected(address) as silent, connected(address) as second:
        assert second.closed() == 4503
        assert silent.closed() == 4408
    with connected(address) as idle:
        assert idle.init(api_key=key).closed() == 1000
    with connected(address) as failing:
        failing.init(api_key=key).subscribe("{").refused()
        assert failing.closed() == 1000
    with connected(address) as first:
        first.init(api_key=key).subscribe().begun()
        # who is told something is in another line
        with connected(address) as second:
            second.init(api_key=key).subscribe().begun()


def test_stopping_closes_and_each_subscription_counts(
    world: World, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []

    async def count(_request: HTTPConnection, caller: Known) -> None:
        counted.append(caller.id)

    monkeypatch.setattr("read_api.reading.count", count)
    answers = world.answers()
    with served(answers) as address, connected(address) as client:
        client.init(api_key=stores.issue_key(ACME, "sub-stopping", "*")).subscribe(id_="a").begun("a")
        client.subscribe(id_="b", stream="alert-1").begun("b")
        answers.stop()
        assert client.closed() == 1012
    assert len(counted) == 2


def test_subscription_over_a_request_is_refused_and_the_schema_names_it(acme: Caller) -> None:
    assert "goes over WebSocket" in problem(send(acme, "subscription { told { place } }"), 422)["detail"]
    assert "type Subscription" in acme.get(PATH).text
    assert json.dumps(list(SUBSCRIPTION.fields)) == '["told"]'
