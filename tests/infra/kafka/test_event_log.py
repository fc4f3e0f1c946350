"""The log on the real broker: the same promises as the embedded one, and what only several writers can break."""

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from infra.kafka.connection import headers_of
from infra.kafka.event_log import KafkaEventLog
from infra.kafka.log_reader import KafkaLogReader
from infra.sqlite.writer_state import Stored, WriterState
from schemas.envelope import Entry, StreamId, Topic
from schemas.kafka_record import encode_kafka
from schemas.payload import BadPayload
from streams.ports import Batch, LogUnavailable, Reply, SystemClock
from streams.write.messages import decode_submission
from streams.write.turn import WriterLost
from streams.write.writer import Writer
from tests.cluster import PARTITIONS, SCHEMA_IDS, Cluster, own, taken, until, waiting
from tests.contracts.event_log import ACME, EventLogContract, events, resting
from tests.streams.kit import register, register_tenant
from tests.streams.write.saga import HOUR, RESTING, Hands

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka


class TestKafkaEventLog(EventLogContract):
    @pytest.fixture
    def opening(self, kafka: "Kafka", tmp_path: Path) -> Callable[[], KafkaEventLog]:
        cluster = Cluster(kafka.bootstrap)
        return lambda: cluster.open(tmp_path)


@pytest.fixture
def cluster(kafka: "Kafka") -> Cluster:
    return Cluster(kafka.bootstrap)


def history(cluster: Cluster) -> list[Entry]:
    """Return what a reader sees, which knows nothing of the writers."""
    with closing(KafkaLogReader(cluster.connection, cluster.topics)) as reader:
        return list(reader.read(Topic.EVENTS, cluster.home, after=0, limit=10_000))


def test_a_transaction_that_is_aborted_leaves_nothing(cluster: Cluster, tmp_path: Path) -> None:
    with closing(cluster.open(tmp_path)) as log:
        log.append(Batch(events(log, ACME, "device-1", 1), ()))
        batch = events(log, ACME, "device-2", 3)
        too_large = batch[2]._replace(data={**batch[2].data, "hostname": "x" * 2_000_000})
        with pytest.raises(BadPayload, match="larger"):
            log.append(Batch([*batch[:2], too_large], ()))
        assert log.end(Topic.EVENTS, cluster.home) == 1
        log.append(Batch(events(log, ACME, "device-3", 1), ()))
        assert [(entry.stream, entry.position) for entry in history(cluster)] == [("device-1", 1), ("device-3", 2)]


def test_timers_are_rebuilt_from_the_log_by_a_worker_with_nothing_on_its_disk_and_fire_once(
    cluster: Cluster, tmp_path: Path
) -> None:
    hands = Hands()
    with closing(cluster.open(tmp_path / "old", "old")) as log:
        resting(log, hands)
    hands.at += HOUR
    with closing(cluster.open(tmp_path / "new", "new")) as log:
        assert log.next_due() == hands.at
        assert Writer(log, hands, processes=(RESTING,)).tick() == 3
    # back where the timers were set, and are still on the disk as set
    with closing(cluster.open(tmp_path / "old", "old")) as log:
        assert log.next_due() is None
    assert [entry.type for entry in history(cluster)].count("timer.fired") == 3


def test_what_was_taken_and_not_committed_comes_again(cluster: Cluster, tmp_path: Path) -> None:
    with closing(cluster.open(tmp_path)) as log:
        cluster.send(register_tenant("acme"))
        with taken(log) as given_up:
            pass
        with suppress(ZeroDivisionError), taken(log) as failed:
            raise ZeroDivisionError
        with taken(log) as turn:
            assert turn.incoming == given_up.incoming == failed.incoming
            turn.commit(Batch((), [Reply("test", "refused", StreamId("?"), 0)]))
        assert not waiting(log, timeout_s=0.5)


