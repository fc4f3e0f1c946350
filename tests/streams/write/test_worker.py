"""The worker's loop on the real broker: what no command of a caller may do is stop its partition."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import TopicPartition

from domain.rejection import Kind
from infra.kafka.command_queue import KafkaCommandQueue
from infra.kafka.event_log import KafkaEventLog
from schemas.envelope import Topic
from streams.ports import Batch, LogUnavailable, Reply, Submission, SystemClock
from streams.write.messages import decode_reply, encode_submission
from streams.write.outcomes import Inquiry
from streams.write.worker import CommandWorker
from streams.write.writer import Writer
from tests.cluster import PARTITIONS, Cluster, until
from tests.contracts.event_log import ACME
from tests.streams.kit import register, register_tenant, tag
from tests.streams.write.saga import HOUR, RESTING, Hands
from tests.streams.write.test_messages import changed

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka


@pytest.fixture
def cluster(kafka: "Kafka") -> Cluster:
    return Cluster(kafka.bootstrap)


@pytest.fixture
def log(cluster: Cluster, tmp_path: Path) -> Iterator[KafkaEventLog]:
    with closing(cluster.open(tmp_path)) as log:
        yield log


def replies(cluster: Cluster, count: int) -> list[Reply]:
    """Return the replies that were sent to `0|…`, in order."""
    consumer = cluster.connection.consumer("test", auto_offset_reset="earliest")
    consumer.assign([TopicPartition(cluster.topics.replies, 0, 0)])
    found = [decode_reply(message.value() or b"") for message in consumer.consume(count, 10)]
    consumer.close()
    return found


def worker_of(log: KafkaEventLog, writer: Writer | None = None) -> CommandWorker:
    return CommandWorker(KafkaCommandQueue(log), writer or Writer(log, SystemClock()))


def decide(worker: CommandWorker, count: int) -> None:
    done = 0

    def all_done() -> bool:
        nonlocal done
        done += worker.turn(0.1)
        return done >= count

    until(all_done, 30)


def test_commands_are_answered_in_order_where_they_came_from(cluster: Cluster, log: KafkaEventLog) -> None:
    cluster.send(register_tenant("acme"), register("web-1", tenant="acme"), reply_to="0|gateway|1")
    decide(worker_of(log), 2)
    found = replies(cluster, 2)
    assert [reply.outcome for reply in found] == ["accepted", "accepted"]
    assert [reply.stream for reply in found] == ["tenant-acme", "device-web-1"]


POISON = (
    None,
    b"",
    b"\xff",
    b"[]",
    b"{}",
    b'{"tenant":5}',
    b'{"command":"fleet.Explode","body":{},"id":"x"}',
    changed(tenant=5),
    changed(id="x" * 1_010_000),
    # fits into the commands, and its event does not fit into the log
    changed(traceparent="x" * 1_010_000),
)


@pytest.mark.parametrize("raw", POISON, ids=[str(n) for n in range(len(POISON))])
def test_a_message_that_is_no_command_is_refused_and_those_around_it_are_decided(
    cluster: Cluster, log: KafkaEventLog, raw: bytes | None
) -> None:
    cluster.send(register_tenant("acme"), reply_to="0|gateway|1")
    cluster.send_raw(raw, cluster.home, "0|gateway|2")
    # nobody waits for this one: it is dropped
    cluster.send_raw(raw, cluster.home)
    cluster.send(register("web-1", tenant="acme"), reply_to="0|gateway|3")
    worker = worker_of(log)
    until(lambda: worker.turn(0.1) == 0 and log.end(Topic.EVENTS, cluster.home) == 2, 60)
    before, poison, after = replies(cluster, 3)
    assert poison.refusal is not None
    assert poison.refusal.kind is Kind.INVALID
    assert [before.outcome, after.outcome] == ["accepted", "accepted"]


def test_messages_that_are_no_commands_are_counted_and_the_place_of_the_first_is_logged(
    cluster: Cluster, log: KafkaEventLog, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.send(register_tenant("acme"))
    cluster.send_raw(b'{"tenant":"secret"}', cluster.home)
    cluster.send_raw(None, cluster.home)
    worker = worker_of(log)
    until(lambda: worker.turn(0.1) == 0 and worker.refused_unread == 2, 30)
    assert f"at offset 1 of partition {cluster.home}" in caplog.text
    assert "secret" not in caplog.text
    assert "Traceback" not in caplog.text


def test_a_reply_that_was_lost_with_its_worker_is_given_when_the_command_comes_again(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_replies: object) -> None:
        raise SystemExit

    command = register_tenant("acme")
    with closing(cluster.open(tmp_path / "old", "old")) as old:
        monkeypatch.setattr(old.replies, "send", killed)
        cluster.send(command, reply_to="0|gateway|1")
        with pytest.raises(SystemExit):
            decide(worker_of(old), 1)
    with closing(cluster.open(tmp_path / "new", "new")) as new:
        cluster.send(command, reply_to="0|gateway|2")
        decide(worker_of(new), 1)
        [reply] = replies(cluster, 1)
        assert reply.repeated
        assert new.end(Topic.EVENTS, cluster.home) == 1


def test_a_command_in_a_partition_of_others_is_refused(cluster: Cluster, log: KafkaEventLog) -> None:
    cluster.send_raw(encode_submission(register_tenant("acme")), (cluster.home + 1) % PARTITIONS, "0|gateway|1")
    decide(worker_of(log), 1)
    [reply] = replies(cluster, 1)
    assert reply.refusal is not None
    assert f"belongs in partition {cluster.home}" in reply.refusal.reason
    assert log.tenants(cluster.home) == []


@pytest.mark.parametrize(
    "reply_to",
    [None, "", "99|gateway|1", "-1|gateway|1", "one|gateway|1", "9" * 5_000 + "|gateway|1", "0|" + "x" * 500_000],
    ids=lambda reply_to: str(reply_to)[:20],
)
def test_a_command_that_nobody_waits_for_is_decided(cluster: Cluster, log: KafkaEventLog, reply_to: str | None) -> None:
    cluster.send(register_tenant("acme"), reply_to=reply_to)
    decide(worker_of(log), 1)
    assert log.tenants(cluster.home) == [ACME]


class Fails(Writer):
    """A writer that one command makes fail itself, not only its rule."""

    def write(
        self, asked: Sequence[Submission | Inquiry], commit: Callable[[Batch], None] | None = None
    ) -> list[Reply]:
        if any(one.command_id == "bad" for one in asked):
            raise ZeroDivisionError
        return super().write(asked, commit)


def test_a_command_that_makes_the_writer_fail_is_refused_alone(cluster: Cluster, log: KafkaEventLog) -> None:
    commands = [
        register_tenant("acme"),
        register("web-1", tenant="acme"),
        register("web-2", tenant="acme", id_="bad"),
        register("web-3", tenant="acme"),
    ]
    cluster.send(*commands, reply_to="0|gateway|1")
    worker = worker_of(log, Fails(log, SystemClock()))
    until(lambda: worker.turn(0.1) == 0 and log.end(Topic.EVENTS, cluster.home) == 3, 60)
    assert [reply.outcome for reply in replies(cluster, 4)] == ["accepted", "accepted", "refused", "accepted"]


def test_timers_fire_while_no_command_comes_and_while_many_do(cluster: Cluster, log: KafkaEventLog) -> None:
    hands = Hands()
    worker = worker_of(log, Writer(log, hands, processes=(RESTING,)))
    cluster.send(register_tenant("acme"), register("web-1", tenant="acme"), register("web-2", tenant="acme"))
    decide(worker, 3)
    cluster.send(tag("web-2", "a", tenant="acme"))
    hands.at += HOUR / 2
    decide(worker, 1)
    hands.at += HOUR / 2
    worker.turn(0)
    types = [entry.type for entry in log.read(Topic.EVENTS, cluster.home, after=0, limit=99)]
    assert [types.count("timer.fired"), types.count("device.retired")] == [1, 1]
    cluster.send(*(register(f"more-{n}", tenant="acme") for n in range(20)))
    hands.at += HOUR / 2
    decide(worker, 20)
    types = [entry.type for entry in log.read(Topic.EVENTS, cluster.home, after=0, limit=999)]
    assert [types.count("timer.fired"), types.count("device.retired")] == [2, 2]


def test_a_batch_that_was_not_kept_is_taken_again(
    cluster: Cluster, log: KafkaEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, failing = log.commit, [True]

    def fails_once(*batch: Any) -> None:
        if failing and failing.pop():
            raise LogUnavailable("for a test")
        commit(*batch)

    monkeypatch.setattr(log, "commit", fails_once)
    cluster.send(register_tenant("acme"), reply_to="0|gateway|1")
    worker = worker_of(log)
    with pytest.raises(LogUnavailable):
        decide(worker, 1)
    decide(worker, 1)
    assert [reply.outcome for reply in replies(cluster, 1)] == ["accepted"]
    assert log.end(Topic.EVENTS, cluster.home) == 1
