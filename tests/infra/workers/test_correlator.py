"""`factline worker correlate` as a process on real engines: alerts once, over kills and with two of them."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from domain.fleet.facts import DeviceMetricsReported, LogRecorded
from domain.fleet.rules import Failures, Rule, Threshold
from domain.fleet.watch import DefineWatch, RemoveWatch
from infra.kafka.command_gate import KafkaCommandGate
from infra.kafka.log_reader import KafkaLogReader
from infra.kafka.telemetry_log import KafkaTelemetryLog
from infra.migrate import schema_registry
from infra.settings import Settings
from schemas.envelope import Envelope, TenantId, Topic
from schemas.partitioning import partition_of
from streams.ports import FactSubmission, LogUnavailable, Overloaded, Submission, SystemClock
from tests.cluster import Cluster, until
from tests.infra.cluster_process import ClusterProcess
from tests.streams.kit import TESTER, accepted, register_tenant, submission

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka
    from infra.engines.mongo import Mongo
    from infra.engines.registry import Registry

BEGAN = datetime(2026, 1, 31, tzinfo=UTC)
WAIT_S = 120


class Running:
    """A writer, two correlating workers, and what callers and devices use."""

    def __init__(self, cluster: Cluster, registry_url: str, mongo_url: str, folder: Path, opened: ExitStack) -> None:
        self.cluster = cluster
        schema_registry(Settings(cluster.bootstrap, registry_url, folder, cluster.topics)).register()
        more = {"FACTLINE_MONGO_URL": mongo_url, "FACTLINE_MONGO_DATABASE": cluster.topics.prefix.replace("-", "_")}
        self.writer, self.one, self.other = (
            opened.enter_context(
                closing(ClusterProcess(f"worker {kind}", cluster, registry_url, folder / name, more=more))
            )
            for kind, name in (("commands", "writer"), ("correlate", "one"), ("correlate", "other"))
        )
        ids = schema_registry(Settings(cluster.bootstrap, registry_url, folder, cluster.topics)).ids()
        self._gate = opened.enter_context(closing(KafkaCommandGate(cluster.connection, cluster.topics)))
        self._log = opened.enter_context(closing(KafkaLogReader(cluster.connection, cluster.topics)))
        self._facts = opened.enter_context(
            closing(KafkaTelemetryLog(cluster.connection, cluster.topics, schema_ids=ids, clock=SystemClock()))
        )
        self.writer.run()
        self.one.run()

    def command(self, sent: Submission) -> None:
        while True:
            try:
                assert accepted(asyncio.run(self._gate.execute(sent)))
            except (LogUnavailable, Overloaded):
                continue
            return

    def define(self, watch: str, rule: Rule, tenant: str) -> None:
        command = DefineWatch(watch_id=watch, name=watch, severity="warning", rule=rule, quiet_s=60)
        self.command(submission(command, tenant=tenant))
        # a commit is answered before its markers are written: until then a reader does not see it
        until(lambda: any(event.stream == f"watch-{watch}" for event in self.events(tenant)), WAIT_S)

    def report(self, *facts: FactSubmission, tenant: str = "acme") -> None:
        self._facts.append_facts(TenantId(tenant), facts, TESTER)

    def events(self, tenant: str) -> list[Envelope]:
        partition = partition_of(TenantId(tenant), self.cluster.topics.partitions)
        found = self._log.read(Topic.EVENTS, partition, after=0, limit=10_000)
        return [entry for entry in found if isinstance(entry, Envelope) and entry.tenant_id == tenant]

    def alerts(self, tenant: str = "acme") -> list[tuple[str, float]]:
        return [
            (event.type.removeprefix("alert."), (event.happened_at - BEGAN).total_seconds())
            for event in self.events(tenant)
            if event.type.startswith("alert.")
        ]


@pytest.fixture
def running(kafka: "Kafka", registry: "Registry", mongo: "Mongo", tmp_path: Path) -> Iterator[Running]:
    with ExitStack() as opened:
        yield Running(Cluster(kafka.bootstrap), registry.url, mongo.url, tmp_path, opened)


def cpu(second: int, value: float) -> FactSubmission:
    return FactSubmission("web-1", BEGAN + timedelta(seconds=second), DeviceMetricsReported(metrics={"cpu": value}))


def login(second: int, host: str) -> FactSubmission:
    line = LogRecorded(severity="info", summary=f"Failed password for root from {host} port 22")
    return FactSubmission("web-1", BEGAN + timedelta(seconds=second), line)


def test_alerts_of_each_tenant_are_raised_and_resolved_once_over_kills_and_by_two_workers(running: Running) -> None:
    for tenant in ("acme", "bolt"):
        running.command(register_tenant(tenant))
    running.define("cpu", Threshold(metric="cpu", above=90), "acme")
    running.define("ssh", Failures(contains="Failed password", key_after=" from ", count=3, within_s=60), "bolt")
    # what one tenant watches for and the other reports is nobody's alert
    running.report(login(0, "a"), login(1, "a"), login(2, "a"), cpu(10, 95), tenant="acme")
    running.report(cpu(0, 99), login(10, "b"), login(11, "b"), tenant="bolt")
    until(lambda: running.alerts("acme") == [("raised", 10)], WAIT_S)
    running.one.kill()
    running.report(cpu(20, 96), cpu(100, 5), cpu(200, 97))
    running.report(login(12, "b"), tenant="bolt")
    running.other.run()
    running.one.run()
    until(lambda: running.alerts("acme") == [("raised", 10), ("resolved", 100), ("raised", 200)], WAIT_S)
    until(lambda: running.alerts("bolt") == [("raised", 12)], WAIT_S)
    running.other.kill()
    running.command(submission(RemoveWatch(watch_id="cpu"), tenant="acme"))
    until(lambda: [kind for kind, _ in running.alerts("acme")] == ["raised", "resolved", "raised", "resolved"], WAIT_S)
    running.report(cpu(300, 99))
    running.report(login(400, "c"), tenant="bolt")
    until(lambda: running.alerts("bolt") == [("raised", 12), ("resolved", 400)], WAIT_S)
    assert len(running.alerts("acme")) == 4
