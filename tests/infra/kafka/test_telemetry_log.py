from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from domain.fleet.fact_records import MetricsRecord
from infra.kafka.log_reader import KafkaLogReader
from infra.kafka.telemetry_log import KafkaTelemetryLog
from infra.kafka.topics import check_topics, set_config
from schemas.envelope import Entry, Envelope, Topic
from schemas.raw_kafka_facts import MANY, KafkaFacts
from streams.ports import OutcomeUnknown, SystemClock
from streams.topics import STAMPED, UNSTAMPED
from tests.cluster import SCHEMA_IDS, Cluster, until
from tests.contracts.telemetry_log import AGENT, TelemetryLogContract, read, readings
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


class Set:
    """A gateway's clock, which is so many seconds ahead of the time."""

    def __init__(self, ahead_s: int) -> None:
        self._ahead = timedelta(seconds=ahead_s)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead


def recorded_by_two_gateways(cluster: Cluster, reader: KafkaLogReader) -> list[datetime]:
    """Let gateways whose clocks are two hours apart write in turn; return when their facts were recorded, in order."""
    with ExitStack() as opened:
        gateways = [
            opened.enter_context(
                closing(
                    KafkaTelemetryLog(cluster.connection, cluster.topics, schema_ids=SCHEMA_IDS, clock=Set(ahead_s))
                )
            )
            for ahead_s in (3_600, -3_600)
        ]
        for n in range(6):
            gateways[n % 2].append_facts(ACME, readings(1), AGENT)
    return [record.recorded_at for record in read(reader)]


def test_recorded_at_of_facts_never_falls_between_gateways_with_clocks_apart(
    cluster: Cluster, reader: KafkaLogReader
) -> None:
    before = datetime.now(UTC)
    found = recorded_by_two_gateways(cluster, reader)
    assert found == sorted(found)
    # neither of the two clocks was asked
    assert before - timedelta(minutes=1) < found[0] < found[-1] < before + timedelta(minutes=30)


def test_facts_of_a_topic_of_before_are_of_their_gateways_clocks_and_the_operator_is_told_what_to_set(
    cluster: Cluster, reader: KafkaLogReader, caplog: pytest.LogCaptureFixture
) -> None:
    admin, telemetry = cluster.connection.admin(), cluster.topics.telemetry
    set_config(admin, telemetry, UNSTAMPED)
    until(lambda: is_apart(recorded_by_two_gateways(cluster, reader)), 60)
    check_topics(admin, cluster.topics)
    assert f"--topic {telemetry} --add-config message.timestamp.type=LogAppendTime" in caplog.text
    set_config(admin, telemetry, STAMPED)
    until(lambda: not is_apart(recorded_by_two_gateways(cluster, reader)), 60)
    found = recorded_by_two_gateways(cluster, reader)[-6:]
    assert found == sorted(found)


def is_apart(recorded: Sequence[datetime]) -> bool:
    """Return whether the last two facts were recorded by clocks that are apart."""
    return recorded[-2] - recorded[-1] > timedelta(minutes=90)


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
