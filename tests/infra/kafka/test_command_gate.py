import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from domain.rejection import Kind
from infra.kafka.command_gate import KafkaCommandGate
from infra.kafka.command_queue import KafkaCommandQueue
from infra.kafka.event_log import KafkaEventLog
from schemas.envelope import Topic
from streams.ports import OutcomeUnknown, Overloaded, SystemClock
from streams.write.outcomes import Inquiry
from streams.write.worker import CommandWorker
from streams.write.writer import Writer
from tests.cluster import PARTITIONS, Cluster, until
from tests.streams.kit import accepted, register, register_tenant, tag

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka


@pytest.fixture
def cluster(own_kafka: "Kafka") -> Cluster:
    return Cluster(own_kafka.bootstrap)


@contextmanager
def working(cluster: Cluster, folder: Path) -> Iterator[KafkaEventLog]:
    """Decide commands in a thread of its own."""
    with closing(cluster.open(folder)) as log:
        worker = CommandWorker(KafkaCommandQueue(log), Writer(log, SystemClock()))
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            yield log
        finally:
            worker.stop()
            thread.join()


def test_many_callers_get_each_their_own_reply(cluster: Cluster, tmp_path: Path) -> None:
    async def calls(gate: KafkaCommandGate) -> None:
        assert accepted(await gate.execute(register_tenant("acme")))
        sent = [register(f"web-{n}", tenant="acme") for n in range(200)]
        replies = await asyncio.gather(*(gate.execute(submission) for submission in sent))
        assert [reply.command_id for reply in replies] == [submission.command_id for submission in sent]
        assert all(accepted(reply) for reply in replies)
        # asked at once with the command itself: the one that was sent first is decided by then
        late = tag("web-7", "a", tenant="acme", expected=9)
        refused, *asked = await asyncio.gather(
            gate.execute(late),
            *(gate.outcome(Inquiry(one.command_id, one.tenant_id, one.actor)) for one in (late, sent[7])),
        )
        assert asked == [refused._replace(repeated=True), replies[7]._replace(repeated=True)]
        assert not (await gate.outcome(Inquiry("never", late.tenant_id, late.actor))).repeated

    with working(cluster, tmp_path), closing(KafkaCommandGate(cluster.connection, cluster.topics)) as gate:
        asyncio.run(calls(gate))


def test_answers_do_not_wait_for_a_transaction_that_somebody_leaves_open_on_the_replies(
    cluster: Cluster, tmp_path: Path
) -> None:
    async def calls(gate: KafkaCommandGate) -> None:
        assert accepted(await gate.execute(register_tenant("acme")))
        replies = await asyncio.gather(*(gate.execute(register(f"web-{n}", tenant="acme")) for n in range(50)))
        assert all(accepted(reply) for reply in replies)

    other = cluster.connection.producer(transactional_id="other", transaction_timeout_ms=60_000)
    other.init_transactions(30)
    other.begin_transaction()
    for partition in range(PARTITIONS):
        other.produce(cluster.topics.replies, b"?", "?", partition)
    other.flush()
    with working(cluster, tmp_path), closing(KafkaCommandGate(cluster.connection, cluster.topics)) as gate:
        asyncio.run(calls(gate))
    # it was open all the time: one that the broker has ended cannot be committed
    other.commit_transaction(30)


def test_a_reply_that_can_not_be_read_leaves_the_outcome_of_its_command_alone_unknown(
    cluster: Cluster, tmp_path: Path
) -> None:
    async def calls(gate: KafkaCommandGate) -> None:
        asked = asyncio.ensure_future(gate.execute(register_tenant("acme")))
        await asyncio.sleep(0)
        [reply_to] = gate._waiting
        producer = cluster.connection.producer()
        # a refusal without anything in it
        raw = b'["test-1","refused","tenant-acme",0,[],null,false,[]]'
        producer.produce(cluster.topics.replies, raw, reply_to, int(reply_to.partition("|")[0]))
        producer.flush()
        with pytest.raises(OutcomeUnknown, match="cannot be read"):
            await asked

    async def again(gate: KafkaCommandGate) -> None:
        assert accepted(await gate.execute(register_tenant("bolt")))

    with closing(KafkaCommandGate(cluster.connection, cluster.topics)) as gate:
        asyncio.run(calls(gate))
        with working(cluster, tmp_path):
            asyncio.run(again(gate))


