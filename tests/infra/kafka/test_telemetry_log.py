from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from infra.kafka.log_reader import KafkaLogReader
from infra.kafka.telemetry_log import KafkaTelemetryLog
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
