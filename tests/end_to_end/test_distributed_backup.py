"""The drill of the distributed profile: written under load, backed up, destroyed, restored, verified."""

import json
import shutil
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest

from infra.engines.kafka import Kafka
from schemas.envelope import Position, TenantId
from schemas.partitioning import partition_of
from tests.end_to_end.deployment import PARTITIONS, Deployment, deployed
from tests.end_to_end.test_distributed_reads import key_of_a_tenant
from tests.waiting import eventually

if TYPE_CHECKING:
    from infra.engines.cassandra import Cassandra
    from infra.engines.clickhouse import ClickHouseFront
    from infra.engines.mongo import Mongo
    from infra.engines.registry import Registry

pytestmark = pytest.mark.timeout(900)

EMAIL = "marvin@example.test"


class Load:
    """Registers devices and sends a reading of each until it is stopped; keeps every answer.

    Shape: `events` and `facts` are where each device and its reading were recorded.
    """

    def __init__(self, client: httpx.Client) -> None:
        self.events: dict[str, Position] = {}
        self.facts: dict[str, Position] = {}
        self._client = client
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def reach(self, count: int) -> None:
        eventually(lambda: len(self.facts) >= count or not self._thread.is_alive())
        assert self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            device = f"d-{len(self.events)}"
            self.events[device] = register(self._client, device)
            at = "2026-01-31T08:30:00Z"
            data = {"metrics": {"cpu": 1.0}, "unit": ""}
            fact = {"type": "device.metrics.reported", "device_id": device, "happened_at": at, "data": data}
            answer = self._client.post("/v1/telemetry", json=[fact])
            assert answer.status_code == 200, answer.text
            self.facts[device] = Position.parse(answer.json()["position"])


def register(client: httpx.Client, device: str) -> Position:
    body = {"device_id": device, "hostname": f"{device}.example"}
    answer = client.post("/v1/commands/fleet/RegisterDevice", json=body, headers={"Idempotency-Key": device})
    assert answer.status_code == 200, answer.text
    return Position.parse(answer.json()["position"]["token"])


def asking(deployment: Deployment, key: str) -> httpx.Client:
    return httpx.Client(base_url=deployment.url(), timeout=60, trust_env=False, headers={"X-API-Key": key})


def test_drill_a_deployment_under_load_is_backed_up_lost_and_restored(
    registry: "Registry",
    cassandra: "Cassandra",
    own_mongo: "Mongo",
    clickhouse_front: "ClickHouseFront",
    tmp_path: Path,
) -> None:
    stores = (registry, cassandra, own_mongo, clickhouse_front)
    copy, before, after = tmp_path / "copy", tmp_path / "before", tmp_path / "after"
    for folder in (before, after):
        folder.mkdir()
    with Kafka(tmp_path / "lost").start() as kafka:
        with deployed((kafka, *stores), clickhouse_front, before) as deployment:
            operator, key = deployment.operator_key, key_of_a_tenant(deployment, "acme")
            with asking(deployment, key) as client, Load(client) as load:
                lead = {"lead_id": "l1", "source": "referral", "email": EMAIL}
                assert client.post("/v1/commands/sales/CaptureLead", json=lead).status_code == 200
                load.reach(30)
                answered, reported = dict(load.events), dict(load.facts)
                assert "the master key is not in it" in deployment.factline("backup", str(copy))
                load.reach(len(reported) + 10)
        shutil.copyfile(before / "master.key", after / "master.key")
        (after / "master.key").chmod(0o600)
        shutil.rmtree(before)
        kafka.kill()
        shutil.rmtree(tmp_path / "lost")
    assert not [path for path in copy.rglob("*") if path.stat().st_mode & 0o077]

    manifest = json.loads((copy / "backup.json").read_text())
    assert all(place.position <= manifest["events"][place.partition] for place in answered.values())
    assert all(place.position <= manifest["facts"][place.partition] for place in reported.values())
    with Kafka(tmp_path / "new").start() as kafka:
        restored = Deployment((kafka, *stores), clickhouse_front, after)
        try:
            restored.factline("restore", str(copy))
            restored.start()
            with asking(restored, key) as client:
                check(client, load, manifest)
                verified = eventually(lambda: no_difference(restored))
                assert verified.count("no difference") > 30
            with asking(restored, operator) as client:
                assert client.get("/v1/tenants").status_code == 200
        finally:
            restored.stop()


def check(client: httpx.Client, load: Load, manifest: Any) -> None:
    """Every answer that the backup covers is there, none that it does not cover, and the log is written on."""
    home = partition_of(TenantId("acme"), PARTITIONS)
    last = manifest["events"][home]
    assert register(client, "after").position == last + 1
    seen = {"X-Consistent-With": f"events/{home}/{last + 1}"}
    for device, place in load.events.items():
        found = client.get(f"/v1/audit/streams/device-{device}", headers=seen).status_code
        assert found == (200 if place.position <= last else 404), device
    for device, place in load.facts.items():
        if load.events[device].position <= last:
            covered = place.position <= manifest["facts"][place.partition]
            eventually(partial(has_reading_if, client, device, covered=covered))
    [lead] = client.get("/v1/leads/l1", headers=seen).json()["rows"]
    assert lead["email"] == EMAIL
    # the same request again is known, and gets the answer of before
    repeated = register(client, "d-0")
    assert (repeated.partition, repeated.position) == (home, load.events["d-0"].position)


def has_reading_if(client: httpx.Client, device: str, *, covered: bool) -> bool:
    answer = client.get(f"/v1/devices/{device}/metrics")
    return answer.status_code == 200 and bool(answer.json()["rows"]) == covered


def no_difference(deployment: Deployment) -> str:
    """Return what `verify` says of all views, "" while it finds one that is not as the log."""
    try:
        return deployment.factline("verify")
    except AssertionError:
        return ""
