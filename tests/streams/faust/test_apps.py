"""The projector on a real broker: events of Kafka in a view, poison aside, what it says of itself."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.engines.engine import free_ports
from infra.engines.kafka import Kafka
from infra.kafka.connection import Connection, high_watermarks, last_stable_offsets
from infra.kafka.log_reader import KafkaLogReader
from infra.kafka.topics import create_topics
from infra.sqlite.dead_letters import SqliteDeadLetters
from infra.sqlite.documents import SqliteDocuments
from infra.sqlite.scratch import scratch
from projections.catalog import of_role
from projections.rows import Document, Role, View
from schemas.envelope import Envelope, Position, StreamId, TenantId, Topic
from schemas.kafka_record import encode_kafka
from schemas.partitioning import partition_of
from streams.faust.batch_agent import UNEXPECTED
from streams.ports import Stores, SystemClock
from streams.project.distributed_operations import DistributedOperations
from streams.project.step import Step
from streams.project.verify import CannotCompare
from streams.topics import Topics
from tests.examples import envelope_of
from tests.examples.fleet import REGISTERED, TAGGED

DEVICES = View("devices", 1)
WAIT_S = 60


class Log:
    """Writes events as the command worker does: in transactions, their positions without a hole."""

    def __init__(self, kafka: Kafka, prefix: str) -> None:
        self.topics = Topics(prefix, 2)
        connection = Connection(kafka.bootstrap)
        self._admin = connection.admin()
        create_topics(self._admin, self.topics, replication=1)
        self._producer = connection.producer(transactional_id=prefix)
        self._producer.init_transactions()
        self._ends = [0, 0]

    def delete(self) -> None:
        """Delete the topics."""
        for future in self._admin.delete_topics([spec.name for spec in self.topics.specs()]).values():
            future.result(WAIT_S)
        deadline = time.monotonic() + WAIT_S
        while any(spec.name in self._admin.list_topics(timeout=10).topics for spec in self.topics.specs()):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def write(self, *events: Envelope, spoiled: bool = False) -> None:
        self._producer.begin_transaction()
        for event in events:
            partition = partition_of(event.tenant_id, self.topics.partitions)
            self._ends[partition] += 1
            record = encode_kafka(event._replace(position=self._ends[partition]), 1)
            value = b"spoiled" if spoiled else record.value
            self._producer.produce(
                self.topics.events, value, record.key, partition, headers=record.headers_from(self.topics.prefix)
            )
        self._producer.commit_transaction()
        self._wait_visible()

    def end(self, tenant: str) -> Position:
        partition = partition_of(TenantId(tenant), self.topics.partitions)
        return Position(Topic.EVENTS, partition, self._ends[partition])

    def _wait_visible(self) -> None:
        # a commit is answered before its markers are written: until then a reader of committed events is at the end
        deadline = time.monotonic() + WAIT_S
        while self._offsets(last_stable_offsets) != self._offsets(high_watermarks):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def _offsets(self, kind: Callable[..., dict[int, int]]) -> dict[int, int]:
        return kind(self._admin, self.topics.events, range(self.topics.partitions))


def registered(device: str, *, tenant: str = "acme") -> Envelope:
    return envelope_of(REGISTERED)._replace(tenant_id=TenantId(tenant), stream=StreamId(f"device-{device}"))


def tagged(device: str) -> Envelope:
    return envelope_of(TAGGED)._replace(stream=StreamId(f"device-{device}"), version=2)


class Projector:
    def __init__(self, kafka: Kafka, log: Log, folder: Path) -> None:
        self._documents = folder / "documents.sqlite"
        self._letters = folder / "dead_letters.sqlite"
        self._port = free_ports(["status"])["status"]
        self._command = [sys.executable, "-m", "tests.streams.faust.projecting_worker"]
        self._command += [kafka.bootstrap, log.topics.prefix, str(folder), str(self._port)]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command)

    def end(self, *, kill: bool = False) -> int:
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        return self.process.wait(WAIT_S)

    def get(self, path: str) -> httpx.Response | None:
        try:
            return httpx.get(f"http://127.0.0.1:{self._port}{path}")
        except httpx.TransportError:
            return None

    def wait_ready(self) -> None:
        """Wait until it is ready and has read everything."""
        self.wait_for(lambda answer: answer.status_code == 200 and answer.json()["lag"] == 0)

    def wait_for(self, wanted: Callable[[httpx.Response], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + WAIT_S
        while (answer := self.get("/ready")) is None or not wanted(answer):
            assert time.monotonic() < deadline, answer and answer.text
            assert self.process.poll() is None
            time.sleep(0.1)
        return dict(answer.json())

    def devices(self, tenant: str = "acme") -> dict[str, Document]:
        documents = SqliteDocuments(self._documents, of_role(Role.DOCUMENTS))
        found = {row.id: row for row in documents.scan(DEVICES, TenantId(tenant)) if isinstance(row, Document)}
        documents.close()
        return found

    def parked(self) -> list[tuple[str, int]]:
        letters = SqliteDeadLetters(self._letters)
        found: list[tuple[str, int]] = [(letter.stream, letter.attempts) for letter in letters.letters(DEVICES.table)]
        letters.close()
        return found


@pytest.fixture
def log(kafka: Kafka, tmp_path: Path) -> Log:
    return Log(kafka, f"app-{tmp_path.name}")


@pytest.fixture
def projector(kafka: Kafka, log: Log, tmp_path: Path) -> Iterator[Projector]:
    running = Projector(kafka, log, tmp_path)
    yield running
    running.process.kill()
    running.process.wait()


def test_events_of_all_partitions_reach_the_view_also_over_a_kill(log: Log, projector: Projector) -> None:
    log.write(*(registered(str(n), tenant=tenant) for tenant in ("acme", "bolt", "cord") for n in range(50)))
    projector.wait_ready()
    assert [len(projector.devices(tenant)) for tenant in ("acme", "bolt", "cord")] == [50, 50, 50]
    projector.end(kill=True)
    log.write(registered("after"), tagged("1"))
    projector.start()
    projector.wait_ready()
    assert len(projector.devices()) == 51
    assert projector.devices()["1"].fields["tag:site"] == "Berlin"
    assert projector.end() == 0


def test_undecodable_record_parks_its_stream_and_others_go_on(log: Log, projector: Projector) -> None:
    log.write(registered("1"))
    log.write(registered("2"), spoiled=True)
    log.write(tagged("2"), tagged("1"))
    projector.wait_ready()
    assert set(projector.devices()) == {"1"}
    assert projector.parked() == [("device-2", 1), ("device-2", 0)]


def test_store_that_does_not_answer_is_waited_for_with_503_and_visible_lag(
    log: Log, projector: Projector, tmp_path: Path
) -> None:
    log.write(registered("1"))
    projector.wait_ready()
    with closing(sqlite3.connect(tmp_path / "documents.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        log.write(registered("2"), registered("3"))
        waiting = projector.wait_for(lambda answer: answer.status_code == 503)
        assert waiting["problem"].startswith("waiting: ")
        assert waiting["lag"] >= 2
    projector.wait_ready()
    assert set(projector.devices()) == {"1", "2", "3"}
    assert projector.parked() == []


def test_view_that_is_new_to_the_role_is_read_from_the_start(log: Log, projector: Projector, tmp_path: Path) -> None:
    log.write(registered("1"), registered("2"))
    projector.wait_ready()
    projector.end()
    for path in tmp_path.glob("documents.sqlite*"):
        path.unlink()
    projector.start()
    projector.wait_ready()
    assert set(projector.devices()) == {"1", "2"}


@contextmanager
def operating(kafka: Kafka, log: Log, folder: Path) -> Iterator[DistributedOperations]:
    """Act from another process than the worker's."""
    projections = of_role(Role.DOCUMENTS)
    with (
        closing(SqliteDocuments(folder / "documents.sqlite", projections)) as documents,
        closing(SqliteDeadLetters(folder / "dead_letters.sqlite")) as letters,
        closing(KafkaLogReader(Connection(kafka.bootstrap), log.topics)) as reader,
    ):
        yield DistributedOperations(
            {Role.DOCUMENTS: Stores(documents, letters)},
            log=reader,
            clock=SystemClock(),
            scratch=partial(scratch, folder),
            # as the command line does: the first question opens the log
            answer_s=30.0,
            projections=projections,
        )


