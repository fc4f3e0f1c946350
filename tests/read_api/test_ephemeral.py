"""Messages that are not recorded: who hears them, what is lost, and that they are told from records."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from projections.rows import Patch
from read_api.app import Answers
from read_api.edge import ephemeral
from read_api.edge.ephemeral import STREAMED, TYPING, Ephemeral, Hearing, LocalEphemerals
from read_api.reading import PERSONAL_SCOPE
from schemas.envelope import StreamId, TenantId
from tests.read_api.test_live import listening, wait_until_forgotten
from tests.read_api.test_live_socket import opened
from tests.read_api.world import ACME, BOLT, NOW, Caller, Stores, World, problem
from tests.waiting import eventually

Publish = Callable[..., None]


@pytest.fixture
def publish(answers: Answers) -> Publish:
    def publish(
        n: int, tenant_id: TenantId = ACME, stream: str = "task-t1", type_: str = STREAMED, **more: Any
    ) -> None:
        answers.ephemerals.publish(message(n, tenant_id, stream, type_, **more))

    return publish


def message(
    n: int, tenant_id: TenantId = ACME, stream: str = "task-t1", type_: str = STREAMED, **more: Any
) -> Ephemeral:
    streams = (StreamId(stream), StreamId("agent_execution-r1"))
    return Ephemeral(tenant_id, type_, streams, NOW, {"n": n}, **{"resource": "tasks", **more})


def test_message_reaches_who_listens_now_and_is_told_from_a_record(
    acme: Caller, world: World, publish: Publish
) -> None:
    publish(0)
    with listening(acme, types=f"{STREAMED},alert.raised") as stream:
        before = stream.last_id
        publish(1)
        assert stream.next() == {
            "type": STREAMED,
            "tenant_id": "acme",
            "stream": "task-t1",
            "about": ["task-t1", "agent_execution-r1"],
            "at": "2026-01-31T12:00:00Z",
            "data": {"n": 1},
        }
        assert (stream.named, stream.last_id) == ("ephemeral", before)
        world.feed.add(ACME, "alert.raised", "alert-1")
        assert (stream.next()["type"], stream.named) == ("alert.raised", "")
    # nobody goes on behind it: who comes again hears nothing of it
    with listening(acme, headers={"Last-Event-ID": before}, types=f"{STREAMED},alert.raised") as stream:
        assert stream.next()["type"] == "alert.raised"


def test_message_comes_at_once_and_not_with_the_next_look_at_the_log(acme: Caller, publish: Publish) -> None:
    with listening(acme, types=STREAMED) as stream:
        began = time.monotonic()
        for n in range(20):
            publish(n)
            assert stream.next()["data"] == {"n": n}
        assert time.monotonic() - began < 10


def test_who_does_not_ask_for_their_type_hears_records_alone(acme: Caller, world: World, publish: Publish) -> None:
    with listening(acme) as all_records, listening(acme, types="alert.raised") as alerts:
        publish(1)
        world.feed.add(ACME, "alert.raised", "alert-1")
        assert [stream.next()["type"] for stream in (all_records, alerts)] == ["alert.raised"] * 2


@pytest.mark.parametrize("of", ["task-t2", "agent_execution-r1"])
def test_messages_are_filtered_by_tenant_type_and_each_stream_that_they_are_about(
    acme: Caller, world: World, publish: Publish, of: str
) -> None:
    with listening(acme, types=STREAMED, stream=of) as stream:
        publish(1, BOLT, "task-t2")
        publish(2, type_=TYPING, stream="task-t2")
        if of == "task-t2":
            publish(3, stream="task-t1")
        world.feed.add(ACME, "task.completed", of)
        publish(4, stream="task-t2")
        assert stream.next()["data"] == {"n": 4}


def test_who_may_not_read_what_it_is_about_does_not_hear_it(
    stores: Stores, caller: Callable[[str | None], Caller], publish: Publish
) -> None:
    client = caller(stores.issue_key(ACME, "live-of-tasks", "live:read", "tasks:read"))
    with listening(client, types=STREAMED) as stream:
        publish(1, resource="conversations")
        publish(2, personal=True)
        publish(3)
        assert stream.next()["data"] == {"n": 3}
        stores.issue_key(ACME, "live-of-tasks", "live:read", "conversations:read", PERSONAL_SCOPE, order=2)
        wait_until_forgotten()
        # by then what may be heard follows from what the key may now
        time.sleep(1.1)
        publish(4)
        publish(5, resource="conversations", personal=True)
        assert stream.next()["data"] == {"n": 5}


@pytest.fixture
def ann(stores: Stores) -> str:
    stores.put("conversations", ACME, "of-ann", started_by="ann-talks")
    stores.put("conversations", ACME, "of-bob", started_by="bob")
    return stores.issue_key(ACME, "ann-talks", "live:own", PERSONAL_SCOPE)


def test_who_sees_only_their_own_listens_to_their_own_conversation_alone(
    ann: str, caller: Callable[[str | None], Caller], world: World, publish: Publish
) -> None:
    client = caller(ann)
    for other in ("", "conversation-of-bob", "conversation-none", "task-t1", "device-of-ann", "of-ann"):
        refused = problem(client.get("/v1/live", types=STREAMED, stream=other), 403)
        is_talk = other.startswith("conversation-")
        assert ("is not there, or not yours" if is_talk else "lacks the scope live:read") in refused["detail"]
    problem(client.get("/v1/live"), 403)
    with listening(client, types=f"{STREAMED},conversation.answered", stream="conversation-of-ann") as stream:
        publish(1)
        publish(2, stream="conversation-of-bob", resource="conversations")
        publish(3, stream="conversation-of-ann", resource="conversations", personal=True)
        assert stream.next()["data"] == {"n": 3}
        world.feed.add(ACME, "conversation.answered", "conversation-of-bob")
        world.feed.add(ACME, "conversation.answered", "conversation-of-ann")
        assert stream.next()["stream"] == "conversation-of-ann"


def test_socket_takes_who_sees_only_their_own_in_the_same_way(address: str, ann: str, publish: Publish) -> None:
    with opened(address) as socket:
        socket.say(api_key=ann, types=[STREAMED], stream="conversation-of-bob").refused(403)
    with opened(address) as socket:
        socket.say(api_key=ann, types=[STREAMED], stream="conversation-of-ann").opened()
        publish(1, stream="conversation-of-ann", resource="conversations")
        assert json.loads(socket.connection.recv(timeout=10))["ephemeral"]["data"] == {"n": 1}


def test_right_to_ones_own_that_is_taken_ends_the_stream(
    stores: Stores, ann: str, caller: Callable[[str | None], Caller]
) -> None:
    with listening(caller(ann), stream="conversation-of-ann") as stream:
        stores.issue_key(ACME, "ann-talks", "devices:read", order=2)
        with pytest.raises(EOFError):
            stream.next()


def test_revoked_key_hears_no_more(stores: Stores, caller: Callable[[str | None], Caller], publish: Publish) -> None:
    client = caller(stores.issue_key(ACME, "revoked-hearing", "*"))
    with listening(client, types=STREAMED) as stream:
        stores.write("callers", [Patch(ACME, "revoked-hearing", "events", 2, {"revoked": True})])
        wait_until_forgotten()
        time.sleep(1.1)
        publish(1)
        with pytest.raises(EOFError):
            stream.next()


def test_socket_tells_them_apart_too(address: str, stores: Stores, world: World, publish: Publish) -> None:
    key = stores.issue_key(ACME, "socket-hearing", "*")
    with opened(address) as socket:
        socket.say(api_key=key, types=[STREAMED, "alert.raised"], stream="agent_execution-r1").opened()
        place = socket.place
        publish(1)
        said = json.loads(socket.connection.recv(timeout=10))
        assert said.keys() == {"ephemeral"}
        assert (said["ephemeral"]["data"], socket.place) == ({"n": 1}, place)
        world.feed.add(ACME, "alert.raised", "agent_execution-r1")
        assert socket.next()["type"] == "alert.raised"


def test_type_that_is_none_is_refused_and_the_nearest_is_named(acme: Caller) -> None:
    assert STREAMED in problem(acme.get("/v1/live", types="task.streamd"), 400)["detail"]


def test_slow_listener_loses_the_oldest_and_is_told_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ephemeral, "_UNREAD", 3)

    async def heard() -> None:
        hearing = Hearing({STREAMED}, None)
        for n in range(5):
            hearing.put(message(n))
        taken, lost = hearing.take()
        assert ([one.data["n"] for one in taken], lost) == ([2, 3, 4], 2)
        assert hearing.take() == ([], 0)

    asyncio.run(heard())


def test_loss_is_told_in_the_stream(acme: Caller, monkeypatch: pytest.MonkeyPatch, publish: Publish) -> None:
    monkeypatch.setattr(ephemeral, "_UNREAD", 1)
    with listening(acme, types=STREAMED) as stream:
        told: list[dict[str, Any]] = []
        while not any("lost" in one for one in told):
            for n in range(50):
                publish(n)
            told.append(stream.next())
        assert stream.named == "ephemeral"
        assert told[-1]["lost"] > 0


def test_stream_that_ended_hears_no_more(acme: Caller, answers: Answers, publish: Publish) -> None:
    def hearing() -> int:
        return sum(len(one) for one in vars(answers.ephemerals)["_hearing"].values())

    eventually(lambda: hearing() == 0)
    with listening(acme, types=STREAMED) as stream:
        publish(1)
        stream.next()
        assert hearing() == 1
    eventually(lambda: hearing() == 0)


def test_listener_that_left_leaves_nothing_behind() -> None:
    async def left() -> None:
        ephemerals = LocalEphemerals()
        first, second = Hearing({STREAMED}, None), Hearing({STREAMED}, None)
        end = ephemerals.listen(ACME, first)
        also = ephemerals.listen(ACME, second)
        end()
        ephemerals.publish(message(1))
        assert ([*first.take()[0]], len(second.take()[0])) == ([], 1)
        also()
        assert vars(ephemerals)["_hearing"] == {}

    asyncio.run(left())


def test_listener_whose_loop_is_gone_breaks_nothing() -> None:
    async def made() -> Hearing:
        return Hearing({STREAMED}, None)

    ephemerals = LocalEphemerals()
    ephemerals.listen(ACME, asyncio.run(made()))
    ephemerals.publish(message(1))
