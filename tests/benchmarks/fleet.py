"""This measures one worker between Kafka and its store with what a fleet sends: 2,000 devices with 5 metrics each.

`BASELINE` names a work tree of an earlier commit (`git worktree add ../before 864c86d`), which is measured in turns
with this one, on the same engines. `READINGS` is how many a worker reads.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, NamedTuple

import clickhouse_connect
import psutil
import pyarrow as pa
from cassandra.cluster import Cluster as CassandraCluster
from cassandra.concurrent import execute_concurrent
from cassandra.query import BatchStatement, BatchType
from confluent_kafka import TopicPartition

from domain.fleet.facts import DeviceMetricsReported
from projections import catalog
from schemas.envelope import Actor, ActorType, TenantId
from streams.ports import FactSubmission, SystemClock
from tests import cluster as cluster_of_tests
from tests.benchmarks import projectors
from tests.benchmarks.projectors import STATUS_S, Bench
from tests.benchmarks.result import Result
from tests.cluster import SCHEMA_IDS, Cluster

HERE = Path(__file__).parents[2]
READINGS = int(os.environ.get("READINGS", "300000"))
ROUNDS = 2
TENANTS, DEVICES, METRICS, PARTITIONS = 20, 2_000, 5, 4
BEGIN = datetime(2026, 1, 31, tzinfo=UTC)

ARROW_ROWS, BATCH_ROWS, BATCH_PARTITIONS, IN_FLIGHT = 50_000, 100, 10, 128
_ACTOR = Actor(ActorType.SYSTEM, "benchmark")


class Way(NamedTuple):
    """Shape: `instants` are how many each device sends at once, `of_bare` and `of_before` what is asked for."""

    name: str
    role: str
    instants: int
    of_bare: float
    of_before: float


WAYS = (
    Way("readings, 5 a record: Kafka → ClickHouse, one worker", "analytics", 1, 0.6, 10),
    Way("readings, 100 a record: Kafka → ClickHouse, one worker", "analytics", 20, 0.6, 10),
    Way("readings, 5 a record: Kafka → Cassandra, one worker", "timeline", 1, 0.6, 5),
    Way("readings, 100 a record: Kafka → Cassandra, one worker", "timeline", 20, 0.6, 5),
)


class Rates(NamedTuple):
    """Readings in a second of the clock, and in a second of the processor, of which other work takes nothing away."""

    by_clock: float
    by_processor: float


def run(say: Callable[[str], None]) -> Iterator[Result]:
    """Measure each way in rounds; results come as they are there."""
    before = os.environ.get("BASELINE")
    with Bench() as bench:
        for way in WAYS:
            say(f"{way.name}{f', beside {before}' if before else ''}")
            bare, earlier, ours = list[Rates](), list[Rates](), list[Rates]()
            for _ in range(ROUNDS):
                bare.append(_bare(bench, way))
                earlier += [_rates(bench, way, Path(before), READINGS)] if before else []
                ours.append(_rates(bench, way, HERE, READINGS))
            yield _compared(f"{way.name}; bare", ours, bare, way.of_bare)
            if earlier:
                yield _compared(f"{way.name}; before", ours, earlier, way.of_before)
                # the bare drivers let the engines work, as a worker does, but a worker of before is like one of now
                yield _compared(f"{way.name}; before, of the processor", ours, earlier, way.of_before, at=1)


def _compared(name: str, ours: Sequence[Rates], others: Sequence[Rates], floor: float, *, at: int = 0) -> Result:
    value, baseline = median(one[at] for one in ours), median(one[at] for one in others)
    return Result(name, value, "rows/s", baseline, floor, of_ratio=True)


def _rates(bench: Bench, way: Way, tree: Path, readings: int) -> Rates:
    """Return what the code of a work tree measures in a process of its own, with the engines of this one."""
    engines = {"kafka": bench.kafka.bootstrap, "mongo": bench.mongo.url, "folder": str(bench.folder)}
    ports = {"cassandra": bench.cassandra.port, "front": bench.front.port}
    command = [sys.executable, str(Path(__file__)), json.dumps(engines | ports), str(WAYS.index(way)), str(readings)]
    done = subprocess.run(
        command, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, check=True, stdout=subprocess.PIPE, text=True
    )
    by_clock, by_processor = map(float, done.stdout.splitlines()[-1].split())
    return Rates(by_clock, by_processor)


@contextmanager
def _timed(readings: int, rates: list[Rates]) -> Iterator[None]:
    clock, processor = time.perf_counter(), time.process_time()
    yield
    rates.append(Rates(readings / (time.perf_counter() - clock), readings / (time.process_time() - processor)))


def measure(engines: dict[str, Any], way: Way, readings: int) -> Rates:
    bench = Bench.__new__(Bench)
    bench.folder = Path(engines["folder"])
    at: Any = SimpleNamespace
    bench.mongo, bench.front = at(url=engines["mongo"]), at(port=engines["front"])
    bench.cassandra = at(port=engines["cassandra"])
    # earlier versions counted them from 1 in each process
    cluster_of_tests._NUMBERS = count(time.monotonic_ns() // 1_000_000)
    cluster = Cluster(engines["kafka"], partitions=PARTITIONS)
    records = fill(cluster, way, readings)
    role = next(role for role in {each.role for each in catalog.PROJECTIONS} if role.value == way.role)
    return _of_worker(bench, role, bench.environment(cluster), records, readings / records)


def _of_worker(bench: Bench, role: Any, environment: Mapping[str, str], records: int, readings: float) -> Rates:
    """Let a new worker read to the end; what it took until its first batch is not counted."""
    with bench.running(role, environment) as (process, url):
        seen = psutil.Process(process.pid)
        clock = processor = first = 0.0
        while (applied := projectors._applied(url)) < records:
            if applied and not clock:
                clock, processor, first = time.perf_counter(), _processor_s(seen), applied
            assert process.poll() is None
            time.sleep(STATUS_S)
        taken = (applied - first) * readings
        return Rates(taken / (time.perf_counter() - clock), taken / (_processor_s(seen) - processor))


def _processor_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def fill(cluster: Cluster, way: Way, readings: int) -> int:
    """Write so many readings, and return how many records they are."""
    # where it is was another place in earlier versions
    log_class: Any = vars(projectors)["KafkaTelemetryLog"]
    each = DEVICES // TENANTS
    log = log_class(cluster.connection, cluster.topics, schema_ids=SCHEMA_IDS, clock=SystemClock())
    with closing(log):
        for n in range(readings // (each * way.instants * METRICS)):
            facts = [
                _fact(n % TENANTS * each + device, n // TENANTS * way.instants + instant)
                for device in range(each)
                for instant in range(way.instants)
            ]
            log.append_facts(TenantId(f"t{n % TENANTS}"), facts, _ACTOR)
    with closing(cluster.connection.consumer(group="bench", auto_offset_reset="earliest")) as consumer:
        return sum(
            consumer.get_watermark_offsets(TopicPartition(cluster.topics.telemetry, partition))[1]
            for partition in range(PARTITIONS)
        )


def _fact(device: int, instant: int) -> FactSubmission:
    at = BEGIN + timedelta(seconds=10 * instant, milliseconds=device)
    metrics = {f"metric-{n}": (device + instant * n) / 7 for n in range(METRICS)}
    return FactSubmission(f"web-{device}", at, DeviceMetricsReported(metrics=metrics, unit="%"))


# --- the bare drivers


def _bare(bench: Bench, way: Way) -> Rates:
    name = f"bare_{time.monotonic_ns()}"
    return _bare_arrow(bench, name) if way.role == "analytics" else _bare_batches(bench, name, way)


def _rows(instants: int) -> Iterator[tuple[str, str, str, int, float, str, int]]:
    """Yield the readings in the order in which the fleet sends them."""
    for n in range(READINGS // METRICS):
        device, turn = n // instants % DEVICES, n // (instants * DEVICES) * instants + n % instants
        at = int(BEGIN.timestamp()) * 1_000_000 + turn * 10_000_000 + device * 1_000
        for metric in range(METRICS):
            yield f"t{device * TENANTS // DEVICES}", f"web-{device}", f"metric-{metric}", at, n / 7, "%", n + 1


def _bare_arrow(bench: Bench, name: str) -> Rates:
    columns = list(zip(*_rows(1), strict=True))
    types = [pa.string()] * 3 + [pa.timestamp("us", "UTC"), pa.float64(), pa.string(), pa.uint64()]
    names = ["tenant_id", "device_id", "metric", "happened_at", "value", "unit", "position"]
    table = pa.table([pa.array(c, t) for c, t in zip(columns, types, strict=True)], names)
    with closing(clickhouse_connect.get_client(dsn=f"clickhouse://127.0.0.1:{bench.front.port}/default")) as client:
        client.command(
            f"CREATE TABLE {name} (tenant_id String, device_id String, metric String,"
            " happened_at DateTime64(6, 'UTC'), value Float64, unit String, position UInt64)"
            " ENGINE = ReplacingMergeTree(position) ORDER BY (tenant_id, device_id, metric, happened_at)"
        )
        rates: list[Rates] = []
        with _timed(READINGS, rates):
            for at in range(0, READINGS, ARROW_ROWS):
                client.insert_arrow(name, table.slice(at, ARROW_ROWS))
        return rates[0]


def _bare_batches(bench: Bench, name: str, way: Way) -> Rates:
    """Return the rate of batches of rows in the order of their partitions, as many as a worker has at once."""
    rows = list(_rows(way.instants))
    with CassandraCluster(["127.0.0.1"], port=bench.cassandra.port) as engine:
        session = engine.connect()
        session.execute(
            f"CREATE KEYSPACE {name} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
        )
        session.execute(
            f"CREATE TABLE {name}.r (tenant_id text, device_id text, metric text, day bigint, happened_at bigint,"
            " value double, unit text, position bigint, PRIMARY KEY ((tenant_id, device_id, metric, day), happened_at))"
        )
        insert = session.prepare(f"INSERT INTO {name}.r{_VALUES}")
        rates: list[Rates] = []
        with _timed(len(rows), rates):
            for at in range(0, len(rows), 10_000):
                some = [(one, None) for one in _cut(insert, rows[at : at + 10_000])]
                execute_concurrent(session, some, concurrency=IN_FLIGHT)
        return rates[0]


_VALUES = " (tenant_id, device_id, metric, day, happened_at, value, unit, position) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


def _cut(insert: Any, rows: Sequence[Any]) -> Iterator[BatchStatement]:
    batch, partitions, count = BatchStatement(BatchType.UNLOGGED), set[object](), 0
    for row in sorted(rows, key=lambda row: row[:4]):
        if count == BATCH_ROWS or len(partitions | {row[:3]}) > BATCH_PARTITIONS:
            yield batch
            batch, partitions, count = BatchStatement(BatchType.UNLOGGED), set(), 0
        tenant, device, metric, us, value, unit, position = row
        batch.add(insert, (tenant, device, metric, us // 86_400_000_000, us, value, unit, position))
        partitions.add(row[:3])
        count += 1
    yield batch


if __name__ == "__main__":
    print(*measure(json.loads(sys.argv[1]), WAYS[int(sys.argv[2])], int(sys.argv[3])))