def ignore(_step: Step) -> None:
    pass


def test_worker_follows_a_switch_and_a_switch_back_and_loses_nothing(
    kafka: Kafka, log: Log, projector: Projector, tmp_path: Path
) -> None:
    log.write(*(registered(str(n)) for n in range(20)))
    projector.wait_ready()
    with operating(kafka, log, tmp_path) as operations:
        assert operations.rebuild("devices", ignore).table == "devices_v2"
        for rows, build, other in ((21, 2, 1), (22, 1, 2)):
            log.write(registered(f"under-{build}"), tagged(str(build)))
            assert operations.wait_for(["devices"], log.end("acme"), WAIT_S)
            assert operations.verify("devices", ignore)[:3] == (f"devices_v{build}", rows, 0)
            operations.switch("devices", other, ignore)
        assert projector.process.poll() is None
        # killed just before a switch that it has not noticed
        operations.switch("devices", 1, ignore)
        log.write(registered("last"))
        projector.end(kill=True)
        operations.switch("devices", 2, ignore)
        log.write(tagged("last"))
        projector.start()
        assert operations.wait_for(["devices"], log.end("acme"), WAIT_S)
        assert operations.verify("devices", ignore)[:3] == ("devices_v2", 23, 0)


def test_topic_that_is_made_anew_under_a_worker_stops_its_views_until_they_are_rebuilt(
    kafka: Kafka, log: Log, projector: Projector, tmp_path: Path
) -> None:
    log.write(*(registered(str(n)) for n in range(3)))
    projector.wait_ready()
    before = projector.devices()
    log.delete()
    # a log that is away is no log that was read to its end
    gone = projector.wait_for(lambda answer: answer.text.startswith('{"ready": false, "problem": "waiting: kafka'))
    assert gone["lag"] is None
    anew = Log(kafka, log.topics.prefix)
    # more than were read of the log before: what follows would be taken for its successors
    anew.write(*(registered(f"new-{n}") for n in range(20)))
    assert projector.process.wait(WAIT_S) == UNEXPECTED
    projector.start()
    stopped = projector.wait_for(lambda answer: "of another log" in answer.text)
    assert "devices stopped: devices_v1 has read events/" in stopped["problem"]
    assert not any(device.startswith("new-") for device in before)
    with operating(kafka, anew, tmp_path) as operations:
        states = {status.name: (status.state, status.error) for status in operations.projections()}
        assert states["devices"][0] == "stopped"
        assert "of another log" in (states["devices"][1] or "")
        assert "devices_v1 has read events/" in operations.health()["documents"]
        with pytest.raises(CannotCompare, match="of another log"):
            operations.verify("devices", ignore)
        assert operations.rebuild("devices", ignore).table == "devices_v2"
        anew.write(registered("last"))
        assert operations.wait_for(["devices"], anew.end("acme"), WAIT_S)
        assert operations.verify("devices", ignore)[:3] == ("devices_v2", 21, 0)
    others = projector.wait_for(lambda answer: answer.text.startswith('{"ready": false, "problem": "alerts stopped: '))
    assert "; devices stopped: " not in others["problem"]


def test_stream_that_an_operator_set_free_goes_on(kafka: Kafka, log: Log, projector: Projector, tmp_path: Path) -> None:
    log.write(registered("1"))
    log.write(registered("2"), spoiled=True)
    projector.wait_ready()
    assert projector.parked() == [("device-2", 1)]
    with operating(kafka, log, tmp_path) as operations:
        assert operations.retry_dead_letters("devices") == (0, 1)
        assert operations.discard_dead_letters("devices") == 1
        log.write(tagged("2"))
        assert operations.wait_for(["devices"], log.end("acme"), WAIT_S)
    assert projector.parked() == []
    assert projector.devices()["2"].fields["tag:site"] == "Berlin"


def test_metrics_tell_lag_by_partition_and_unknown_paths_are_not_found(log: Log, projector: Projector) -> None:
    log.write(registered("1"))
    projector.wait_ready()
    metrics = projector.get("/metrics")
    assert metrics is not None
    assert f'factline_worker_lag_events{{partition="0",topic="{log.topics.events}"}} 0.0' in metrics.text
    assert "factline_worker_ready 1.0" in metrics.text
    missing = projector.get("/")
    assert missing is not None
    assert missing.status_code == 404
