from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from domain.fleet.fact_records import MetricsRecord
from infra.kafka.log_reader import KafkaLogReader
from infra.kafka.telemetry_log import KafkaTelemetryLog
from schemas.envelope import Entry, Envelope, Topic
from schemas.raw_kafka_facts import MANY, KafkaFacts
from streams.ports import OutcomeUnknown, SystemClock
from tests.cluster import SCHEMA_IDS, Cluster
from tests.contracts.telemetry_log import AGENT, TelemetryLogContract, readings
from tests.examples import ACME

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka


@pytest.fixture
def cluster(own_kafka: "Kafka") -> Cluster:
    return Cluster(own_kafka.bootstrap)


@pytest.fixture
def log(cluster: Cluster) -> Iterator[KafkaTelemetryLog]:
    clock = SystemClock()
    with closing(KafkaTelemetryLog(cluster.connection, cluster.topics, schema_ids=SCHEMA_IDS, clock=clock)) as log:
        yield log


@pytest.fixture
def telemetry(log: KafkaTelemetryLog) -> KafkaTelemetryLog:
    return log


@pytest.fixture
def reader(cluster: Cluster) -> Iterator[KafkaLogReader]:
    with closing(KafkaLogReader(cluster.connection, cluster.topics)) as reader:
        yield reader


class TestContract(TelemetryLogContract):
    pass


def test_facts_of_many_devices_are_spread(log: KafkaTelemetryLog) -> None:
    reply = log.append_facts(ACME, [fact for n in range(20) for fact in readings(1, f"web-{n}")], AGENT)
    assert len(reply.positions) > 1


def test_many_facts_are_read_at_once_and_are_those_that_are_read_one_by_one(
    cluster: Cluster, log: KafkaTelemetryLog, reader: KafkaLogReader
) -> None:
    log.append_facts(ACME, [fact for n in range(4 * MANY) for fact in readings(2, f"web-{n}")], AGENT)
    for partition in range(cluster.topics.partitions):
        together = reader.read(Topic.TELEMETRY, partition, after=0, limit=10_000)
        assert isinstance(together, KafkaFacts)
        found = together.columns(MetricsRecord.TYPE, MetricsRecord.VERSION)
        assert len(found.payload) == len(together) == reader.end(Topic.TELEMETRY, partition)
        one_by_one: list[Entry] = []
        while some := reader.read(Topic.TELEMETRY, partition, after=len(one_by_one), limit=MANY - 1):
            assert not isinstance(some, KafkaFacts)
            one_by_one += some
        assert list(together) == one_by_one
        assert found.ids == [entry.event_id for entry in one_by_one if isinstance(entry, Envelope)]


def test_a_broker_that_is_away_is_told_and_the_facts_are_taken_when_it_is_back(
    cluster: Cluster, log: KafkaTelemetryLog, own_kafka: "Kafka", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.kafka.telemetry_log.DELIVERY_TIMEOUT_MS", 3_000)
    clock = SystemClock()
    log.append_facts(ACME, readings(1), AGENT)
    impatient = KafkaTelemetryLog(cluster.connection, cluster.topics, schema_ids=SCHEMA_IDS, clock=clock)
    with closing(impatient):
        own_kafka.pause()
        try:
            with pytest.raises(OutcomeUnknown, match="send them again"):
                impatient.append_facts(ACME, readings(1), AGENT)
        finally:
            own_kafka.resume()
        assert impatient.append_facts(ACME, readings(1), AGENT).accepted == 1
