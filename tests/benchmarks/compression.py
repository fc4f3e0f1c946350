"""This measures what compression saves on a topic of events, and what it costs; run it as a module."""

import itertools
import json
import random
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from confluent_kafka import TopicPartition
from uuid_utils import uuid7

from infra.engines.kafka import Kafka
from infra.kafka.connection import Connection
from infra.kafka.topics import create_missing
from schemas.envelope import Actor, ActorType, StreamId, TenantId, Topic
from schemas.kafka_record import KafkaRecord, encode_kafka
from streams.topics import KEPT_FOR_EVER, TopicSpec
from tests.cluster import SCHEMA_IDS
from tests.examples import EVENTS, envelope_of

COUNT = 100_000
ROUNDS = 3
AT_ONCE = 2_000
"""Events of one transaction of a worker that has more commands than it can take; 20 is one that keeps up."""


def records() -> list[KafkaRecord]:
    """Return events of every kind, of 20 tenants and 5,000 streams, each with ids and texts of its own."""
    chance = random.Random(1)
    examples = [envelope_of(event) for event in EVENTS.values()]
    examples = [example for example in examples if example.topic is Topic.EVENTS]
    found = []
    for n, example in zip(range(COUNT), itertools.cycle(examples), strict=False):
        command_id = str(uuid7())
        envelope = example._replace(
            event_id=str(uuid7()),
            tenant_id=TenantId(f"tenant-{n % 20}"),
            stream=StreamId(f"{example.stream.partition('-')[0]}-{chance.randrange(5_000)}"),
            version=chance.randrange(1, 30),
            position=n + 1,
            actor=Actor(ActorType.API_KEY, str(UUID(int=n % 50))),
            correlation_id=command_id,
            causation_id=command_id,
            data={name: _varied(value, chance) for name, value in example.data.items()},
            traceparent=f"00-{chance.randbytes(16).hex()}-{chance.randbytes(8).hex()}-01",
        )
        found.append(encode_kafka(envelope, SCHEMA_IDS[envelope.type, envelope.schema_version]))
    return found


def _varied(value: Any, chance: random.Random) -> Any:
    return f"{value}-{chance.randrange(10_000)}" if isinstance(value, str) else value


def measure(kafka: Kafka, codec: str, at_once: int, events: list[KafkaRecord]) -> dict[str, object]:
    """Write and read the events through a topic of its own, as a worker writes: a flush for each transaction."""
    connection = Connection(kafka.bootstrap)
    setting = "uncompressed" if codec == "none" else codec
    topic = TopicSpec(str(uuid7()), 1, {**KEPT_FOR_EVER, "compression.type": setting})
    create_missing(connection.admin(), [topic], replication=1)
    producer = connection.producer(linger_ms=5, compression_type=codec)
    began, cpu = time.perf_counter(), time.process_time()
    for after in range(0, len(events), at_once):
        for event in events[after : after + at_once]:
            producer.produce(topic.name, event.value, event.key, 0, headers=event.headers_from("bench"))
        producer.flush()
    written, written_cpu = time.perf_counter() - began, time.process_time() - cpu
    with closing(connection.consumer("bench", auto_offset_reset="earliest")) as consumer:
        consumer.assign([TopicPartition(topic.name, 0, 0)])
        began, cpu, left = time.perf_counter(), time.process_time(), len(events)
        while left:
            left -= len(consumer.consume(min(left, 1_000), 1))
        read, read_cpu = time.perf_counter() - began, time.process_time() - cpu
    size = sum(path.stat().st_size for path in (kafka.directory / "data" / f"{topic.name}-0").glob("*.log"))
    return {
        "codec": codec,
        "events in a transaction": at_once,
        "bytes on disk of an event": round(size / len(events)),
        "written, s": round(written, 2),
        "written, s of CPU": round(written_cpu, 2),
        "read, s": round(read, 2),
        "read, s of CPU": round(read_cpu, 2),
    }


def main() -> None:
    events = records()
    with TemporaryDirectory() as name, Kafka(Path(name) / "kafka").start() as kafka:
        for _, at_once, codec in itertools.product(range(ROUNDS), (AT_ONCE, 20), ("none", "lz4", "zstd")):
            print(json.dumps(measure(kafka, codec, at_once, events)), flush=True)


if __name__ == "__main__":
    main()