def test_what_was_polled_when_taking_failed_comes_again(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(cluster.open(tmp_path)) as log:
        poll, failing = log.owned.poll, [True]

        def fails_late(limit: int, timeout_s: float) -> Sequence[Message]:
            messages = poll(limit, timeout_s)
            if messages and failing and failing.pop():
                raise LogUnavailable("for a test")
            return messages

        monkeypatch.setattr(log.owned, "poll", fails_late)
        cluster.send(register_tenant("acme"))
        with pytest.raises(LogUnavailable), taken(log):
            pass
        with taken(log) as turn:
            assert len(turn.incoming) == 1


def test_an_owner_that_was_replaced_can_not_commit(cluster: Cluster, tmp_path: Path) -> None:
    cluster.send(register_tenant("acme"))
    with closing(cluster.open(tmp_path / "old", "old", partitions=None)) as old, taken(old) as turn:
        writer = Writer(old, SystemClock())
        [command] = turn.incoming
        old.owned._commands.close()
        with closing(cluster.open(tmp_path / "new", "new")) as new:
            # it lost its partitions without knowing; its state and its turn are as they were
            old.owned._given = dict(new.owned._given)
            submission = decode_submission(command.raw, partition=cluster.home, partitions=PARTITIONS)
            with pytest.raises((LogUnavailable, WriterLost)):
                writer.write([submission], turn.commit)
            old.owned._given = {}
            Writer(new, SystemClock()).write([submission])
        assert [entry.position for entry in history(cluster)] == [1]


def test_a_new_owner_waits_for_the_transaction_of_the_one_before(cluster: Cluster, tmp_path: Path) -> None:
    cluster.send(register_tenant("acme"))
    with closing(cluster.open(tmp_path / "old", "old")) as old, taken(old):
        batch = events(old, ACME, "device-1", 1)
        record = encode_kafka(batch[0], SCHEMA_IDS[batch[0].type, 1])
        producer = old._transactions.producer
        producer.begin_transaction()
        old._produce(producer, cluster.home, [Stored(1, record)], {})
        producer.flush()
        producer.send_offsets_to_transaction(
            [TopicPartition(cluster.topics.commands, cluster.home, 1)], old.owned.group
        )
        old.owned._commands.close()
        with closing(cluster.open(tmp_path / "new", "new", partitions=PARTITIONS - 1)) as new:
            for _ in range(10):
                assert not waiting(new)
            assert cluster.home not in new.owned
            old._transactions.commit()
            own(new, PARTITIONS)
            # both halves of that transaction are seen: the event, and that its command is done
            assert new.end(Topic.EVENTS, cluster.home) == 1
            assert not waiting(new, timeout_s=0.5)


def test_a_new_owner_with_no_state_of_its_own_reads_the_log_again(cluster: Cluster, tmp_path: Path) -> None:
    with closing(cluster.open(tmp_path / "old", "old")) as old:
        written = Writer(old, SystemClock()).write(
            [register_tenant("acme"), register("web-1", tenant="acme", id_="once")]
        )
    with closing(cluster.open(tmp_path / "new", "new")) as new:
        [again] = Writer(new, SystemClock()).write([register("web-1", tenant="acme", id_="once")])
        assert again == written[1]._replace(repeated=True)


def test_state_of_an_older_log_of_the_same_name_is_thrown_away(cluster: Cluster, tmp_path: Path) -> None:
    with closing(cluster.open(tmp_path)) as log:
        log.append(Batch(events(log, ACME, "device-1", 1), ()))
    with closing(Cluster(cluster.bootstrap).open(tmp_path)) as log:
        assert log.end(Topic.EVENTS, cluster.home) == 0


def test_a_hole_in_the_log_stops_the_commands_of_its_partition_and_no_others(
    cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(cluster.open(tmp_path / "old", "old")) as log:
        log.append(Batch(events(log, ACME, "device-1", 1), ()))
        event = events(log, ACME, "device-1", 1, version=2)[0]._replace(position=3)
    producer = cluster.connection.producer()
    record = encode_kafka(event, 1)
    producer.produce(
        cluster.topics.events,
        record.value,
        record.key,
        cluster.home,
        headers=record.headers_from(cluster.topics.prefix),
    )
    producer.flush()
    cluster.send(register_tenant("acme"))
    with closing(cluster.open(tmp_path / "new", "new", partitions=PARTITIONS - 1)) as log:
        assert cluster.home not in log.owned
        assert "the log has 1 to 3 in 2 records" in caplog.text
        assert not waiting(log, timeout_s=0.5)
        for partition in log.owned:
            assert log.end(Topic.EVENTS, partition) == 0
        with pytest.raises(LogUnavailable, match="not yet, this worker's"):
            log.tenants(cluster.home)


def test_an_error_while_a_partition_is_taken_over_loses_nothing_of_it(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(cluster.open(tmp_path / "old", "old")) as old:
        old.append(Batch(events(old, ACME, "device-1", 3), ()))
    cluster.send(register_tenant("acme"))
    failing = [True]

    class Fails(WriterState):
        def add(self, events: Sequence[Stored], offset: int) -> None:
            # what was read has not been kept, and the client goes on behind it
            if events and failing and failing.pop():
                raise KafkaException(KafkaError(KafkaError.UNKNOWN))
            super().add(events, offset)

    monkeypatch.setattr("infra.kafka.partitions.WriterState", Fails)
    new = cluster.opened(tmp_path / "new", "new")
    with closing(new):
        with pytest.raises(LogUnavailable):
            until(lambda: waiting(new) > 0, 60)
        with taken(new) as turn:
            assert len(turn.incoming) == 1
            assert new.owned[cluster.home].state.end == 3


def test_an_error_of_ours_within_a_transaction_ends_it(cluster: Cluster, tmp_path: Path) -> None:
    with closing(cluster.open(tmp_path)) as log:
        batch = events(log, ACME, "device-1", 1)
        record = encode_kafka(batch[0], SCHEMA_IDS[batch[0].type, 1])
        with suppress(ZeroDivisionError), log._transactions.transaction() as producer:
            log._produce(producer, cluster.home, [Stored(1, record)], {})
            raise ZeroDivisionError
        for n in (1, 2):
            log.append(Batch(events(log, ACME, f"device-{n}", 1), ()))
        assert [entry.stream for entry in history(cluster)] == ["device-1", "device-2"]


class Unnamed:
    """A message with a header whose name is not UTF-8, as the client gives it."""

    def headers(self) -> None:
        raise SystemError("returned a result with an exception set")


def test_a_message_whose_headers_can_not_be_read_has_none() -> None:
    assert list(headers_of(Unnamed())) == []  # type: ignore[arg-type]


def test_records_of_strangers_in_the_log_are_passed_over(cluster: Cluster, tmp_path: Path) -> None:
    producer = cluster.connection.producer()
    producer.produce(cluster.topics.events, b"hello", b"?", cluster.home)
    producer.flush()
    with closing(cluster.open(tmp_path)) as log:
        log.append(Batch(events(log, ACME, "device-1", 1), ()))
        assert [entry.position for entry in history(cluster)] == [1]


def test_reader_finds_any_position_of_a_long_log(cluster: Cluster, tmp_path: Path) -> None:
    with closing(cluster.open(tmp_path)) as log:
        for _ in range(5):
            log.append(Batch(events(log, ACME, "device-1", 2_000), ()))
        log.append(Batch(events(log, ACME, "device-1", 1), ()))
    with closing(KafkaLogReader(cluster.connection, cluster.topics)) as reader:
        for after in (0, 9_000, 10_000, 10_001, 1_999, 2_000, 5_432, 5_434, 20_000):
            found = [e.position for e in reader.read(Topic.EVENTS, cluster.home, after=after, limit=2)]
            assert found == [position for position in (after + 1, after + 2) if position <= 10_001]
        assert reader.end(Topic.EVENTS, cluster.home) == 10_001
        assert reader.tenants(cluster.home) == [ACME]


def test_two_workers_share_the_partitions_and_each_reads_only_its_own(cluster: Cluster, tmp_path: Path) -> None:
    with closing(cluster.open(tmp_path / "a", "a")) as one:
        other = cluster.opened(tmp_path / "b", "b")
        with closing(other):

            def shared() -> bool:
                waiting(one)
                waiting(other)
                return bool(other.owned) and len(one.owned) + len(other.owned) == PARTITIONS

            until(shared, 60)
            assert not one.owned.keys() & other.owned.keys()
            [lost, *_] = other.owned
            with pytest.raises(LogUnavailable, match="not yet, this worker's"):
                one.tenants(lost)
