"""An import sends again, under the same ids, what a server had no room for while it took the rest."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest

from domain.fleet.facts import DeviceMetricsReported, LogRecorded
from infra.cli import import_sinks
from infra.cli.client import ServerClient
from infra.cli.import_sinks import LineIds, ServerSink
from schemas.envelope import TenantId
from streams.ports import FactSubmission
from tests.streams.kit import register


class Server:
    """Takes the first of the commands it is sent, each time it is asked; the others it has no room for."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"rows": []})
        items = orjson.loads(request.content)
        self.bodies.append(items)
        replies = [
            {"outcome": "accepted", "repeated": False}
            if n == 0
            else {"outcome": "refused", "kind": "not_now", "reason": "the queue is full"}
            for n, _ in enumerate(items)
        ]
        return httpx.Response(200, json={"replies": replies})


def test_commands_that_met_a_full_queue_are_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_sinks, "_LATER_S", 0)
    server = Server()
    client = ServerClient("http://127.0.0.1:1", "key", transport=httpx.MockTransport(server))
    batch = [register(f"web-{n}")._replace(name="fleet.RegisterDevice") for n in range(3)]
    taken = ServerSink(client, TenantId("demo")).commands(batch)
    assert [(one.kind, one.repeated) for one in taken] == [(None, False)] * 3
    ids = [one.command_id for one in batch]
    assert [[item["id"] for item in body] for body in server.bodies] == [ids, ids[1:], ids[2:]]


def test_what_a_server_never_has_room_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_sinks, "_LATER_S", 0)
    monkeypatch.setattr(import_sinks, "_TRIES", 2)
    client = ServerClient("http://127.0.0.1:1", "key", transport=httpx.MockTransport(Server()))
    batch = [register(f"web-{n}")._replace(name="fleet.RegisterDevice") for n in range(3)]
    last = ServerSink(client, TenantId("demo")).commands(batch)[-1]
    assert (last.kind, last.reason) == ("not_now", "the queue is full")


AT = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)


def tick(second: int, text: str = "tick") -> FactSubmission:
    return FactSubmission("web-1", AT + timedelta(seconds=second), LogRecorded(severity="info", summary=text))


def ids(*files: Sequence[FactSubmission]) -> list[str | None]:
    lines = LineIds()
    found: list[str | None] = []
    for file in files:
        lines.begin_file()
        found += [lines.named(line).fact_id for line in file]
    return found


def test_equal_lines_are_told_apart_also_where_a_log_was_rotated_between_them() -> None:
    rotated = ids([tick(0), tick(0)], [tick(0), tick(1)])
    assert len(set(rotated)) == 4
    assert ids([tick(0), tick(0)], [tick(0), tick(1)]) == rotated
    # a file that was written before the rotation has the ids of its lines
    assert ids([tick(0), tick(0), tick(0), tick(1)]) == rotated


def test_the_same_file_twice_in_one_import_has_the_same_ids_twice() -> None:
    file = [tick(0), tick(1), tick(1), tick(0, "tock")]
    once = ids(file)
    assert len(set(once)) == 4
    assert ids(file, file) == once * 2


def test_a_line_keeps_an_id_that_it_has_and_a_reading_needs_none() -> None:
    assert LineIds().named(tick(0)._replace(fact_id="mine")).fact_id == "mine"
    reading = FactSubmission("web-1", AT, DeviceMetricsReported(metrics={"cpu": 1.0}))
    assert LineIds().named(reading) == reading
