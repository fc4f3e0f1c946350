"""A device of a running server goes OFFLINE when it is silent, and ONLINE when it is heard of again."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from factline.client import Client
from streams.correlate import run
from tests.conformance import Target, target
from tests.waiting import eventually


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    """A server whose seconds of patience are fewer: nobody waits two minutes for a test."""
    monkeypatch.setenv("FACTLINE_SILENCE_S", "1")
    monkeypatch.setattr(run, "SETTLED_S", 0)
    with target(tmp_path_factory.mktemp("liveness") / "data") as server:
        yield server


def test_silent_device_is_offline_until_it_is_heard_of_again(server: Target) -> None:
    with Client(server.url, server.tenant_key) as client:

        def changes() -> list[Any]:
            rows = client.get("/v1/audit/streams/device-web-1")["rows"]
            return [(row["data"]["to"], row["actor"]["id"]) for row in rows if row["type"] == "device.status.changed"]

        client.command("fleet", "RegisterDevice", {"device_id": "web-1", "hostname": "web-1"})
        online = client.command("fleet", "ChangeDeviceStatus", {"device_id": "web-1", "status": "ONLINE"})
        client.get("/v1/audit/streams/device-web-1", consistent_with=online.token)
        eventually(lambda: len(changes()) == 2)
        beat = {"type": "device.heartbeat", "device_id": "web-1", "happened_at": datetime.now(UTC), "data": {}}
        client.telemetry([beat])
        eventually(lambda: len(changes()) >= 3)
        assert [change for change in changes() if change[1] == "liveness"][:2] == [
            ("OFFLINE", "liveness"),
            ("ONLINE", "liveness"),
        ]
        assert eventually(lambda: client.get("/v1/devices/web-1")["rows"][0]["status"] == "OFFLINE")
