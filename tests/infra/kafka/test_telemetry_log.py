from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from infra.kafka.log_reader import KafkaLogReader
from infra.kafka.telemetry_log import KafkaTelemetryLog
from schemas.envelope import Actor, ActorType, Envelope, Position, Topic
from streams.ports import FactSubmission, OutcomeUnknown, SystemClock
from tests.cluster import SCHEMA_IDS, Cluster
from tests.contracts.event_log import ACME
from tests.examples import stored
from tests.examples.fleet import METRICS
from tests.examples.moments import HAPPENED_AT

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka

AGENT = Actor(ActorType.AGENT, "agent-1")


@pytest.fixture
def cluster(own_kafka: "Kafka") -> Cluster:
    return Cluster(own_kafka.bootstrap)


@pytest.fixture
def log(cluster: Cluster) -> Iterator[KafkaTelemetryLog]:
    clock = SystemClock()
    with closing(KafkaTelemetryLog(cluster.connection, cluster.topics, schema_ids=SCHEMA_IDS, clock=clock)) as log:
        yield log


def facts(count: int) -> list[FactSubmission]:
    return [FactSubmission(f"web-{n}", HAPPENED_AT + timedelta(seconds=n), METRICS) for n in range(count)]


def test_facts_are_in_the_log_at_the_position_of_their_reply(cluster: Cluster, log: KafkaTelemetryLog) -> None:
    assert log.append_facts(ACME, facts(3), AGENT).position == Position(Topic.TELEMETRY, cluster.home, 3)
    reply = log.append_facts(ACME, facts(2), AGENT)
    assert (reply.accepted, reply.position) == (2, Position(Topic.TELEMETRY, cluster.home, 5))
    with closing(KafkaLogReader(cluster.connection, cluster.topics)) as reader:
        assert reader.end(Topic.TELEMETRY, cluster.home) == 5
        found = reader.read(Topic.TELEMETRY, cluster.home, after=1, limit=100)
    assert [entry.position for entry in found] == [2, 3, 4, 5]
    entry = found[0]
    assert isinstance(entry, Envelope)
    assert (entry.stream, entry.version, entry.actor, entry.data) == ("device-web-1", 0, AGENT, stored(METRICS))


def test_a_fact_twice_in_a_batch_is_kept_once(log: KafkaTelemetryLog) -> None:
    reply = log.append_facts(ACME, [*facts(2), *facts(2)], AGENT)
    assert (reply.accepted, reply.repeated) == (2, 2)


def test_the_same_fact_has_the_same_id_whenever_it_is_sent(cluster: Cluster, log: KafkaTelemetryLog) -> None:
    named = facts(1)[0]._replace(fact_id="reading 1")
    for _ in range(2):
        log.append_facts(ACME, [*facts(1), named], AGENT)
    with closing(KafkaLogReader(cluster.connection, cluster.topics)) as reader:
        found = reader.read(Topic.TELEMETRY, cluster.home, after=0, limit=100)
    ids = [entry.event_id for entry in found if isinstance(entry, Envelope)]
    assert ids[:2] == ids[2:]
    assert len(set(ids)) == 2


def test_no_facts_have_no_position(log: KafkaTelemetryLog) -> None:
    assert log.append_facts(ACME, [], AGENT).position is None


def test_a_broker_that_is_away_is_told_and_the_facts_are_taken_when_it_is_back(
    cluster: Cluster, log: KafkaTelemetryLog, own_kafka: "Kafka", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.kafka.telemetry_log.DELIVERY_TIMEOUT_MS", 3_000)
    clock = SystemClock()
    log.append_facts(ACME, facts(1), AGENT)
    impatient = KafkaTelemetryLog(cluster.connection, cluster.topics, schema_ids=SCHEMA_IDS, clock=clock)
    with closing(impatient):
        own_kafka.pause()
        try:
            with pytest.raises(OutcomeUnknown, match="send them again"):
                impatient.append_facts(ACME, facts(1), AGENT)
        finally:
            own_kafka.resume()
        assert impatient.append_facts(ACME, facts(1), AGENT).accepted == 1
