"""`factline verify`, `projections` and `dead-letters` on Kafka and the three stores, beside running workers.

ClickHouse is infra/engines/clickhouse_front.py: the real engine behind a stand-in for a server's HTTP interface.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import httpx
import pytest
from click.testing import CliRunner
from pymongo import MongoClient

from infra.cassandra.connection import CassandraAddress, Connection
from infra.cli.main import cli
from infra.kafka.connection import Connection as Kafka_
from infra.kafka.telemetry_log import KafkaTelemetryLog
from infra.settings import Settings
from infra.stores import migrate_stores
from projections.catalog import of_role
from projections.rows import Role
from schemas.envelope import Actor, ActorType
from streams.ports import FactSubmission, SystemClock
from tests.cluster import PARTITIONS, SCHEMA_IDS, Cluster
from tests.examples import ACME, envelope_of
from tests.examples.finance import RECEIVED
from tests.examples.fleet import LOG, METRICS, TAGGED
from tests.examples.moments import HAPPENED_AT
from tests.infra.kafka.test_command_gate import working
from tests.streams.faust.test_apps import Log, registered

if TYPE_CHECKING:
    from infra.engines.cassandra import Cassandra
    from infra.engines.clickhouse import ClickHouseFront
    from infra.engines.kafka import Kafka
    from infra.engines.mongo import Mongo

NAME = "operated"
FACTS = 40
DEVICES = 30
WAIT_S = 60


class System:
    """A log with something of every kind in it, three workers, and the command line beside them."""

    def __init__(self, environment: dict[str, str], log: Log, folder: Path) -> None:
        self.environment = environment
        self.log = log
        self._folder = folder
        self.workers: dict[Role, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        for role in Role:
            with (self._folder / f"{role.value}.log").open("ab") as said:
                command = [sys.executable, "-m", "infra.cli.main", "worker", role.value]
                environment = {**os.environ, **self.environment}
                self.workers[role] = subprocess.Popen(command, env=environment, stdout=said, stderr=said)

    def stop(self) -> None:
        for worker in self.workers.values():
            worker.terminate()
        for worker in self.workers.values():
            worker.wait(WAIT_S)

    def run(self, *arguments: str, status: int = 0) -> str:
        ended = CliRunner(env=self.environment).invoke(cli, [*arguments, "--profile", "distributed"])
        assert ended.exit_code == status, (ended.output, ended.exception)
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exc_info
        return ended.output


@pytest.fixture(scope="module")
def system(
    kafka: "Kafka",
    cassandra: "Cassandra",
    clickhouse_front: "ClickHouseFront",
    mongo: "Mongo",
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("operated")
    httpx.post(clickhouse_front.url, content=f"CREATE DATABASE {NAME}", timeout=60).raise_for_status()
    environment = {
        "FACTLINE_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "FACTLINE_TOPIC_PREFIX": NAME,
        "FACTLINE_PARTITIONS": "2",
        "FACTLINE_CASSANDRA_CONTACT_POINTS": f"127.0.0.1:{cassandra.port}",
        "FACTLINE_CASSANDRA_KEYSPACE": NAME,
        "FACTLINE_CLICKHOUSE_URL": f"{clickhouse_front.url.replace('http:', 'clickhouse:')}/{NAME}",
        "FACTLINE_MONGO_URL": mongo.url,
        "FACTLINE_MONGO_DATABASE": NAME,
        "DATA_DIR": str(folder),
    }
    log = Log(kafka, NAME)
    migrate_stores(Settings.from_environment(environment))
    log.write(*(registered(str(n), tenant=tenant) for tenant in ("acme", "bolt") for n in range(DEVICES)))
    log.write(*(envelope_of(TAGGED)._replace(stream=registered(str(n)).stream, version=2) for n in range(10)))
    log.write(envelope_of(RECEIVED))
    with closing(
        KafkaTelemetryLog(Kafka_(kafka.bootstrap), log.topics, schema_ids=SCHEMA_IDS, clock=SystemClock())
    ) as t:
        facts = [
            FactSubmission("1", HAPPENED_AT + timedelta(hours=n), fact) for n in range(FACTS) for fact in (METRICS, LOG)
        ]
        t.append_facts(ACME, facts, Actor(ActorType.USER, "tester"))
    system = System(environment, log, folder)
    system.start()
    with pytest.MonkeyPatch.context() as patch:
        # workers take their time to start on a busy machine
        patch.setattr("streams.project.verify.PATIENCE_S", WAIT_S)
        patch.setattr("streams.project.distributed_operations.NOTICE_S", 1.5)
        yield system
    system.stop()


def test_every_view_of_every_store_equals_the_log(system: System) -> None:
    said = system.run("verify")
    assert re.findall(r"no difference|\d+ differences", said) == ["no difference"] * sum(len(of_role(r)) for r in Role)
    for view, rows in (
        ("devices", 2 * DEVICES),
        ("device_logs", FACTS),
        ("metrics_5m", 2 * FACTS),
        ("audit_trail", 71),
    ):
        assert f"{view}_v1: {rows} rows, no difference" in said
    listed = system.run("projections", "list")
    assert len(re.findall(r"_v1 +1 +live +0 +0\.0 +0", listed)) == sum(len(of_role(role)) for role in Role)


# --- what is wrong in a store: a row is missing, one is changed, one is at another place


def damage_cassandra(system: System) -> None:
    host, port = system.environment["FACTLINE_CASSANDRA_CONTACT_POINTS"].split(":")
    with closing(Connection(CassandraAddress([(host, int(port))], NAME))) as cassandra:
        table = f"{NAME}.stream_history_v1"
        of = "WHERE tenant_id = 'acme' AND bucket = 0 AND stream"
        cassandra.define(f"DELETE FROM {table} {of} = 'device-1' AND version = 1")
        cassandra.define(f"UPDATE {table} SET data = '{{}}', recorded_at = null {of} = 'device-2' AND version = 1")
        [[row]] = cassandra.ask(f"SELECT JSON * FROM {table} {of} = 'device-3' AND version = 1")
        cassandra.define(f"DELETE FROM {table} {of} = 'device-3' AND version = 1")
        moved = json.dumps({**json.loads(row), "version": 9}).replace("'", "''")
        cassandra.define(f"INSERT INTO {table} JSON '{moved}'")


def damage_clickhouse(system: System) -> None:
    url = system.environment["FACTLINE_CLICKHOUSE_URL"].replace("clickhouse:", "http:").removesuffix(f"/{NAME}")
    table, of = f"{NAME}.events_v1", "WHERE tenant_id = 'acme' AND version = 1 AND stream"
    elsewhere = f"SELECT tenant_id, stream, 9, * EXCEPT (tenant_id, stream, version) FROM {table}"
    for statement in (
        f"INSERT INTO {table} {elsewhere} {of} = 'device-3'",
        f"ALTER TABLE {table} DELETE {of} IN ('device-1', 'device-3')",
        f"ALTER TABLE {table} UPDATE data = '{{}}' {of} = 'device-2'",
    ):
        query = {"mutations_sync": "1"}
        httpx.post(url, params=query, content=statement, timeout=WAIT_S).raise_for_status()


def damage_mongo(system: System) -> None:
    with MongoClient[dict[str, object]](system.environment["FACTLINE_MONGO_URL"]) as client:
        devices = client[NAME]["devices_v1"]
        assert devices.delete_one({"_id": "acme|1"}).deleted_count == 1
        changed = devices.update_one({"_id": "acme|2"}, {"$set": {"fields.hostname": "web-9"}})
        assert changed.modified_count == 1
        moved = devices.find_one_and_delete({"_id": "acme|3"})
        assert moved
        devices.insert_one({**moved, "_id": "acme|x3", "id": "x3"})


@pytest.mark.parametrize(
    ("name", "damage"),
    [("stream_history", damage_cassandra), ("events", damage_clickhouse), ("devices", damage_mongo)],
)
def test_damage_is_found_and_a_rebuild_under_live_traffic_mends_it(
    system: System, name: str, damage: Callable[[System], None]
) -> None:
    system.run("verify", name)
    damage(system)
    said = system.run("verify", name, status=1)
    # missing, changed, and one that is missing where it belongs and too many where it does not
    assert "4 differences" in said
    for row in ("device-1", "device-2", "device-3"):
        assert row in said or f"'{row.removeprefix('device-')}'" in said
    with recording(system.log, name):
        assert f"{name} is now answered from {name}_v2" in system.run("projections", "rebuild", name)
        assert "no difference" in system.run("verify", name)
    said = system.run("verify", name)
    assert f"{name}_v2: " in said
    assert "no difference" in said
    assert all(worker.poll() is None for worker in system.workers.values())


@contextmanager
def recording(log: Log, what: str) -> Iterator[None]:
    """Record a device about every 20 ms meanwhile."""
    stop = threading.Event()

    def record() -> None:
        number = 0
        while not stop.is_set():
            log.write(registered(f"{what}-{number}", tenant=("acme", "bolt")[number % 2]))
            number += 1
            time.sleep(0.02)

    thread = threading.Thread(target=record)
    thread.start()
    with ExitStack() as stack:
        stack.callback(thread.join)
        stack.callback(stop.set)
        yield


def test_build_that_was_live_comes_back_up_to_date_and_the_other_may_be_dropped(system: System) -> None:
    system.run("projections", "rebuild", "alerts", "--max-rate", "5000")
    with recording(system.log, "back"):
        assert "alerts is now answered from alerts_v1" in system.run("projections", "switch", "alerts", "1")
    assert "alerts_v1 is live" in system.run("projections", "drop", "alerts", "1", status=2)
    assert "alerts_v2 is gone" in system.run("projections", "drop", "alerts", "2")
    assert "there is no alerts_v2" in system.run("projections", "switch", "alerts", "2", status=2)
    assert re.search(r"alerts_v1: \d+ rows, no difference", system.run("verify", "alerts"))


def test_build_that_a_late_worker_writes_once_more_is_dropped_all_the_same(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.run("projections", "rebuild", "invoices")
    with MongoClient[dict[str, object]](system.environment["FACTLINE_MONGO_URL"]) as client:
        late = client[NAME]["invoices_v1"]
        # MongoDB makes the collection again
        monkeypatch.setattr(
            "streams.project.view_jobs.time",
            SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: late.insert_one({"_id": "late"})),
        )
        assert "invoices_v1 is gone" in system.run("projections", "drop", "invoices", "1")
        assert "invoices_v1" not in client[NAME].list_collection_names()


def test_dead_letters_of_the_three_stores_are_listed_tried_again_and_discarded(system: System) -> None:
    system.log.write(registered("spoiled"), spoiled=True)
    # waits until the views have read it
    assert "1 records parked" in system.run("verify", "devices", "events", "audit_trail")
    listed = system.run("dead-letters", "list")
    for view in ("devices_v", "events_v", "audit_trail_v", "stream_history_v"):
        assert re.search(rf"{view}\d +acme +device-spoiled", listed)
    for name in ("devices", "events", "audit_trail"):
        assert "0 taken, 1 still parked" in system.run("dead-letters", "retry", name, status=1)
        assert "1 discarded" in system.run("dead-letters", "discard", name, "--yes")
    left = system.run("dead-letters", "list")
    assert "stream_history_v" in left
    assert "audit_trail_v" not in left


def test_view_without_its_worker_is_refused_and_listed_with_its_lag(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.project.verify.PATIENCE_S", 0.5)
    system.run("verify", "tenants")
    system.workers[Role.DOCUMENTS].terminate()
    system.workers[Role.DOCUMENTS].wait(WAIT_S)
    system.log.write(registered("late"), registered("later"))
    assert "tenants_v1 is 2 records behind the log" in system.run("verify", "tenants", status=2)
    assert re.search(r"tenants +documents +tenants_v1 +1 +live +2 ", system.run("projections", "list"))


def test_system_that_is_not_there_is_named(system: System) -> None:
    nowhere = System({**system.environment, "FACTLINE_CASSANDRA_CONTACT_POINTS": "nowhere"}, system.log, Path())
    assert "FACTLINE_CASSANDRA_CONTACT_POINTS must look like" in nowhere.run("verify", status=2)


def test_tenant_is_registered_by_the_commands_own_writer(kafka: "Kafka", tmp_path: Path) -> None:
    cluster = Cluster(kafka.bootstrap)
    environment = {
        "FACTLINE_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "FACTLINE_TOPIC_PREFIX": cluster.topics.prefix,
        "FACTLINE_PARTITIONS": str(PARTITIONS),
    }
    add = ("tenants", "add", "acme", "--profile", "distributed")
    with working(cluster, tmp_path):
        added = CliRunner(env=environment).invoke(cli, add)
        assert added.stdout.startswith("ak_")
        again = CliRunner(env=environment).invoke(cli, add)
    assert again.exit_code == 2
    assert "tenant acme is registered already" in again.stderr
