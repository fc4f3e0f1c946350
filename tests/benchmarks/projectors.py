"""This measures the distributed read side: one worker of each role between a real broker and its store.

ClickHouse is infra/engines/clickhouse_front.py: the real engine behind a stand-in for a server's HTTP interface.
"""

import asyncio
import os
import re
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Self

import clickhouse_connect
import httpx
import psutil
from pymongo import MongoClient

from domain.fleet.facts import DeviceMetricsReported
from infra.engines.cassandra import Cassandra
from infra.engines.clickhouse import ClickHouseFront
from infra.engines.engine import free_ports
from infra.engines.kafka import Kafka
from infra.engines.mongo import Mongo
from infra.kafka.command_gate import KafkaCommandGate
from infra.kafka.telemetry_log import KafkaTelemetryLog
from infra.settings import Settings
from infra.stores import migrate_stores, open_stores
from projections.rows import Role, View
from schemas.envelope import Actor, ActorType, Envelope, Position, StreamId, TenantId, Topic
from streams.ports import Batch, FactSubmission, Submission, SystemClock
from tests.benchmarks import kafka_writer, stores
from tests.benchmarks.result import Result
from tests.cluster import SCHEMA_IDS, Cluster
from tests.contracts.event_log import events

PARTITIONS = kafka_writer.PARTITIONS
FACTS = 1_000_000
FACTS_AT_ONCE = 5_000
DOCUMENTS = 100_000
FLAT_FROM = 0.2
ROUNDS = 2
STATUS_S = 0.05
LOOK_S: Mapping[Role, float] = {Role.TIMELINE: 0.02, Role.DOCUMENTS: 0.02, Role.ANALYTICS: 0.05}
SHOWN: Mapping[Role, Sequence[str]] = {
    Role.TIMELINE: ("audit_trail", "stream_history"),
    Role.DOCUMENTS: ("devices",),
    Role.ANALYTICS: ("events",),
}
"""The views in which the commands of the freshness measurement show; looking is work for the store too."""

_ACTOR = Actor(ActorType.SYSTEM, "benchmark")
_APPLIED = re.compile(r"^factline_worker_records_total (\S+)", re.MULTILINE)


class Measured(NamedTuple):
    """One worker over one log. Units: MB of resident memory, early and at the end."""

    rate: float
    early_mb: float
    last_mb: float


def run(say: Callable[[str], None]) -> Iterator[Result]:
    """Measure everything; results come as they are there."""
    with Bench() as bench:
        yield from bench.stores(say)
        yield from bench.freshness(say)


