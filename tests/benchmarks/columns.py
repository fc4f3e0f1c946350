"""The way of facts from the stored bytes of records into a store: decoded, projected, encoded, written, without Kafka.

`BASELINE` names a work tree of an earlier commit (`git worktree add ../before 84afca7`), which is measured in turn;
without it the same records go row by row, through `project`, for a ratio. `python -m tests.benchmarks.columns profile
metrics_5m` shows where the time of one of the views goes.
"""

import cProfile
import json
import os
import pstats
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from domain.fleet.facts import DeviceMetricsReported, LogRecorded
from infra.cassandra.connection import CassandraAddress
from infra.cassandra.timeline import CassandraTimeline
from infra.clickhouse.analytics import ClickHouseAnalytics
from infra.collector import settle_collector
from infra.engines.cassandra import Cassandra
from infra.engines.clickhouse import ClickHouseFront
from infra.sqlite.dead_letters import SqliteDeadLetters
from infra.sqlite.timeline import SqliteTimeline
from projections.catalog import PROJECTIONS
from projections.projection import Projection
from projections.rows import View
from schemas.envelope import Actor, ActorType, Entry, Envelope, TenantId, Topic
from schemas.kafka_record import KafkaRecord, decode_kafka, encode_kafka
from streams.facts import pack
from streams.ports import FactSubmission, SystemClock
from streams.project.run import ProjectionRun
from tests.benchmarks.result import Result

HERE = Path(__file__).resolve().parents[2]
ROUNDS = 3
DEVICES = 2_000
METRICS = 5
ROWS = 400_000
CASSANDRA_ROWS = 200_000
WARM_RECORDS = 20
BATCH_RECORDS = 2_000
BATCH_BYTES = 2 * 1024 * 1024
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_ACTOR = Actor(ActorType.SYSTEM, "benchmark")


class Way(NamedTuple):
    """Shape: `instants` is how many instants of a device one record holds, each with all its metrics, or log lines."""

    name: str
    view: str
    store: str
    instants: int


WAYS = (
    Way("readings, 100 a record, into ClickHouse", "metrics_5m", "clickhouse", 20),
    Way("readings, 5 a record, into ClickHouse", "metrics_5m", "clickhouse", 1),
    Way("readings, 100 a record, into chDB", "metrics_5m", "chdb", 20),
    Way("readings, 100 a record, into the SQLite timeline", "device_metrics", "sqlite", 20),
    Way("log lines, 20 a record, into the SQLite timeline", "device_logs", "sqlite", 20),
    Way("readings, 100 a record, into Cassandra", "device_metrics", "cassandra", 20),
    Way("readings, 5 a record, into Cassandra", "device_metrics", "cassandra", 1),
    Way("log lines, 20 a record, into Cassandra", "device_logs", "cassandra", 20),
)


def run(say: Callable[[str], None]) -> Iterator[Result]:
    """Measure every way in turn with its baseline; results come as they are there."""
    before = os.environ.get("BASELINE")
    for way in WAYS:
        say(f"{way.name}, in batches{f', beside {before}' if before else ', beside the same row by row'}")
        rates = [
            (_rate(way, Path(before or HERE), "columns" if before else "rows"), _rate(way, HERE, "columns"))
            for _ in range(ROUNDS)
        ]
        baselines, ours = zip(*rates, strict=True)
        yield Result(way.name, median(ours), "rows/s", median(baselines))


def _rate(way: Way, tree: Path, how: str) -> float:
    """Return what a process of its own measures, with the code of a work tree."""
    command = [sys.executable, str(Path(__file__)), how, str(WAYS.index(way))]
    done = subprocess.run(
        command, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, check=True, stdout=subprocess.PIPE, text=True
    )
    return float(json.loads(done.stdout))


# --- what the process does


def measure(way: Way, how: str) -> float:
    projection = _projection(way, how)
    batches = _batches(_records(way))
    with ExitStack() as stack:
        run = _opened(stack, way, projection)
        # what is made once, a connection, prepared statements, is not measured
        run.run(_decoded(batches[0][:WARM_RECORDS], 1))
        settle_collector()
        first = 1
        began = time.perf_counter()
        for batch in batches:
            run.run(_decoded(batch, first))
            first += len(batch)
        took = time.perf_counter() - began
        _check(run, _rows_of(way))
    return _rows_of(way) / took


