"""Workers as processes on the real broker: killed, paused and woken, the broker restarted; nothing is lost."""

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.kafka.command_gate import KafkaCommandGate
from infra.kafka.log_reader import KafkaLogReader
from infra.migrate import SCHEMA_IDS as IDS_FILE
from infra.migrate import schema_registry
from infra.settings import Settings
from schemas.envelope import Envelope, Topic
from streams.ports import LogUnavailable, Overloaded, Reply, Submission
from tests.cluster import PARTITIONS, Cluster, until
from tests.infra.cluster_process import ClusterProcess
from tests.streams.kit import accepted, register, register_tenant, tag

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka
    from infra.engines.registry import Registry

TENANTS = ("acme", "bolt", "t3", "t4")
CALLERS = 16


@pytest.fixture
def cluster(own_kafka: "Kafka") -> Cluster:
    return Cluster(own_kafka.bootstrap)


@pytest.fixture
def workers(cluster: Cluster, own_registry: "Registry", tmp_path: Path) -> Iterator[list[ClusterProcess]]:
    found = []
    for name in ("one", "other"):
        worker = ClusterProcess("worker commands", cluster, own_registry.url, tmp_path / name)
        schema_registry(Settings(cluster.bootstrap, own_registry.url, worker.folder, cluster.topics)).register()
        found.append(worker)
    yield found
    for worker in found:
        worker.close()


class History:
    """What callers sent and were told, and whether the log says the same."""

    def __init__(self, gate: KafkaCommandGate) -> None:
        self._gate = gate
        self.replies: dict[tuple[str, str], Reply] = {}
        self.stopping = False

    async def call(self, submission: Submission) -> Reply:
        """Send a command until it is answered, as a client does, under the same id."""
        while True:
            try:
                reply = await self._gate.execute(submission)
            except (LogUnavailable, Overloaded):
                await asyncio.sleep(0.05)
            else:
                self.replies[submission.tenant_id, submission.command_id] = reply
                return reply

    async def prepare(self) -> None:
        for tenant in TENANTS:
            await self.call(register_tenant(tenant))
        await asyncio.gather(*(self.call(register(f"web-{n}", tenant=TENANTS[n % 4])) for n in range(CALLERS)))

    async def caller(self, n: int) -> None:
        """Tag a device, again and again, each time from the version it has."""
        version, turn = 1, 0
        while not self.stopping:
            turn += 1
            reply = await self.call(tag(f"web-{n}", f"{turn}", tenant=TENANTS[n % 4], expected=version))
            assert accepted(reply), reply
            version = reply.version

    async def under_load(self, disturb: Callable[[], Awaitable[None]]) -> None:
        await self.prepare()
        callers = [asyncio.create_task(self.caller(n)) for n in range(CALLERS)]
        await disturb()
        await asyncio.sleep(1)
        self.stopping = True
        await asyncio.gather(*callers)

    def check(self, cluster: Cluster) -> None:
        caused: Counter[tuple[str, str]] = Counter()
        versions: Counter[tuple[str, str]] = Counter()
        ids: set[str] = set()
        with closing(KafkaLogReader(cluster.connection, cluster.topics)) as reader:
            for partition in range(PARTITIONS):
                entries = reader.read(Topic.EVENTS, partition, after=0, limit=1_000_000)
                assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
                for entry in entries:
                    assert isinstance(entry, Envelope)
                    versions[entry.key] += 1
                    assert entry.version == versions[entry.key]
                    caused[entry.tenant_id, entry.command_id] += 1
                    ids.add(entry.event_id)
        assert caused == {key: len(reply.events) for key, reply in self.replies.items() if reply.events}
        assert ids == {event.event_id for reply in self.replies.values() for event in reply.events}


def run(cluster: Cluster, disturb: Callable[[], Awaitable[None]]) -> History:
    with closing(KafkaCommandGate(cluster.connection, cluster.topics, timeout_s=5)) as gate:
        history = History(gate)
        asyncio.run(history.under_load(disturb))
    history.check(cluster)
    assert len(history.replies) > 100
    return history


