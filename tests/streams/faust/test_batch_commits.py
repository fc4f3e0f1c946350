"""Commits and back-pressure, seen from inside an agent on a real broker; beside it what stock Faust does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import faust
import pytest
from faust.types import TP

from infra.engines.kafka import Kafka
from streams.faust.batch_chain import Chain
from streams.faust.batch_transport import BatchApp, Consumer, Limits, split
from tests.streams.faust.kafka_topics import NumberedTopic

WAIT_S = 60


class Delivered:
    """One batch on its chain, without a broker."""

    def __init__(self, offset: int, records: int, mark: str) -> None:
        self.offset = offset
        self.records = records
        self.mark = mark
        self.acked = False


class OfBytes:
    def __init__(self, size: int) -> None:
        self.serialized_value_size = size


def test_chain_commits_the_end_of_the_acknowledged_prefix_and_what_was_read_behind_it() -> None:
    chain = Chain(10, 10, "before")
    first, second = Delivered(10, 5, "a"), Delivered(17, 5, "b")
    chain.add([first, second], 25)
    assert chain.committable() is None
    second.acked = True
    assert chain.committable() is None
    first.acked = True
    assert chain.committable() == (25, "b")
    chain.committed = 25
    chain.add([], 27)
    assert chain.committable() == (27, "b")
    chain.end = 27
    assert chain.lag == 2


def test_what_was_read_but_not_acknowledged_lags_also_before_the_first_commit() -> None:
    chain = Chain(0, None, "")
    chain.add([Delivered(0, 5, "a")], 10)
    chain.end = 10
    assert chain.lag == 10


def test_nothing_that_follows_a_batch_that_was_given_up_is_held_or_committed() -> None:
    chain = Chain(0, None, "")
    first, second = Delivered(0, 5, "a"), Delivered(5, 5, "b")
    chain.add([first, second], 10)
    chain.give_up()
    second.acked = True
    assert second not in chain
    assert chain.committable() == (0, "")


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ([], []),
        ([4, 4], [[4, 4]]),
        ([4, 4, 4], [[4, 4], [4]]),
        ([4, 11, 4], [[4], [11], [4]]),
        ([11], [[11]]),
        ([-1, 10], [[-1, 10]]),
    ],
)
def test_batch_is_bounded_by_bytes_and_a_larger_record_stands_alone(sizes: list[int], parts: list[list[int]]) -> None:
    records = cast("Any", [OfBytes(size) for size in sizes])
    found = [[cast("OfBytes", record).serialized_value_size for record in part] for part in split(records, 10)]
    assert found == parts


def options(topic: NumberedTopic, folder: Path) -> dict[str, Any]:
    return {
        "broker": f"kafka://{topic.bootstrap}",
        "store": "memory://",
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "web_enabled": False,
        "consumer_auto_offset_reset": "earliest",
        "stream_wait_empty": False,
        "broker_commit_interval": 3600,
        "datadir": str(folder),
    }


@asynccontextmanager
async def started(app: Any) -> AsyncIterator[None]:
    await app.start()
    try:
        yield
    finally:
        # its threads would keep the test process alive
        await app.stop()


async def reached(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not what():  # noqa: ASYNC110 - counts are read, nothing sets an event
            await asyncio.sleep(0.05)


def holding(app: Any, channel: Any) -> list[Any]:
    """Let an agent take everything and acknowledge nothing."""
    held: list[Any] = []

    async def hold(stream: Any) -> None:
        async for event in stream.noack().events():
            held.append(event)  # noqa: PERF401 - seen while it grows

    app.agent(channel)(hold)
    return held


def test_acknowledged_out_of_order_no_commit_passes_what_is_not_acknowledged(kafka: Kafka, tmp_path: Path) -> None:
    topic = NumberedTopic(kafka.bootstrap, partitions=1).write(10)

    async def scenario() -> None:
        app = BatchApp(topic.group, limits=Limits(batch_records=5), **options(topic, tmp_path))
        held = holding(app, app.batches_of(topic.name))
        async with started(app):
            await reached(lambda: len(held) == 2)
            held[1].ack()
            await app.consumer.commit()
            assert topic.committed() in ({}, {0: 0})
            held[0].ack()
            await app.consumer.commit()
            assert topic.committed()[0] >= 10

    asyncio.run(scenario())


def test_stock_faust_commits_past_what_is_not_acknowledged(kafka: Kafka, tmp_path: Path) -> None:
    topic = NumberedTopic(kafka.bootstrap, partitions=1).write(10)

    async def scenario() -> None:
        app = faust.App(topic.group, **options(topic, tmp_path))
        held = holding(app, app.topic(topic.name, value_serializer="raw"))
        async with started(app):
            await reached(lambda: len(held) == 10)
            held[5].ack()
            await app.consumer.commit()
            # offsets 0 to 4 are lost to whoever goes on from here: why the transport keeps its own account
            assert topic.committed() == {0: 6}

    asyncio.run(scenario())


def test_partition_whose_batches_are_not_acknowledged_is_not_read_further_and_others_are(
    kafka: Kafka, tmp_path: Path
) -> None:
    topic = NumberedTopic(kafka.bootstrap, partitions=2).write(1_000)

    async def scenario() -> None:
        app = BatchApp(topic.group, limits=Limits(batch_records=50, in_hand=100), **options(topic, tmp_path))
        held = holding(app, app.batches_of(topic.name))
        async with started(app):
            await reached(lambda: len({event.message.partition for event in held}) == 2)
            await asyncio.sleep(1)
            consumer = cast("Consumer", app.consumer)
            assert all(chain.in_hand <= 100 for chain in consumer.chains.values())
            taken = 0
            # the other partition is emptied while partition 0 stands still
            while taken < 1_000:
                await reached(lambda: any(event.message.partition == 1 and not event.message.acked for event in held))
                for event in held:
                    if event.message.partition == 1 and not event.message.acked:
                        taken += len(event.value)
                        event.ack()
            assert sum(len(event.value) for event in held if event.message.partition == 0) <= 100
            await reached(lambda: consumer.chains[TP(topic.name, 1)].next_offset == topic.ends()[1])
            await app.consumer.commit()
            assert topic.committed().get(0, 0) == 0
            assert topic.committed()[1] == topic.ends()[1]

    asyncio.run(scenario())