def _rows_of(way: Way) -> int:
    return CASSANDRA_ROWS if way.store == "cassandra" else ROWS


def _projection(way: Way, how: str) -> Projection:
    (projection,) = (each for each in PROJECTIONS if each.name == way.view)
    without: dict[str, Any] = {"project_columns": None}
    return replace(projection, **without) if how == "rows" else projection


def _opened(stack: ExitStack, way: Way, projection: Projection) -> ProjectionRun:
    folder = Path(stack.enter_context(TemporaryDirectory(dir="build")))
    store: Any
    match way.store:
        case "clickhouse":
            front = stack.enter_context(ClickHouseFront(folder / "engine").start())
            store = ClickHouseAnalytics(f"clickhouse://127.0.0.1:{front.port}/default", [projection])
        case "chdb":
            store = ClickHouseAnalytics(f"chdb://{folder.resolve() / 'engine'}", [projection])
        case "cassandra":
            engine = stack.enter_context(Cassandra(folder / "engine").start())
            store = CassandraTimeline(CassandraAddress([("127.0.0.1", engine.port)]), [projection])
            store.migrate()
        case _:
            store = SqliteTimeline(folder / "timeline.sqlite", [projection])
    stack.enter_context(closing(store))
    letters = stack.enter_context(closing(SqliteDeadLetters(folder / "letters.sqlite")))
    view = View(projection.name, 1)
    store.create(view)
    return ProjectionRun(projection, view, store, letters, SystemClock())


def _check(run: ProjectionRun, rows: int) -> None:
    store: Any = run._store
    found = sum(1 for tenant in store.tenants(run.view) for _ in store.scan(run.view, tenant))
    assert found == rows, f"the store has {found} rows of {rows}"


def _records(way: Way) -> Sequence[KafkaRecord]:
    """Return what a fleet sends: device after device, a request for each, and all of them again and again."""
    each = way.instants if way.view == "device_logs" else way.instants * METRICS
    records: list[KafkaRecord] = []
    for n in range(_rows_of(way) // each):
        device, turn = n % DEVICES, n // DEVICES
        facts = [_fact(way, device, turn * way.instants + instant) for instant in range(way.instants)]
        (packed,) = pack(TenantId("acme"), facts)
        envelope = Envelope(
            packed.id.hex(),
            packed.type,
            packed.schema_version,
            TenantId("acme"),
            packed.stream,
            0,
            Topic.TELEMETRY,
            0,
            0,
            packed.happened_at,
            BEGIN + timedelta(milliseconds=n),
            _ACTOR,
            f"request-{n}",
            f"request-{n}",
            packed.data,
        )
        records.append(encode_kafka(envelope, 1))
    return records


def _fact(way: Way, device: int, instant: int) -> FactSubmission:
    at = BEGIN + timedelta(seconds=10 * instant, milliseconds=device)
    fact: Any
    if way.view == "device_logs":
        summary = f"Failed password for root from 192.0.2.{device % 250} port {instant} ssh2"
        fact = LogRecorded(severity="error", summary=summary, event_type="sshd", hostname=f"web-{device}")
    else:
        metrics = {f"metric-{n}": (device + instant * n) / 7 for n in range(METRICS)}
        fact = DeviceMetricsReported(metrics=metrics, unit="%")
    return FactSubmission(f"web-{device}", at, fact)


def _batches(records: Sequence[KafkaRecord]) -> Sequence[Sequence[KafkaRecord]]:
    """Cut records as the transport of a worker does."""
    batches: list[list[KafkaRecord]] = [[]]
    size = 0
    for record in records:
        if len(batches[-1]) == BATCH_RECORDS or size > BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(record)
        size += len(record.value)
    return batches


def _decoded(batch: Sequence[KafkaRecord], first: int) -> Sequence[Entry]:
    return [
        decode_kafka(record, topic=Topic.TELEMETRY, partition=0, position=position)
        for position, record in enumerate(batch, first)
    ]


def _profile(view: str, how: str) -> None:
    way = next(way for way in WAYS if way.view == view and way.store in ("chdb", "sqlite"))
    profile = cProfile.Profile()
    profile.runcall(measure, way, how)
    pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    how, what = sys.argv[1:3]
    if how == "profile":
        _profile(what, "columns")
    else:
        print(json.dumps(measure(WAYS[int(what)], how)))
