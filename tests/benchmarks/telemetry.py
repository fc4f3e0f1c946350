"""This measures telemetry over HTTP in both profiles: batches of 5,000 readings of 50 devices, answered when durable.

It uses nothing but what the tree of commit 864c86d has too: copied there, it measures what is to be compared with.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import orjson

from infra.engines.kafka import Kafka
from infra.engines.registry import Registry
from infra.migrate import schema_registry
from infra.settings import Settings
from tests.benchmarks.embedded import served
from tests.benchmarks.result import Result
from tests.cluster import Cluster, until
from tests.infra.cluster_process import ClusterProcess

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
BATCH_FACTS = 5_000
DEVICES = 50
SENDERS = 2
FACTS = 200_000
KAFKA_FACTS = 100_000
PARTITIONS = 4
WARM = 2  # batches
_BUILD = "build"  # on the disk of the project, and not in its way


def run(say: Callable[[str], None]) -> Iterator[Result]:
    """Measure both; results come as they are there."""
    say("telemetry of 50 devices over HTTP, embedded")
    with TemporaryDirectory(dir=_BUILD) as folder, served(Path(folder)) as server:
        yield Result("telemetry over HTTP, 50 devices, embedded", rate(server.client, FACTS), "facts/s", None, 150_000)
    say("telemetry of 50 devices over HTTP, Kafka")
    with TemporaryDirectory(dir=_BUILD) as folder:
        yield Result("telemetry over HTTP, 50 devices, Kafka", on_kafka(Path(folder)), "facts/s")


def rate(client: httpx.Client, facts: int) -> float:
    """Return how many facts per second a server answers for, sent by two senders."""
    bodies = [_body(first) for first in range(0, facts + WARM * BATCH_FACTS, BATCH_FACTS)]

    def send(body: bytes) -> int:
        return int(client.post("/v1/telemetry", content=body).raise_for_status().json()["accepted"])

    with ThreadPoolExecutor(SENDERS) as senders:
        for body in bodies[:WARM]:
            send(body)
        began = time.perf_counter()
        accepted = sum(senders.map(send, bodies[WARM:]))
        took = time.perf_counter() - began
    assert accepted == facts
    return facts / took


def _body(first: int) -> bytes:
    return orjson.dumps(
        [
            {
                "type": "device.metrics.reported",
                "device_id": f"web-{n % DEVICES}",
                "happened_at": (BEGIN + timedelta(seconds=n // DEVICES)).isoformat(),
                "data": {"metrics": {"cpu_percent": n % 1000 / 10}, "unit": "percent"},
            }
            for n in range(first, first + BATCH_FACTS)
        ]
    )


def on_kafka(folder: Path) -> float:
    with Kafka(folder / "kafka").start() as kafka, Registry(folder / "registry").start() as registry:
        cluster = Cluster(kafka.bootstrap, partitions=PARTITIONS)
        schema_registry(Settings(cluster.bootstrap, registry.url, folder, cluster.topics)).register()
        worker = ClusterProcess("worker commands", cluster, registry.url, folder / "worker")
        gateway = ClusterProcess("serve --profile distributed", cluster, registry.url, folder / "gateway")
        with closing(worker), closing(gateway):
            worker.run()
            gateway.run()
            return rate(_client_of(gateway), KAFKA_FACTS)


def _client_of(gateway: ClusterProcess) -> httpx.Client:
    """Return a client with the key of a new tenant, once the gateway knows it."""
    until(lambda: gateway.address is not None and any(gateway.folder.rglob("operator.key")), 60)
    client = httpx.Client(base_url=gateway.address or "", timeout=120, trust_env=False)
    client.headers["X-API-Key"] = next(gateway.folder.rglob("operator.key")).read_text().strip()
    wanted = {"tenant_id": "acme", "name": "Acme Ltd"}
    until(lambda: client.post("/v1/commands", json=[]).is_success, 60)
    client.headers["X-API-Key"] = client.post("/v1/tenants", json=wanted).raise_for_status().json()["api_key"]
    until(lambda: client.post("/v1/commands", json=[]).is_success, 60)
    return client
