"""The read side runs here as processes over real engines, with what can be seen of their stores.

ClickHouse is infra/engines/clickhouse_front.py: the real engine behind a stand-in for a server's HTTP interface.
"""

import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx

from infra.engines.cassandra import Cassandra
from infra.engines.clickhouse import ClickHouseFront
from infra.engines.engine import Engine
from infra.engines.kafka import Kafka
from infra.engines.mongo import Mongo
from infra.kafka.log_reader import KafkaLogReader
from infra.settings import Settings
from infra.sqlite.scratch import scratch
from infra.stores import migrate_stores, open_stores
from projections.catalog import of_role
from projections.rows import Role, View
from projections.stores import StoreUnavailable
from schemas.envelope import Position, Topic
from streams.ports import Stores, SystemClock
from streams.project.distributed_operations import DistributedOperations
from tests.chaos.deployment import Member, cli
from tests.cluster import Cluster

PARTITIONS = 4
_AGAIN_S = 1.0
_AWAY = "cassandra.cluster.NoHostAvailable"  # its driver logs each try with a traceback


class Engines(NamedTuple):
    """What the read side stands on; all of it runs."""

    kafka: Kafka
    cassandra: Cassandra
    mongo: Mongo
    clickhouse: ClickHouseFront

    def of(self, role: Role) -> Engine:
        return {Role.TIMELINE: self.cassandra, Role.DOCUMENTS: self.mongo, Role.ANALYTICS: self.clickhouse}[role]


@contextmanager
def running(folder: Path) -> Iterator[Engines]:
    """Start all engines. Raises: ToolMissing; EngineFailed."""
    with ExitStack() as stack:
        engines = Engines(
            Kafka(folder / "kafka"),
            Cassandra(folder / "cassandra"),
            Mongo(folder / "mongo"),
            ClickHouseFront(folder / "clickhouse"),
        )
        for engine in engines:
            stack.enter_context(engine).launch()
        for engine in engines:
            engine.wait_ready()
        yield engines


def views_of(role: Role, topic: Topic | None = None) -> list[View]:
    return [View(one.name, 1) for one in of_role(role) if topic is None or topic in one.topics]


class Worker(Member):
    """A projecting worker as a process."""

    def __init__(self, role: Role, n: int, side: "ReadSide", module: str) -> None:
        self.role = role
        super().__init__(f"{role.value}-{n}", ["worker", role.value], side.environment, side.folder, module=module)


class ReadSide:
    """A log with stores of its own, and the workers between them."""

    def __init__(self, engines: Engines, folder: Path) -> None:
        self.engines = engines
        self.cluster = Cluster(engines.kafka.bootstrap, partitions=PARTITIONS)
        # the session's engines have databases of other tests too
        self.name = f"chaos_{self.cluster.topics.prefix.replace('-', '_')}"
        self.folder = folder / self.name
        self.folder.mkdir(parents=True)
        url = engines.clickhouse.url
        httpx.post(url, content=f"CREATE DATABASE IF NOT EXISTS {self.name}", timeout=30).raise_for_status()
        self.environment = {
            "FACTLINE_KAFKA_BOOTSTRAP": engines.kafka.bootstrap,
            "FACTLINE_TOPIC_PREFIX": self.cluster.topics.prefix,
            "FACTLINE_PARTITIONS": str(PARTITIONS),
            "FACTLINE_CASSANDRA_CONTACT_POINTS": f"127.0.0.1:{engines.cassandra.port}",
            "FACTLINE_CASSANDRA_KEYSPACE": self.name,
            "FACTLINE_CLICKHOUSE_URL": f"{url.replace('http:', 'clickhouse:')}/{self.name}",
            "FACTLINE_MONGO_URL": engines.mongo.url,
            "FACTLINE_MONGO_DATABASE": self.name,
            "DATA_DIR": str(self.folder),
        }
        self.settings = Settings.from_environment(self.environment)
        migrate_stores(self.settings)

    @contextmanager
    def workers(self, each: int = 1, *, module: str = "infra.cli.main") -> Iterator[list[Worker]]:
        """Run so many workers of each role, and start again those that end by themselves."""
        workers: list[Worker] = []
        stopping = threading.Event()

        def keep() -> None:
            while not stopping.wait(0.2):
                for worker in workers:
                    worker.keep()

        keeper = threading.Thread(target=keep)
        try:
            workers += [Worker(role, n, self, module) for role in Role for n in range(each)]
            keeper.start()
            yield workers
        finally:
            stopping.set()
            if keeper.ident:
                keeper.join()
            for worker in workers:
                worker.stop()

    def command(self, *arguments: str) -> list[str]:
        return ["env", *(f"{key}={value}" for key, value in self.environment.items()), *cli(*arguments)]

    @contextmanager
    def operations(self) -> Iterator[DistributedOperations]:
        """Act as `factline … --profile distributed` does."""
        with ExitStack() as opened:
            log = opened.enter_context(closing(KafkaLogReader(self.cluster.connection, self.cluster.topics)))
            stores = {role: opened.enter_context(open_stores(role, self.settings)) for role in Role}
            yield DistributedOperations(
                stores, log=log, clock=SystemClock(), scratch=partial(scratch, self.folder), answer_s=30.0
            )

    def stores(self, role: Role) -> AbstractContextManager[Stores]:
        return open_stores(role, self.settings)

    @contextmanager
    def watched(self, every_s: float, topic: Topic | None = None) -> Iterator[Mapping[Role, "Watch"]]:
        """Watch the checkpoints of all views, or of those that read one topic."""
        with ExitStack() as stack:
            yield {
                role: stack.enter_context(Watch(role, views_of(role, topic), self.settings, every_s)) for role in Role
            }


