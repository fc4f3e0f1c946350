"""This measures the distributed write side, on a real broker that it starts."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from confluent_kafka import TopicPartition
from uuid_utils import uuid7

from domain.fleet.device import RegisterDevice, TagDevice
from domain.message import Command
from infra.collector import settle_collector
from infra.engines.kafka import Kafka
from infra.kafka.command_gate import KafkaCommandGate
from infra.kafka.command_queue import REPLY_TO, KafkaCommandQueue
from infra.migrate import SCHEMA_IDS as IDS_FILE
from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import Envelope, StreamId, TenantId, Topic
from schemas.kafka_record import KafkaRecord, encode_kafka
from schemas.partitioning import partition_of
from streams.ports import Batch, Submission, SystemClock
from streams.write.messages import encode_reply, encode_submission
from streams.write.worker import MAX_BATCH, CommandWorker
from streams.write.writer import Writer
from tests.benchmarks.result import Result
from tests.cluster import SCHEMA_IDS, Cluster, master_key_file, until
from tests.contracts.event_log import events
from tests.streams.kit import register_tenant, submission

PARTITIONS = 4
TENANTS = 20
BACKLOG = 100_000
RATE = 1_000
SECONDS = 10
WARM_S = 5
ROUNDS = 3
LONG_LOG = 1_000_000


def run(say: Callable[[str], None]) -> Iterator[Result]:
    """Measure everything; results come as they are there."""
    with TemporaryDirectory() as folder, Kafka(Path(folder) / "kafka").start() as kafka:
        say("backlog of commands")
        bare = bare_loop(Cluster(kafka.bootstrap, partitions=PARTITIONS))
        decided = backlog(Cluster(kafka.bootstrap, partitions=PARTITIONS), Path(folder) / "backlog")
        yield Result("commands decided and committed by one worker, backlog", decided, "/s", bare, 15_000)
        yield Result("… against a bare consume-produce-commit loop", decided, "/s", bare, 0.5, of_ratio=True)
        say("answer times")
        rounds = [
            answer_times(Cluster(kafka.bootstrap, partitions=PARTITIONS), Path(folder) / f"answers-{n}")
            for n in range(ROUNDS)
        ]
        p50, p99 = map(median, zip(*rounds, strict=True))
        yield Result("answer time at 1,000 commands/s through the gate, p50", p50, "ms", floor=25, most=True)
        yield Result("answer time at 1,000 commands/s through the gate, p99", p99, "ms", floor=75, most=True)
        say("take-over of 1,000,000 events")
        seconds, megabytes = take_over(Cluster(kafka.bootstrap, partitions=PARTITIONS), Path(folder) / "long")
        name = "take-over of 1,000,000 events by a worker with nothing on its disk"
        yield Result(name, seconds, "s", floor=10, most=True)
        yield Result("memory of a worker at 1,000,000 streams", megabytes, "MB", floor=400, most=True)


def backlog(cluster: Cluster, folder: Path) -> float:
    """Return the commands per second that one worker decides and commits while more wait than it can take."""
    _send_backlog(cluster)
    settle_collector()
    with closing(cluster.open(folder, partitions=0)) as log:
        worker = CommandWorker(KafkaCommandQueue(log), Writer(log, SystemClock()))
        while not (done := worker.turn(0.05)):
            pass
        began, first = time.perf_counter(), done
        while done < BACKLOG:
            done += worker.turn(0.5)
        return (done - first) / (time.perf_counter() - began)


def bare_loop(cluster: Cluster) -> float:
    """Return the commands per second that a loop moves which decides nothing: the same messages, the same commits."""
    _send_backlog(cluster)
    event, reply = _a_pair()
    producer = cluster.connection.producer(
        transactional_id="bare", linger_ms=5, retry_backoff_ms=5, compression_type="lz4"
    )
    producer.init_transactions(30)
    consumer = cluster.connection.consumer(cluster.topics.writers, auto_offset_reset="earliest")
    consumer.subscribe([cluster.topics.commands])
    began, done = 0.0, 0
    while done < BACKLOG:
        first = consumer.poll(0.5)
        if first is None:
            continue
        messages = [first, *consumer.consume(MAX_BATCH - 1, 0)]
        began = began or time.perf_counter()
        producer.begin_transaction()
        offsets: dict[int, int] = {}
        for message in messages:
            partition: Any = message.partition()
            offsets[partition] = (message.offset() or 0) + 1
            producer.produce(
                cluster.topics.events,
                event.value,
                event.key,
                partition,
                headers=event.headers_from("bench"),
            )
            producer.produce(cluster.topics.replies, reply, message.key(), partition)
        producer.flush()
        go_on = [TopicPartition(cluster.topics.commands, partition, offset) for partition, offset in offsets.items()]
        producer.send_offsets_to_transaction(go_on, consumer.consumer_group_metadata())
        producer.commit_transaction()
        done += len(messages)
    consumer.close()
    return done / (time.perf_counter() - began)


def answer_times(cluster: Cluster, folder: Path) -> tuple[float, float]:
    """Return p50 and p99, in ms, of commands that arrive evenly."""
    with worker(cluster, folder), closing(KafkaCommandGate(cluster.connection, cluster.topics)) as gate:
        times = asyncio.run(_answer_times(gate))
    return times[len(times) // 2] * 1000, times[len(times) * 99 // 100] * 1000


async def _answer_times(gate: KafkaCommandGate) -> list[float]:
    await asyncio.gather(*(gate.execute(command) for command in tenants()))
    times: list[float] = []

    async def ask(command: Submission) -> None:
        began = time.perf_counter()
        reply = await gate.execute(command)
        assert reply.outcome == "accepted", reply
        times.append(time.perf_counter() - began)

    await steadily(ask)
    return sorted(times[RATE * WARM_S :])


async def steadily(ask: Callable[[Submission], Awaitable[None]]) -> None:
    """Ask for ten seconds, evenly, one command every millisecond, whatever the answers do."""
    began, sent, asking = time.perf_counter(), 0, []
    while sent < RATE * SECONDS:
        due = min(RATE * SECONDS, int((time.perf_counter() - began) * RATE))
        asking += [asyncio.ensure_future(ask(command)) for command in _commands(sent, due)]
        sent = due
        await asyncio.sleep(0.001)
    await asyncio.gather(*asking)


def take_over(cluster: Cluster, folder: Path) -> tuple[float, float]:
    """Return the seconds until a worker that was given a long log owns it, and its memory after work on it, in MB."""
    with closing(cluster.open(folder / "first")) as log:
        for batch in range(LONG_LOG // 5_000):
            tenant = TenantId(f"t{batch % TENANTS}")
            log.append(Batch([_of_its_own_stream(event) for event in events(log, tenant, "x", 5_000)], ()))
    with worker(cluster, folder / "second") as process:
        said = (folder / "second" / "log").read_text()
        times = re.findall(r"^(\S+ \S+) INFO .*partition \d+ (?:was given|taken over)", said, re.MULTILINE)
        seconds = (datetime.fromisoformat(times[-1]) - datetime.fromisoformat(times[0])).total_seconds()
        with closing(KafkaCommandGate(cluster.connection, cluster.topics)) as gate:
            asyncio.run(_all_at_once(gate))
        return seconds, psutil.Process(process.pid).memory_info().rss / 1e6


def _of_its_own_stream(event: Envelope) -> Envelope:
    return event._replace(stream=StreamId(f"device-{event.position}"), version=1, command_id=event.event_id)


async def _all_at_once(gate: KafkaCommandGate) -> None:
    await asyncio.gather(*(gate.execute(command) for command in tenants()))
    for after in range(0, 50_000, 5_000):
        await asyncio.gather(*(gate.execute(command) for command in _commands(after, after + 5_000)))


@contextmanager
def worker(cluster: Cluster, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a worker as a process; it has its partitions when this begins."""
    folder.mkdir(parents=True)
    ids = [[*key, id_] for key, id_ in SCHEMA_IDS.items()]
    (folder / IDS_FILE).write_text(json.dumps({"registry": "http://127.0.0.1:9", "ids": ids}))
    environment = {
        **os.environ,
        "FACTLINE_KAFKA_BOOTSTRAP": cluster.bootstrap,
        "FACTLINE_REGISTRY_URL": "http://127.0.0.1:9",
        "FACTLINE_TOPIC_PREFIX": cluster.topics.prefix,
        "FACTLINE_PARTITIONS": str(PARTITIONS),
        "FACTLINE_MASTER_KEY_FILE": master_key_file(folder),
        "DATA_DIR": str(folder),
    }
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "infra.cli.main", "worker", "commands"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        until(lambda: (folder / "log").read_text().count("taken over") == PARTITIONS, 120)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def tenants() -> list[Submission]:
    return [register_tenant(f"t{n}") for n in range(TENANTS)]


