from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from domain.fleet.facts import facts_of
from infra.kafka.log_reader import KafkaLogReader
from infra.kafka.telemetry_log import KafkaTelemetryLog
from schemas.envelope import Actor, ActorType, Envelope, Position, StreamId, Topic
from schemas.partitioning import facts_partition_of
from streams.ports import FactSubmission, OutcomeUnknown, SystemClock
from tests.cluster import SCHEMA_IDS, Cluster
from tests.contracts.event_log import ACME
from tests.examples import stored
from tests.examples.fleet import LOG, METRICS
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


@pytest.fixture
def reader(cluster: Cluster) -> Iterator[KafkaLogReader]:
    with closing(KafkaLogReader(cluster.connection, cluster.topics)) as reader:
        yield reader


def read(reader: KafkaLogReader, partition: int, after: int = 0) -> list[Envelope]:
    found = reader.read(Topic.TELEMETRY, partition, after=after, limit=100)
    return [entry for entry in found if isinstance(entry, Envelope)]


def test_facts_of_a_device_are_one_record_at_the_position_of_their_reply(
    log: KafkaTelemetryLog, reader: KafkaLogReader
) -> None:
    partition = facts_partition_of(ACME, StreamId("device-web-1"), reader.partitions)
    later = [fact._replace(device_id="web-1") for fact in facts(3)]
    for position, some in enumerate((facts(2)[1:], later, later[:1]), 1):
        reply = log.append_facts(ACME, some, AGENT)
        assert (reply.accepted, reply.positions) == (
            len(some),
            (Position(Topic.TELEMETRY, partition, position),),
        )
    assert reader.end(Topic.TELEMETRY, partition) == reader.ends(Topic.TELEMETRY)[partition] == 3
    [second, third] = read(reader, partition, after=1)
    assert (second.position, second.stream, second.version, second.actor) == (2, "device-web-1", 0, AGENT)
    load, _ = second.data["series"]
    assert (load["metric"], load["after_us"], load["values"]) == ("cpu.load", [0, 1_000_000, 2_000_000], [0.75] * 3)
    assert [fact.data for fact in facts_of(second)] == [stored(METRICS)] * 3
    assert third.position == 3


def test_facts_of_many_devices_are_spread_and_the_reply_names_each_place(
    log: KafkaTelemetryLog, reader: KafkaLogReader
) -> None:
    reply = log.append_facts(ACME, facts(40), AGENT)
    assert reply.accepted == 40
    partitions = {facts_partition_of(ACME, StreamId(f"device-web-{n}"), reader.partitions) for n in range(40)}
    assert [position.partition for position in reply.positions] == sorted(partitions)
    assert len(partitions) > 1
    assert [reader.end(*position[:2]) for position in reply.positions] == [at.position for at in reply.positions]


def test_a_line_about_another_device_is_where_the_facts_of_that_device_are(
    log: KafkaTelemetryLog, reader: KafkaLogReader
) -> None:
    about = facts_partition_of(ACME, StreamId(f"device-{LOG.device_id}"), reader.partitions)
    log.append_facts(ACME, [FactSubmission("collector", HAPPENED_AT, LOG)], AGENT)
    assert [entry.stream for entry in read(reader, about)] == ["device-collector"]


def test_a_reading_twice_in_a_request_is_kept_once(log: KafkaTelemetryLog) -> None:
    reply = log.append_facts(ACME, [*facts(2), *facts(2)], AGENT)
    assert (reply.accepted, reply.repeated) == (2, 2)


def test_a_request_that_is_sent_again_has_the_same_ids(log: KafkaTelemetryLog, reader: KafkaLogReader) -> None:
    line = FactSubmission("web-1", HAPPENED_AT, replace(LOG, device_id=None))
    partition = facts_partition_of(ACME, StreamId("device-web-1"), reader.partitions)
    for key in ("", "a", "", "a"):
        log.append_facts(ACME, [line, line, line._replace(fact_id="mine")], AGENT, key)
    records = read(reader, partition)
    ids = [entry.event_id for entry in records]
    assert ids[:4] == ids[4:]
    assert len(set(ids)) == 4
    lines = [fact.event_id for entry in records for fact in facts_of(entry)]
    # two unnamed lines under each key, and the one that has an id
    assert len(set(lines)) == 5


def test_no_facts_have_no_position(log: KafkaTelemetryLog) -> None:
    assert log.append_facts(ACME, [], AGENT).positions == ()


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