def test_replies_of_one_gateway_do_not_reach_another(cluster: Cluster, tmp_path: Path) -> None:
    async def calls(one: KafkaCommandGate, other: KafkaCommandGate) -> None:
        await one.execute(register_tenant("acme"))
        same = register("web-1", tenant="acme")
        first, again = await one.execute(same), await other.execute(same)
        assert again == first._replace(repeated=True)

    with (
        working(cluster, tmp_path),
        closing(KafkaCommandGate(cluster.connection, cluster.topics)) as one,
        closing(KafkaCommandGate(cluster.connection, cluster.topics)) as other,
    ):
        asyncio.run(calls(one, other))


class Failing:
    """A consumer that fails when it is told to."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self.fails = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    def poll(self, timeout_s: float) -> Any:
        if self.fails:
            raise KeyError("nobody foresaw it")
        return self._consumer.poll(timeout_s)


def test_replies_are_read_on_after_a_fault_that_nobody_foresaw_which_is_told_of(
    cluster: Cluster, tmp_path: Path
) -> None:
    async def call(gate: KafkaCommandGate, tenant: str) -> None:
        assert accepted(await gate.execute(register_tenant(tenant)))

    with working(cluster, tmp_path), closing(KafkaCommandGate(cluster.connection, cluster.topics)) as gate:
        replies: Any = Failing(gate._replies)
        gate._replies = replies
        asyncio.run(call(gate, "acme"))
        until(lambda: gate.error is None, 10)
        replies.fails = True
        until(lambda: gate.error == "replies: KeyError: 'nobody foresaw it'", 10)
        replies.fails = False
        asyncio.run(call(gate, "bolt"))
        until(lambda: gate.error is None, 10)


def test_without_a_worker_the_outcome_is_unknown_and_the_same_id_is_answered_later(
    cluster: Cluster, tmp_path: Path
) -> None:
    command = register_tenant("acme")
    with (
        closing(KafkaCommandGate(cluster.connection, cluster.topics, timeout_s=1)) as gate,
        pytest.raises(OutcomeUnknown, match="same id"),
    ):
        asyncio.run(gate.execute(command))
    with working(cluster, tmp_path) as log:
        with closing(KafkaCommandGate(cluster.connection, cluster.topics)) as gate:
            reply = asyncio.run(gate.execute(command))
        assert accepted(reply)
        assert reply.repeated
    with closing(cluster.open(tmp_path)) as log:
        assert log.end(Topic.EVENTS, cluster.home) == 1


def test_more_than_may_wait_is_refused_at_once(cluster: Cluster) -> None:
    with (
        closing(KafkaCommandGate(cluster.connection, cluster.topics, max_in_flight=0)) as gate,
        pytest.raises(Overloaded),
    ):
        asyncio.run(gate.execute(register_tenant("acme")))


def test_a_command_larger_than_a_message_is_refused(cluster: Cluster) -> None:
    large = register("web-1", tenant="acme")
    large = large._replace(traceparent="x" * 2_000_000)
    with closing(KafkaCommandGate(cluster.connection, cluster.topics)) as gate:
        reply = asyncio.run(gate.execute(large))
    assert reply.refusal is not None
    assert reply.refusal.kind is Kind.INVALID


def test_a_broker_that_is_away_leaves_the_outcome_unknown(cluster: Cluster, own_kafka: "Kafka") -> None:
    with closing(KafkaCommandGate(cluster.connection, cluster.topics, timeout_s=2)) as gate:
        own_kafka.pause()
        try:
            with pytest.raises(OutcomeUnknown):
                asyncio.run(gate.execute(register_tenant("acme")))
        finally:
            own_kafka.resume()