class Bench:
    """Real engines, and the environment of the processes that use them."""

    def __init__(self) -> None:
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self.folder = Path(self._open.enter_context(TemporaryDirectory()))
        self.kafka = self._open.enter_context(Kafka(self.folder / "kafka").start())
        self.cassandra = self._open.enter_context(Cassandra(self.folder / "cassandra").start())
        self.mongo = self._open.enter_context(Mongo(self.folder / "mongo").start())
        self.front = self._open.enter_context(ClickHouseFront(self.folder / "clickhouse").start())
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def environment(self, cluster: Cluster) -> Mapping[str, str]:
        """Make stores for a log and return the settings of both."""
        name = cluster.topics.prefix.replace("-", "_")
        with closing(clickhouse_connect.get_client(dsn=self._dsn("default"))) as client:
            client.command(f"CREATE DATABASE IF NOT EXISTS {name}")
        environment = {
            "FACTLINE_KAFKA_BOOTSTRAP": cluster.bootstrap,
            "FACTLINE_TOPIC_PREFIX": cluster.topics.prefix,
            "FACTLINE_PARTITIONS": str(cluster.topics.partitions),
            "FACTLINE_CASSANDRA_CONTACT_POINTS": f"127.0.0.1:{self.cassandra.port}",
            "FACTLINE_CASSANDRA_KEYSPACE": name,
            "FACTLINE_CLICKHOUSE_URL": self._dsn(name),
            "FACTLINE_MONGO_URL": self.mongo.url,
            "FACTLINE_MONGO_DATABASE": name,
            "DATA_DIR": str(self.folder / name),
        }
        migrate_stores(Settings.from_environment(environment))
        return environment

    def _dsn(self, database: str) -> str:
        return f"clickhouse://127.0.0.1:{self.front.port}/{database}"

    # --- from Kafka into a store, against the bare driver

    def stores(self, say: Callable[[str], None]) -> Iterator[Result]:
        say(f"writing {FACTS:,} facts and {DOCUMENTS:,} events to Kafka")
        facts, decided = (Cluster(self.kafka.bootstrap, partitions=PARTITIONS) for _ in range(2))
        fill_facts(facts)
        fill_events(decided, self.folder / "events")
        environment = self.environment(facts)
        settings = Settings.from_environment(environment)
        for role, name in ((Role.TIMELINE, "Cassandra timeline"), (Role.ANALYTICS, "ClickHouse analytics")):
            say(f"Kafka → {name}")
            with open_stores(role, settings) as opened:
                views: Any = opened.views
                if role is Role.TIMELINE:
                    _, bare = stores.cassandra_rates(views, settings.stores.cassandra_keyspace)
                else:
                    _, bare = stores.clickhouse_rates(views, settings.stores.clickhouse_url)
                before = bare(1)
                measured = self.worker(role, environment, FACTS)
                yield _compared(f"Kafka → {name}, one worker", measured, max(before, bare(2)))
            yield from _memory(role, measured)
        say("Kafka → MongoDB documents")
        environment = self.environment(decided)
        measured = self.worker(Role.DOCUMENTS, environment, DOCUMENTS)
        database = environment["FACTLINE_MONGO_DATABASE"]
        with closing(MongoClient[dict[str, object]](self.mongo.url)) as client:
            bare_rate = max(stores.bulk_rate(client, database, "devices_v1", n) for n in range(ROUNDS))
        yield _compared("Kafka → MongoDB documents, one worker", measured, bare_rate)
        yield from _memory(Role.DOCUMENTS, measured)

    def worker(self, role: Role, environment: Mapping[str, str], records: int) -> Measured:
        """Let a new worker read a log to its end; what it took until its first batch is not counted."""
        with self.running(role, environment) as (process, url):
            memory = psutil.Process(process.pid)
            begin = first = early = 0.0
            while (applied := _applied(url)) < records:
                if applied and not begin:
                    begin, first = time.perf_counter(), applied
                if applied > FLAT_FROM * records and not early:
                    early = memory.memory_info().rss / 1e6
                assert process.poll() is None
                time.sleep(STATUS_S)
            rate = (applied - first) / (time.perf_counter() - begin)
            return Measured(rate, early, memory.memory_info().rss / 1e6)

    @contextmanager
    def running(self, role: Role, environment: Mapping[str, str]) -> "Iterator[tuple[subprocess.Popen[bytes], str]]":
        port = free_ports(["status"])["status"]
        command = [sys.executable, "-m", "infra.cli.main", "worker", role.value, "--status-port", str(port)]
        folder = Path(environment["DATA_DIR"])
        folder.mkdir(exist_ok=True)
        with (folder / f"{role.value}.log").open("wb") as log:
            process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
        try:
            yield process, f"http://127.0.0.1:{port}/metrics"
        finally:
            process.terminate()
            process.wait(60)

    # --- from a command's answer to its effect

    def freshness(self, say: Callable[[str], None]) -> Iterator[Result]:
        say(f"freshness at {kafka_writer.RATE:,} commands/s")
        cluster = Cluster(self.kafka.bootstrap, partitions=PARTITIONS)
        environment = self.environment(cluster)
        settings = Settings.from_environment(environment)
        with ExitStack() as stack:
            stack.enter_context(kafka_writer.worker(cluster, self.folder / "fresh"))
            for role in Role:
                stack.enter_context(self.running(role, environment))
            watches = [stack.enter_context(_Watch(role, settings)) for role in Role]
            gate = stack.enter_context(closing(KafkaCommandGate(cluster.connection, cluster.topics)))
            answered = asyncio.run(_answered(gate, watches))
            for watch in watches:
                p50, p99 = watch.delays_ms(answered)
                limit = 2_000 if watch.role is Role.ANALYTICS else 500
                name = f"from a command's answer to its effect, {watch.role.value}"
                yield Result(f"{name}, p50", p50, "ms", floor=None if limit > 500 else 100, most=True)
                yield Result(f"{name}, p99", p99, "ms", floor=limit, most=True)


def _compared(name: str, measured: Measured, bare: float) -> Result:
    return Result(name, measured.rate, "rows/s", bare, stores.FLOOR, of_ratio=True)


