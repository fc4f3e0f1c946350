"""This measures how fast events reach an agent that does nothing, beside stock Faust and aiokafka alone."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import run as run_process
from tempfile import TemporaryDirectory
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    NewTopic,
)

from infra.engines.kafka import Kafka
from streams.faust.batch_transport import BatchApp, Limits
from tests.benchmarks.result import Result

TOPIC = "delivery"
PARTITIONS = 4
EVENTS = 400_000
STOCK_EVENTS = 50_000
EVENTS_IN_TRANSACTION = 100
ROUNDS = 3
VALUE_BYTES = 300


def run(say: Callable[[str], None]) -> Iterator[Result]:
    """Measure delivery; each figure in a process of its own."""
    with TemporaryDirectory() as folder, Kafka(Path(folder)).start() as kafka:
        say(f"writing {EVENTS:,} events in transactions of {EVENTS_IN_TRANSACTION}")
        fill(kafka.bootstrap)
        say("delivery to an empty agent")
        # in turn, and the best of each: what else the machine does then disturbs none of them more than the others
        rounds = [[_rate(how, kafka.bootstrap) for how in HOW] for _ in range(ROUNDS)]
        ours, stock, getmany = (max(rates) for rates in zip(*rounds, strict=True))
    yield Result("delivered to an empty agent, transactional topic", ours, "events/s", stock, 25, of_ratio=True)
    yield Result("… against aiokafka getmany", ours, "events/s", getmany, 0.5, of_ratio=True)


def fill(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result()
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "delivery", "linger.ms": 5})
    producer.init_transactions()
    value = bytes(VALUE_BYTES)
    for transaction in range(EVENTS // EVENTS_IN_TRANSACTION):
        producer.begin_transaction()
        for _ in range(EVENTS_IN_TRANSACTION):
            producer.produce(TOPIC, value, partition=transaction % PARTITIONS)
        producer.commit_transaction()


def _rate(how: str, bootstrap: str) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.faust_delivery", how, bootstrap]
    done = run_process(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


class Meter:
    """Counts from the first delivery to the last, so that joining the group is not measured."""

    def __init__(self, events: int) -> None:
        self.done = asyncio.Event()
        self._events = events
        self._seen = 0
        self._first = 0
        self._begin = 0.0
        self.rate = 0.0

    def add(self, count: int) -> None:
        self._seen += count
        if not self._begin:
            self._begin, self._first = time.perf_counter(), count
        elif self._seen >= self._events and not self.done.is_set():
            self.rate = (self._seen - self._first) / (time.perf_counter() - self._begin)
            self.done.set()


async def ours(bootstrap: str) -> float:
    meter = Meter(EVENTS)
    app = BatchApp(_group(), limits=Limits(), **_options(bootstrap))

    @app.agent(app.batches_of(TOPIC))
    async def empty(batches: Any) -> None:
        async for batch in batches:
            meter.add(len(batch))

    return await _measure(app, meter)


async def stock(bootstrap: str) -> float:
    meter = Meter(STOCK_EVENTS)
    app = faust.App(_group(), **_options(bootstrap))

    @app.agent(app.topic(TOPIC, value_serializer="raw", key_serializer="raw"))
    async def empty(events: Any) -> None:
        async for _ in events:
            meter.add(1)

    return await _measure(app, meter)


async def getmany(bootstrap: str) -> float:
    meter = Meter(EVENTS)
    consumer = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    await consumer.start()
    while not meter.done.is_set():
        for records in (await consumer.getmany(timeout_ms=500, max_records=Limits().batch_records)).values():
            meter.add(len(records))
    await consumer.stop()
    return meter.rate


async def _measure(app: faust.App, meter: Meter) -> float:
    await app.start()
    await meter.done.wait()
    await app.stop()
    return meter.rate


def _group() -> str:
    return f"delivery-{os.getpid()}"


def _options(bootstrap: str) -> dict[str, Any]:
    return {
        "broker": f"kafka://{bootstrap}",
        "store": "memory://",
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "web_enabled": False,
        "consumer_auto_offset_reset": "earliest",
        "stream_wait_empty": False,
        "datadir": TemporaryDirectory().name,
    }


HOW = {"ours": ours, "stock": stock, "getmany": getmany}

if __name__ == "__main__":
    how, address = sys.argv[1:]
    print(asyncio.run(HOW[how](address)), flush=True)