class Watch:
    """Reads every checkpoint of a role, again and again: when was it where, and did it ever go back?

    Shape: `reached` has the time of each advance; `backwards` says what must not be; `missed` counts looks at a store
    that did not answer.
    """

    def __init__(self, role: Role, views: Sequence[View], settings: Settings, every_s: float) -> None:
        self.role = role
        self.looks = self.missed = 0
        self.backwards: list[str] = []
        self.reached: dict[tuple[View, Topic, int], list[tuple[int, float]]] = defaultdict(list)
        self._views = views
        self._settings = settings
        self._every_s = every_s
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._failures:
            raise self._failures[0]

    def _run(self) -> None:
        try:
            with open_stores(self.role, self._settings) as stores:
                while not self._stop.wait(self._every_s):
                    for view in self._views:
                        try:
                            self._look(view, stores.views.checkpoints(view))
                        except StoreUnavailable:
                            self.missed += 1
                            self._stop.wait(_AGAIN_S)
                            break
        except BaseException as error:
            self._failures.append(error)

    def _look(self, view: View, checkpoints: Sequence[Any]) -> None:
        now = time.monotonic()
        self.looks += 1
        there = {(view, at.topic, at.partition): at.position for at in checkpoints}
        for place in {place for place in list(self.reached) if place[0] == view} | there.keys():
            seen, position = self.reached[place], there.get(place, 0)
            before = seen[-1][0] if seen else 0
            if position < before:
                self.backwards.append(f"{view.table} {place[1].value}/{place[2]} from {before} to {position}")
            if position != before:
                seen.append((position, now))

    def has(self, position: Position) -> bool:
        """Tell whether all views that read the topic were seen past a position."""
        return self.seen_at(position) is not None

    def seen_at(self, position: Position) -> float | None:
        """Return when the last of the views was first seen past a position."""
        times: list[float] = []
        for view in views_of(self.role, position.topic):
            seen = self.reached.get((view, position.topic, position.partition), [])
            at = bisect_left(seen, (position.position, 0.0))
            if at == len(seen):
                return None
            times.append(seen[at][1])
        return max(times, default=0.0)


def wait_until_read(watches: Mapping[Role, Watch], ends: Mapping[tuple[Topic, int], int], patience_s: float) -> None:
    """Wait until every view was seen at the ends of the log. Units: `patience_s` is from one advance to the next."""
    wanted = [Position(*place, end) for place, end in ends.items() if end]
    before, deadline = -1, time.monotonic() + patience_s
    while not all(watch.has(position) for watch in watches.values() for position in wanted):
        advances = sum(len(seen) for watch in watches.values() for seen in list(watch.reached.values()))
        if advances != before:
            before, deadline = advances, time.monotonic() + patience_s
        if time.monotonic() > deadline:
            behind = [
                f"{role.value} {position}"
                for role, watch in watches.items()
                for position in wanted
                if not watch.has(position)
            ]
            raise AssertionError(f"no view has moved for {patience_s} s, and these are not read: {behind}")
        time.sleep(0.05)


def wait_until_seen(watches: Mapping[Role, Watch], positions: Sequence[Position], patience_s: float) -> None:
    ends: dict[tuple[Topic, int], int] = {}
    for topic, partition, position in positions:
        ends[topic, partition] = max(position, ends.get((topic, partition), 0))
    wait_until_read(watches, ends, patience_s)


def unexpected(workers: Sequence[Worker]) -> list[str]:
    """Return the last line of each traceback in the workers' logs that is not about a store that is away."""
    found = []
    for worker in workers:
        with suppress(FileNotFoundError):
            for part in worker.log.read_text(errors="replace").split("Traceback")[1:]:
                last = next((line for line in part.splitlines()[1:] if line and not line[0].isspace()), "")
                if not last.startswith(_AWAY):
                    found.append(f"{worker.name}: {last[:300]}")
    return found