def _commands(after: int, until_: int) -> list[Submission]:
    """Return commands that are all accepted: of four to each device of each tenant the first registers it."""
    found = []
    for n in range(after, until_):
        device, tenant = f"d{n // (4 * TENANTS)}", f"t{n % TENANTS}"
        command: Command = TagDevice(device_id=device, key="room", value=str(n))
        if n // TENANTS % 4 == 0:
            command = RegisterDevice(device_id=device, hostname=f"{device}.example")
        found.append(submission(command, tenant=tenant, id_=str(uuid7())))
    return found


def _send_backlog(cluster: Cluster) -> None:
    producer = cluster.connection.producer(
        linger_ms=5, compression_type="lz4", queue_buffering_max_messages=BACKLOG * 2
    )
    for n, command in enumerate([*tenants(), *_commands(0, BACKLOG)]):
        partition = partition_of(command.tenant_id, PARTITIONS)
        headers: list[tuple[str, str | bytes | None]] = [(REPLY_TO, f"0|{'0' * 36}|{n}")]
        producer.produce(
            cluster.topics.commands, encode_submission(command), command.tenant_id, partition, headers=headers
        )
    producer.flush()


def _a_pair() -> tuple[KafkaRecord, bytes]:
    """Return an event and a reply as the worker writes them for most of the backlog."""
    with TemporaryDirectory() as folder, closing(SqliteEventLog(Path(folder))) as log:
        *_, reply = Writer(log, SystemClock()).write([*tenants(), *_commands(0, 2 * TENANTS)])
        entry = log.read(Topic.EVENTS, 0, after=log.end(Topic.EVENTS, 0) - 1, limit=1)[0]
    assert isinstance(entry, Envelope)
    return encode_kafka(entry, 1), encode_reply(reply)


if __name__ == "__main__":
    for result in run(print):
        print(result.as_json())