def _memory(role: Role, measured: Measured) -> Iterator[Result]:
    name = f"memory of the {role.value} worker at the end"
    yield Result(name, measured.last_mb, "MB", measured.early_mb, 300, most=True)


def fill_facts(cluster: Cluster) -> None:
    """Write the readings of `stores.readings`, on and on, for a tenant of each partition."""
    log = KafkaTelemetryLog(cluster.connection, cluster.topics, schema_ids=SCHEMA_IDS, clock=SystemClock())
    with closing(log):
        for first in range(0, FACTS, FACTS_AT_ONCE):
            tenant = TenantId(f"t{first // FACTS_AT_ONCE % kafka_writer.TENANTS}")
            log.append_facts(tenant, [_fact(n) for n in range(first, first + FACTS_AT_ONCE)], _ACTOR)


def _fact(n: int) -> FactSubmission:
    at = stores.NOON + timedelta(milliseconds=100 * n)
    return FactSubmission(f"web-{n % stores.DEVICES}", at, DeviceMetricsReported(metrics={"cpu": n / 7}, unit="%"))


def fill_events(cluster: Cluster, folder: Path) -> None:
    with closing(cluster.open(folder)) as log:
        for batch in range(DOCUMENTS // FACTS_AT_ONCE):
            tenant = TenantId(f"t{batch % kafka_writer.TENANTS}")
            log.append(Batch([_device(event) for event in events(log, tenant, "x", FACTS_AT_ONCE)], ()))


def _device(event: Envelope) -> Envelope:
    data = {**event.data, "device_id": str(event.position)}
    return event._replace(stream=StreamId(f"device-{event.position}"), version=1, data=data)


def _applied(url: str) -> float:
    try:
        found = _APPLIED.search(httpx.get(url, timeout=10).text)
    except httpx.TransportError:
        return 0.0
    return float(found[1]) if found else 0.0


class _Watch:
    """Looks at a store's checkpoints from the side: when had all its views a position?"""

    def __init__(self, role: Role, settings: Settings) -> None:
        self.role = role
        self.reached: dict[int, list[tuple[int, float]]] = {}
        self._settings = settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        views = [View(name, 1) for name in SHOWN[self.role]]
        with open_stores(self.role, self._settings) as opened:
            while not self._stop.wait(LOOK_S[self.role]):
                ends: dict[int, list[int]] = {}
                for view in views:
                    for checkpoint in opened.views.checkpoints(view):
                        if checkpoint.topic is Topic.EVENTS:
                            ends.setdefault(checkpoint.partition, []).append(checkpoint.position)
                now = time.perf_counter()
                for partition, positions in ends.items():
                    if len(positions) == len(views):
                        seen = self.reached.setdefault(partition, [])
                        if not seen or seen[-1][0] < min(positions):
                            seen.append((min(positions), now))

    def has(self, position: Position) -> bool:
        seen = self.reached.get(position.partition)
        return seen is not None and seen[-1][0] >= position.position

    def delays_ms(self, answered: Sequence[tuple[Position, float]]) -> tuple[float, float]:
        delays = []
        for position, at in answered:
            seen = self.reached[position.partition]
            delays.append(max(0.0, seen[bisect_left(seen, (position.position, 0.0))][1] - at))
        delays.sort()
        return delays[len(delays) // 2] * 1000, delays[len(delays) * 99 // 100] * 1000


async def _answered(gate: KafkaCommandGate, watches: Sequence[_Watch]) -> list[tuple[Position, float]]:
    """Send commands evenly and return when each was answered, once every view shows the last of them."""
    answered: list[tuple[Position, float]] = []

    async def ask(command: Submission) -> None:
        reply = await gate.execute(command)
        assert reply.position is not None, reply
        answered.append((reply.position, time.perf_counter()))

    async def shown() -> None:
        async with asyncio.timeout(120):
            while not all(watch.has(position) for watch in watches for position, _ in answered):  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    await asyncio.gather(*(ask(command) for command in kafka_writer.tenants()))
    # the workers have joined their groups by then
    await shown()
    answered.clear()
    await kafka_writer.steadily(ask)
    await shown()
    return answered[kafka_writer.RATE * kafka_writer.WARM_S :]


if __name__ == "__main__":
    for result in run(print):
        print(result.as_json())
