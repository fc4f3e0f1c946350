"""Tests get logs on the real broker here, each with topics of its own."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from infra.kafka.command_queue import REPLY_TO, KafkaCommandQueue, KafkaTurn
from infra.kafka.connection import Connection
from infra.kafka.event_log import KafkaEventLog
from infra.kafka.topics import create_topics
from infra.master_key import MasterKey
from schemas.envelope import TenantId
from schemas.partitioning import partition_of
from schemas.payload import schema_files
from schemas.sealed import KEY_BYTES
from streams.ports import Submission
from streams.topics import Topics
from streams.write.messages import encode_submission

PARTITIONS = 3
SCHEMA_IDS = {(type_, version): id_ for id_, (type_, version, _) in enumerate(schema_files(), 1)}

MASTER_KEY = "0b" * KEY_BYTES

_NUMBERS = count(1)


def master_key_file(folder: Path) -> str:
    """Write the master key of all tests into a folder and return where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "master.key"
    file.touch(mode=0o600)
    file.write_text(MASTER_KEY)
    return str(file)


class Cluster:
    """Topics on a broker, and how they are reached."""

    def __init__(self, bootstrap: str, *, partitions: int = PARTITIONS) -> None:
        self.bootstrap = bootstrap
        self.connection = Connection(bootstrap)
        self.topics = Topics(f"test-{os.getpid()}-{next(_NUMBERS)}", partitions)
        create_topics(self.connection.admin(), self.topics, replication=1)

    @property
    def home(self) -> int:
        """Return the partition of the tenant acme."""
        return partition_of(TenantId("acme"), self.topics.partitions)

    def send(self, *submissions: Submission, reply_to: str | None = None) -> None:
        """Put commands into their partitions, as a gateway does."""
        for submission in submissions:
            self.send_raw(encode_submission(submission), partition_of(submission.tenant_id, PARTITIONS), reply_to)

    def send_raw(self, raw: bytes | None, partition: int, reply_to: str | None = None) -> None:
        # the broker takes messages that are a little larger than what our own clients send
        producer = self.connection.producer(message_max_bytes=1_048_000)
        headers: list[tuple[str, str | bytes | None]] = [] if reply_to is None else [(REPLY_TO, reply_to)]
        producer.produce(self.topics.commands, raw, "acme", partition, headers=headers)
        producer.flush()

    def open(self, folder: Path, name: str = "writer", *, partitions: int | None = None) -> KafkaEventLog:
        """Open a worker's log and wait until it owns its partitions, all of them if no number is given."""
        log = self.opened(folder, name)
        own(log, self.topics.partitions if partitions is None else partitions)
        return log

    def opened(self, folder: Path, name: str = "writer") -> KafkaEventLog:
        """Open a worker's log, which owns nothing yet."""
        master = MasterKey(bytes.fromhex(MASTER_KEY))
        return KafkaEventLog(
            self.connection, self.topics, schema_ids=SCHEMA_IDS, folder=folder, name=name, master=master
        )


def own(log: KafkaEventLog, partitions: int) -> None:
    """Let a log take over until it owns so many partitions."""
    until(lambda: not waiting(log) and len(log.owned) == partitions, 60)


def waiting(log: KafkaEventLog, *, limit: int = 1, timeout_s: float = 0.05) -> int:
    """Return how many commands come in time, and give them back."""
    with KafkaCommandQueue(log).take(limit=limit, timeout_s=timeout_s) as turn:
        return len(turn.incoming)


@contextmanager
def taken(log: KafkaEventLog) -> Iterator[KafkaTurn]:
    """Hold the first turn in which there are commands."""
    deadline = time.monotonic() + 30
    while True:
        with KafkaCommandQueue(log).take(limit=10, timeout_s=0.1) as turn:
            if turn.incoming:
                yield turn
                return
        assert time.monotonic() < deadline, "no command came in time"


def until(holds: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.01)
