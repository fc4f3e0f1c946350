"""The batch transport on a real broker: workers are killed, stopped, moved; no number is lost, none has two effects."""

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from infra.engines.kafka import Kafka
from streams.faust.batch_agent import UNEXPECTED
from tests.streams.faust.kafka_topics import NumberedTopic
from tests.waiting import eventually

WAIT_S = 60


class Workers:
    """Processes that carry one topic into one SQLite file."""

    def __init__(self, topic: NumberedTopic, folder: Path) -> None:
        self.topic = topic
        self.sink = folder / "sink.sqlite"
        self.running: list[subprocess.Popen[bytes]] = []
        self._started = 0

    def start(self, *, fails: float = 0.0, slow_s: float = 0.0, **limits: Any) -> subprocess.Popen[bytes]:
        self._started += 1
        told = {
            "name": str(self._started),
            "bootstrap": self.topic.bootstrap,
            "topic": self.topic.name,
            "group": self.topic.group,
            "sink": str(self.sink),
            "fails": fails,
            "slow_s": slow_s,
            "limits": limits or {"batch_records": 500},
        }
        with self.sink.with_suffix(f".{self._started}.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "tests.streams.faust.batch_worker", json.dumps(told)], stderr=log
            )
        self.running.append(worker)
        return worker

    def end(self, worker: subprocess.Popen[bytes], number: signal.Signals) -> int:
        worker.send_signal(number)
        self.running.remove(worker)
        return worker.wait(WAIT_S)

    def close(self) -> None:
        for worker in self.running:
            worker.kill()
            worker.wait()

    def count(self, question: str) -> int:
        if not self.sink.exists():
            return 0
        with closing(sqlite3.connect(self.sink, timeout=WAIT_S)) as db:
            try:
                return int(db.execute(question).fetchone()[0] or 0)
            except sqlite3.OperationalError:
                return 0

    @property
    def effects(self) -> int:
        return self.count("SELECT COUNT(*) FROM effects")

    @property
    def delivered(self) -> int:
        return self.count("SELECT SUM(records) FROM deliveries")

    def wait_for(self, effects: int) -> None:
        def reached() -> bool:
            assert all(worker.poll() is None for worker in self.running), self.logs()
            return self.effects >= effects

        eventually(reached, lambda: f"{self.effects} of {effects}\n{self.logs()}")

    def logs(self) -> str:
        return "\n".join(path.read_text()[-3000:] for path in sorted(self.sink.parent.glob("*.log")))

    def check(self) -> None:
        """Every number had its effect, once, in its order."""
        self.wait_for(self.topic.total)
        with closing(sqlite3.connect(self.sink)) as db:
            assert db.execute("SELECT what FROM faults").fetchall() == []
            found: dict[int, list[int]] = {}
            for partition, number in db.execute("SELECT partition, number FROM effects ORDER BY rowid"):
                found.setdefault(partition, []).append(number)
        assert found == {partition: list(range(1, last + 1)) for partition, last in self.topic.written.items()}

    def check_committed(self) -> None:
        """The group stands at the end of every partition, behind the markers there."""
        eventually(lambda: self.topic.committed() == self.topic.ends(), lambda: f"{self.topic.committed()}")


@pytest.fixture
def workers(own_kafka: Kafka, tmp_path: Path) -> Iterator[Workers]:
    running = Workers(NumberedTopic(own_kafka.bootstrap, partitions=4), tmp_path)
    yield running
    running.close()


def test_records_of_committed_transactions_arrive_once_in_order_and_are_committed_to_the_end(workers: Workers) -> None:
    workers.topic.abort(50).write(3_000).abort(50).write(100).abort(1)
    workers.start()
    workers.check()
    workers.check_committed()
    assert workers.delivered == workers.topic.total
    # markers alone: nothing is delivered, and the group moves on
    workers.topic.abort(3)
    workers.check_committed()
    workers.topic.write(10)
    workers.check()
    assert workers.delivered == workers.topic.total


def test_stopped_during_a_write_finishes_and_commits_it(workers: Workers) -> None:
    workers.topic.write(2_000)
    worker = workers.start(slow_s=0.4, batch_records=100)
    workers.wait_for(300)
    assert workers.end(worker, signal.SIGTERM) == 0, workers.logs()
    workers.start()
    workers.check()
    assert workers.delivered == workers.topic.total


def test_workers_come_go_and_are_killed_under_load_and_nothing_is_lost_or_doubled(workers: Workers) -> None:
    chance = random.Random(5)
    workers.topic.write(2_000)
    workers.start(fails=0.05, slow_s=0.02, batch_records=100)
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        workers.start(fails=0.05, slow_s=0.02, batch_records=100)
        workers.topic.write(1_000)
        time.sleep(chance.uniform(2, 4))
        workers.end(workers.running[0], number)
    workers.topic.write(500)
    workers.check()
    workers.check_committed()
    assert workers.delivered < 1.3 * workers.topic.total


def test_broker_restarts_and_workers_go_on(own_kafka: Kafka, workers: Workers) -> None:
    workers.topic.write(2_000)
    worker = workers.start(slow_s=0.05, batch_records=100)
    workers.wait_for(500)
    own_kafka.restart()
    workers.topic.write(500)
    workers.check()
    workers.check_committed()
    assert worker.poll() is None


def test_sink_that_is_down_is_waited_for_and_nothing_is_committed_meanwhile(workers: Workers) -> None:
    down = workers.sink.with_suffix(".down")
    workers.topic.write(500)
    worker = workers.start(batch_records=100)
    workers.check()
    workers.check_committed()
    before = workers.topic.committed()
    down.touch()
    workers.topic.write(500)
    time.sleep(3)
    assert workers.topic.committed() == before
    # a rebalance in the meantime is not held up by the batch that cannot be written
    other = workers.start(batch_records=100)
    time.sleep(8)
    assert worker.poll() is None
    assert other.poll() is None
    down.unlink()
    workers.check()
    workers.check_committed()


def test_sink_that_lost_what_the_group_committed_gets_it_again(workers: Workers) -> None:
    workers.topic.write(500)
    worker = workers.start()
    workers.check()
    workers.check_committed()
    workers.end(worker, signal.SIGTERM)
    workers.sink.unlink()
    workers.start()
    workers.check()
    workers.check_committed()


def test_what_nobody_foresaw_ends_the_process_and_is_not_committed(workers: Workers) -> None:
    workers.topic.write(10)
    workers.topic._producer.begin_transaction()
    workers.topic._produce(0, "no number")
    workers.topic._producer.commit_transaction()
    worker = workers.start()
    assert worker.wait(WAIT_S) == UNEXPECTED
    assert workers.topic.committed().get(0, 0) == 0
