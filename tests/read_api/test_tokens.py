"""Tokens and cursors say which log they are of; those of another one, or from before a restore, are refused."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from read_api.edge.tokens import log_tag, token
from schemas.envelope import Position, Topic
from tests.read_api.world import ACME, Caller, Stores, World, problem, served

HERE, RESTORED = log_tag("a log", 1), log_tag("a log", 2)
FIRST = Position(Topic.EVENTS, 0, 1)


@pytest.fixture
def world(stores: Stores) -> World:
    world = World(stores)
    for number in range(1, 8):
        world.feed.add(ACME, "device.tagged", f"device-d{number}")
        stores.put("devices", ACME, f"d{number}", status="ONLINE", hostname=f"h{number}")
    return world


@pytest.fixture
def client(world: World, stores: Stores) -> Iterator[Caller]:
    stores.put("tenants", ACME, ACME, status="ACTIVE")
    with served(world.answers(log=HERE, consistency_wait_s=3.0)) as address:
        caller = Caller(address, stores.issue_key(ACME, "all", "*"))
        with closing(caller.http):
            yield caller


def test_log_and_epoch_make_the_tag() -> None:
    assert log_tag("a log", 1) != log_tag("a log", 2) != log_tag("another log", 2)
    assert Position.parse(token(FIRST, HERE)) == FIRST


def test_token_of_this_log_and_one_of_before_tokens_named_it_are_taken(client: Caller) -> None:
    for text in (token(FIRST, HERE), str(FIRST), f"{token(FIRST, HERE)},{FIRST}"):
        assert client.get("/v1/devices", {"X-Consistent-With": text}).status_code == 200


@pytest.mark.parametrize("log", [RESTORED, log_tag("another log", 1)])
def test_token_of_another_log_or_epoch_is_409_wherever_it_is_taken(client: Caller, log: str) -> None:
    foreign = token(FIRST, log)
    for answer in (
        client.get("/v1/devices", {"X-Consistent-With": f"{FIRST},{foreign}"}),
        client.get("/v1/live", {"Last-Event-ID": foreign}),
        client.get("/v1/live", after=foreign),
    ):
        assert "another log, or from before this one was restored" in problem(answer, 409)["detail"]


def test_position_past_the_end_of_the_log_is_409_and_not_silence(client: Caller, world: World) -> None:
    past = token(Position(Topic.EVENTS, 0, 99), HERE)
    for answer in (
        client.get("/v1/devices", {"X-Consistent-With": past}),
        client.get("/v1/live", {"Last-Event-ID": past}),
    ):
        assert "past the end of the log, which is at events/0/7" in problem(answer, 409)["detail"]
    # one that the log has and the view has not yet is waited for as before
    world.progress.move(3)
    assert problem(client.get("/v1/devices", {"X-Consistent-With": "events/0/5"}), 503)["reached"] == "events/0/3"


def test_cursor_of_another_epoch_is_409_and_one_of_this_log_goes_on(client: Caller) -> None:
    first = client.table("/v1/devices", limit=2, sort="hostname")
    following = client.table("/v1/devices", limit=2, sort="hostname", cursor=first["next"])
    assert [row["id"] for row in (*first["rows"], *following["rows"])] == ["d1", "d2", "d3", "d4"]
    old = f"{first['next'].partition('@')[0]}@{RESTORED}"
    assert "before this one was restored" in problem(client.get("/v1/devices", cursor=old), 409)["detail"]
    # a cursor of an earlier version does not say its log, and goes on
    earlier = first["next"].partition("@")[0]
    assert client.table("/v1/devices", limit=2, sort="hostname", cursor=earlier)["rows"] == following["rows"]