def test_a_worker_killed_in_the_middle_is_replaced_and_nothing_is_lost_or_doubled(
    cluster: Cluster, workers: list[ClusterProcess]
) -> None:
    for worker in workers:
        worker.run()

    async def kill() -> None:
        for n in range(4):
            await asyncio.sleep(1.5)
            workers[n % 2].kill()
            await asyncio.sleep(0.5)
            workers[n % 2].run()
        await asyncio.sleep(8)

    run(cluster, kill)
    assert [worker.ends for worker in workers] == [[-9, -9], [-9, -9]]


def test_a_worker_paused_for_longer_than_its_session_changes_nothing_when_it_wakes_up(
    cluster: Cluster, workers: list[ClusterProcess]
) -> None:
    workers[0].run()

    async def pause() -> None:
        await asyncio.sleep(1)
        workers[0].send(signal.SIGSTOP)
        workers[1].run()
        await asyncio.sleep(12)
        workers[0].send(signal.SIGCONT)
        await asyncio.sleep(4)
        workers[0].run()
        await asyncio.sleep(4)

    run(cluster, pause)


def test_a_broker_that_is_restarted_is_found_again(
    cluster: Cluster, workers: list[ClusterProcess], own_kafka: "Kafka"
) -> None:
    workers[0].run()

    async def restart() -> None:
        await asyncio.sleep(2)
        await asyncio.to_thread(own_kafka.kill)
        await asyncio.to_thread(own_kafka.start)
        for _ in range(20):
            await asyncio.sleep(0.5)
            workers[0].run()

    run(cluster, restart)


def test_a_supervised_worker_that_may_not_write_any_more_is_started_again_until_it_is_told_to_stop(
    cluster: Cluster, workers: list[ClusterProcess], own_registry: "Registry"
) -> None:
    folder, taken_over = workers[0].folder, f"partition {cluster.home} taken over"
    with closing(ClusterProcess("worker commands --supervise", cluster, own_registry.url, folder)) as supervised:
        supervised.run()
        until(lambda: taken_over in supervised.said(), 30)
        name = (folder / "writers" / "0" / "name").read_text()
        for n in range(2):
            id_ = f"{cluster.topics.prefix}.writer-{name}-{n}"
            cluster.connection.producer(transactional_id=id_).init_transactions(30)
        with closing(KafkaCommandGate(cluster.connection, cluster.topics, timeout_s=60)) as gate:
            assert accepted(asyncio.run(gate.execute(register_tenant("acme"))))
        assert "ended with status 3" in supervised.said()
        assert supervised.said().count(taken_over) == 2
        supervised.send(signal.SIGTERM)
        assert supervised.wait(30) == 0
        assert "given up" in supervised.said()


def test_a_worker_starts_while_the_registry_is_away(
    cluster: Cluster, workers: list[ClusterProcess], own_registry: "Registry"
) -> None:
    own_registry.pause()
    try:
        workers[0].run()
        until(lambda: f"partition {cluster.home} taken over" in workers[0].said(), 30)
    finally:
        own_registry.resume()


def test_a_worker_that_was_told_to_stop_ends_in_order_and_keeps_its_state(
    cluster: Cluster, workers: list[ClusterProcess], tmp_path: Path
) -> None:
    workers[0].run()

    async def nothing() -> None:
        await asyncio.sleep(1)

    run(cluster, nothing)
    workers[0].send(signal.SIGTERM)
    until(lambda: "given up" in workers[0].said(), 30)
    assert (tmp_path / "one" / IDS_FILE).exists()


def test_a_worker_without_topics_says_what_to_run(cluster: Cluster, own_registry: "Registry", tmp_path: Path) -> None:
    missing = Cluster.__new__(Cluster)
    missing.bootstrap, missing.topics = cluster.bootstrap, cluster.topics._replace(prefix="nothing")
    worker = ClusterProcess("worker commands", missing, own_registry.url, tmp_path)
    worker.run()
    until(lambda: "factline migrate" in worker.said(), 30)
    worker.close()
