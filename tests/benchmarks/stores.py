"""This measures how fast the distributed stores write rows, against the bare driver with the same rows.

ClickHouse is infra/engines/clickhouse_front.py: the real engine behind a stand-in for a server's HTTP interface.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import clickhouse_connect
from cassandra.concurrent import execute_concurrent
from cassandra.query import BatchStatement, BatchType
from pymongo import MongoClient, ReplaceOne, WriteConcern
from pymongo.collection import Collection

from infra.cassandra.batches import BATCH_ROWS
from infra.cassandra.connection import IN_FLIGHT, CassandraAddress
from infra.cassandra.timeline import CassandraTimeline
from infra.clickhouse.analytics import ClickHouseAnalytics
from infra.engines.cassandra import Cassandra
from infra.engines.clickhouse import ClickHouseFront
from infra.engines.mongo import Mongo
from infra.mongo.documents import MongoDocuments
from projections.catalog import of_role
from projections.fleet.metric_rows import MetricRow
from projections.instants import DAY, to_microseconds
from projections.rows import Checkpoint, Patch, Role, Row, View
from projections.stores import ViewWriter
from schemas.envelope import TenantId, Topic
from tests.benchmarks.result import Result

TENANT = TenantId("acme")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ROUNDS = 3
FLOOR = 0.6
DEVICES = 50
READINGS = 60_000
DOCUMENTS = 20_000

Rate = Callable[[int], float]


def run(say: Callable[[str], None]) -> Iterator[Result]:
    """Measure each store alone; how fast the log arrives is another figure."""
    with TemporaryDirectory() as folder, Cassandra(Path(folder)).start() as cassandra:
        say("Cassandra")
        address = CassandraAddress([("127.0.0.1", cassandra.port)])
        with closing(CassandraTimeline(address, of_role(Role.TIMELINE))) as timeline:
            yield _compared("timeline rows into Cassandra, batches of 5,000", *cassandra_rates(timeline))
    with TemporaryDirectory() as folder, Mongo(Path(folder)).start() as mongo:
        say("MongoDB")
        client: MongoClient[dict[str, object]] = MongoClient(mongo.url)
        with client, closing(MongoDocuments(mongo.url, of_role(Role.DOCUMENTS))) as documents:
            new, bare_new, changed, bare_changed = mongo_rates(documents, client)
            yield _compared("new documents into MongoDB, batches of 2,000", new, bare_new)
            yield _compared("… changed documents", changed, bare_changed)
    with TemporaryDirectory() as folder, ClickHouseFront(Path(folder)).start() as front:
        say("ClickHouse, the engine behind a stand-in for its HTTP interface")
        dsn = f"clickhouse://127.0.0.1:{front.port}/default"
        with closing(ClickHouseAnalytics(dsn, of_role(Role.ANALYTICS))) as analytics:
            yield _compared("analytics rows into ClickHouse, batches of 20,000", *clickhouse_rates(analytics, dsn))


def _compared(name: str, ours: Rate, bare: Rate) -> Result:
    # in turn, and the best of each: what else the machine does then disturbs neither more than the other
    rounds = [(bare(n), ours(n)) for n in range(1, ROUNDS + 1)]
    best_bare, best = (max(rates) for rates in zip(*rounds, strict=True))
    return Result(name, best, "rows/s", best_bare, FLOOR, of_ratio=True)


def _rate(rows: int, work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return rows / (time.perf_counter() - began)


def _applied(store: ViewWriter, view: View, rows: Sequence[Row], size: int) -> float:
    """Return the rate of a build of its own, from nothing."""
    store.create(view)

    def apply() -> None:
        for at in range(0, len(rows), size):
            part = rows[at : at + size]
            store.apply(view, part, Checkpoint(Topic.TELEMETRY, 0, at + len(part), NOON))

    return _rate(len(rows), apply)


def readings() -> list[MetricRow]:
    return [
        MetricRow(TENANT, f"web-{n % DEVICES}", "cpu", NOON + timedelta(milliseconds=100 * n), n / 7, "%", n + 1)
        for n in range(READINGS)
    ]


def cassandra_rates(store: CassandraTimeline, keyspace: str = "factline") -> tuple[Rate, Rate]:
    rows = readings()
    store.migrate()

    def ours(n: int) -> float:
        return _applied(store, View("device_metrics", n), rows, 5_000)

    def bare(n: int) -> float:
        view = View("device_metrics", 100 + n)
        store.create(view)
        session, table = store._connection._open(), f"{keyspace}.{view.table}"
        insert = session.prepare(
            f"INSERT INTO {table} (tenant_id, device_id, metric, day, happened_at, value, unit, position) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        )

        def write() -> None:
            batches = []
            for _, some in groupby(sorted(rows, key=_device), key=_device):
                series = list(some)
                for at in range(0, len(series), BATCH_ROWS):
                    batch = BatchStatement(BatchType.UNLOGGED)
                    for row in series[at : at + BATCH_ROWS]:
                        micros = to_microseconds(row.happened_at)
                        key = (row.tenant_id, row.device_id, row.metric, micros // DAY, micros)
                        batch.add(insert, (*key, row.value, row.unit, row.position))
                    batches.append((batch, None))
            execute_concurrent(session, batches, concurrency=IN_FLIGHT)

        return _rate(len(rows), write)

    return ours, bare


def _device(row: MetricRow) -> str:
    return row.device_id


def mongo_rates(store: MongoDocuments, client: "MongoClient[dict[str, object]]") -> tuple[Rate, Rate, Rate, Rate]:
    database = client.get_database("factline", write_concern=WriteConcern("majority", j=True))

    def new(n: int) -> float:
        return _applied(store, View("devices", n), _devices(1), 2_000)

    def changed(n: int) -> float:
        return _applied(store, View("devices", n), _devices(2), 2_000)

    def bare_new(n: int) -> float:
        store.create(View("devices", 100 + n))
        return _in_bulk(database[f"devices_v{100 + n}"], documents_of(1))

    def bare_changed(n: int) -> float:
        return _in_bulk(database[f"devices_v{100 + n}"], documents_of(2))

    def documents_of(order: int) -> list[dict[str, object]]:
        # as the store keeps them, in a build that is not measured; they get the same indexes
        for untimed in range(1, order + 1):
            _applied(store, View("devices", 99), _devices(untimed), 2_000)
        return list(database["devices_v99"].find())

    return new, bare_new, changed, bare_changed


def _devices(order: int) -> list[Patch]:
    fields = (
        {"hostname": f"web-{n}", "os_type": f"os-{order}", "device_type": "SERVER", "status": "ONLINE"}
        for n in range(DOCUMENTS)
    )
    return [Patch(TENANT, f"device-{n}", "events", order, one) for n, one in enumerate(fields)]


def _in_bulk(target: Collection[dict[str, object]], documents: Sequence[dict[str, object]]) -> float:
    """Return the rate of upserts, which is what may be repeated, of a document each."""

    def write() -> None:
        for at in range(0, len(documents), 2_000):
            some = documents[at : at + 2_000]
            target.bulk_write([ReplaceOne({"_id": one["_id"]}, one, upsert=True) for one in some], ordered=False)

    return _rate(len(documents), write)


def bulk_rate(client: "MongoClient[dict[str, object]]", database: str, view: str, n: int) -> float:
    """Return the rate of the documents of a view, written once more beside it."""
    at = client.get_database(database, write_concern=WriteConcern("majority", j=True))
    return _in_bulk(at[f"{view}_again_{n}"], list(at[view].find().limit(DOCUMENTS)))


def clickhouse_rates(store: ClickHouseAnalytics, dsn: str) -> tuple[Rate, Rate]:
    rows = readings()

    def ours(n: int) -> float:
        return _applied(store, View("metrics_5m", n), rows, 20_000)

    def bare(n: int) -> float:
        view = View("metrics_5m", 100 + n)
        store.create(view)
        with closing(clickhouse_connect.get_client(dsn=dsn)) as client:

            def write() -> None:
                for at in range(0, len(rows), 20_000):
                    columns = list(zip(*rows[at : at + 20_000], strict=True))
                    names = list(MetricRow._fields)
                    client.insert(view.table, columns, column_names=names, column_oriented=True)

            return _rate(len(rows), write)

    return ours, bare
