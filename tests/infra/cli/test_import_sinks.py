"""An import sends again, under the same ids, what a server had no room for while it took the rest."""

from typing import Any

import httpx
import orjson
import pytest

from factline.client import Client
from infra.cli.import_sinks import ServerSink
from schemas.envelope import TenantId
from streams.intake.importing import sink
from tests.streams.kit import register


class Server:
    """Takes the first of the commands it is sent, each time it is asked; the others it has no room for."""

    def __init__(self, kind: str = "not_now") -> None:
        self.kind = kind
        self.bodies: list[Any] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"rows": []})
        items = orjson.loads(request.content)
        self.bodies.append(items)
        replies = [
            {"outcome": "accepted", "repeated": False}
            if n == 0
            else {"outcome": "refused", "kind": self.kind, "reason": "the queue is full"}
            for n, _ in enumerate(items)
        ]
        return httpx.Response(200, json={"replies": replies})


@pytest.mark.parametrize("kind", ["not_now", "expired"])
def test_commands_that_met_a_full_queue_or_came_too_late_are_sent_again(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(sink, "_LATER_S", 0)
    server = Server(kind)
    client = Client("http://127.0.0.1:1", "key", transport=httpx.MockTransport(server))
    batch = [register(f"web-{n}")._replace(name="fleet.RegisterDevice") for n in range(3)]
    taken = ServerSink(client, TenantId("demo")).commands(batch)
    assert [(one.kind, one.repeated) for one in taken] == [(None, False)] * 3
    ids = [one.command_id for one in batch]
    assert [[item["id"] for item in body] for body in server.bodies] == [ids, ids[1:], ids[2:]]


def test_what_a_server_never_has_room_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "_LATER_S", 0)
    monkeypatch.setattr(sink, "_TRIES", 2)
    client = Client("http://127.0.0.1:1", "key", transport=httpx.MockTransport(Server()))
    batch = [register(f"web-{n}")._replace(name="fleet.RegisterDevice") for n in range(3)]
    last = ServerSink(client, TenantId("demo")).commands(batch)[-1]
    assert (last.kind, last.reason) == ("not_now", "the queue is full")
