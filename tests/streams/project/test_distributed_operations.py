"""What an operator sees from outside the workers, told by two roles' stores that any process may open."""

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Self

import pytest

from domain.fleet.device import TagDevice
from infra.sqlite.dead_letters import SqliteDeadLetters
from infra.sqlite.documents import SqliteDocuments
from infra.sqlite.event_log import SqliteEventLog
from infra.sqlite.scratch import scratch
from infra.sqlite.timeline import SqliteTimeline
from projections.fleet import devices
from projections.history import stream_history
from projections.projection import Projection
from projections.rows import Role, Row, View
from projections.stores import Holder, StoreUnavailable
from schemas.envelope import Envelope, Position, TenantId, Topic
from streams.ports import LogIdentity, LogUnavailable, Stores, SystemClock, WorkerGroup
from streams.project import distributed_operations
from streams.project.asking import ANSWER_S
from streams.project.distributed_operations import DistributedOperations
from streams.project.local_runner import RoleRunner
from streams.project.run import ProjectionRun
from streams.project.same_log import AnotherLog
from streams.project.step import Step
from streams.project.verify import CannotCompare
from streams.project.view_jobs import UnknownProjection
from streams.write.writer import Writer
from tests.contracts.dead_letters import letter
from tests.streams.kit import register, submission

PROJECTIONS = (stream_history.PROJECTION, devices.PROJECTION)
ACME = TenantId("acme")


class World:
    """Two roles with a worker each, and operations that know the workers only by what they write."""

    def __init__(self, folder: Path, log: SqliteEventLog) -> None:
        self.timeline = SqliteTimeline(folder / "timeline.sqlite", PROJECTIONS[:1])
        self.documents = SqliteDocuments(folder / "documents.sqlite", PROJECTIONS[1:])
        self.letters = {role: SqliteDeadLetters(folder / f"{role.value}-letters.sqlite") for role in self._stores}
        self.workers = {
            projection.role: RoleRunner(
                projection.role,
                [projection],
                log=log,
                store=self._stores[projection.role],
                dead_letters=self.letters[projection.role],
                clock=SystemClock(),
            )
            for projection in PROJECTIONS
        }
        self.operations = DistributedOperations(
            {role: Stores(store, self.letters[role]) for role, store in self._stores.items()},
            log=log,
            clock=SystemClock(),
            scratch=partial(scratch, folder),
            projections=PROJECTIONS,
        )

    @property
    def _stores(self) -> dict[Role, Any]:
        return {Role.TIMELINE: self.timeline, Role.DOCUMENTS: self.documents}

    def catch_up(self) -> None:
        for worker in self.workers.values():
            worker.catch_up()

    def close(self) -> None:
        for worker in self.workers.values():
            worker.stop()
        self.timeline.close()
        self.documents.close()
        for letters in self.letters.values():
            letters.close()


def ignore(_step: Step) -> None:
    pass


@pytest.fixture
def world(tmp_path: Path, log: SqliteEventLog) -> Iterator[World]:
    world = World(tmp_path, log)
    yield world
    world.close()


def test_lag_is_what_the_log_has_and_the_store_has_not(world: World, writer: Writer) -> None:
    world.catch_up()
    assert [(status.state, status.lag_events, status.lag_s) for status in world.operations.projections()] == [
        ("live", 0, 0.0),
        ("live", 0, 0.0),
    ]
    writer.write([register("web-1"), register("web-2")])
    world.workers[Role.TIMELINE].catch_up()
    history, documents = world.operations.projections()
    assert (history.lag_events, documents.lag_events) == (0, 2)
    assert documents.lag_s is not None
    assert documents.lag_s > 0
    assert [(lag.topic, lag.partition, lag.lag_events) for lag in documents.lags] == [
        (Topic.EVENTS, 0, 2),
        (Topic.TELEMETRY, 0, 0),
    ]


def test_reading_ones_own_write_waits_for_the_store(world: World, writer: Writer) -> None:
    [reply] = writer.write([register("web-1")])
    assert reply.position is not None
    assert not world.operations.wait_for(["devices"], reply.position, 0.02)
    threading.Timer(0.1, world.catch_up).start()
    assert world.operations.wait_for(["devices", "stream_history"], reply.position, 10.0)
    assert world.operations.wait_for(["stream_history"], Position(Topic.TELEMETRY, 0, 1_000), 0.0)


def test_store_that_is_down_is_one_that_is_waited_for_and_the_others_are_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down() -> None:
        raise StoreUnavailable("no route to the store")

    monkeypatch.setattr(world.documents, "overview", down)
    history, documents = world.operations.projections()
    assert (history.state, history.error) == ("live", None)
    assert (documents.state, documents.error, documents.live) == ("waiting", "no route to the store", None)
    assert world.operations.health() == {"timeline": "ok", "documents": "no route to the store", "log": "ok"}


def test_lag_is_not_known_while_the_log_is_away_and_never_zero(
    world: World, log: SqliteEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.catch_up()

    def away(*_: object) -> int:
        raise LogUnavailable("no broker answers")

    monkeypatch.setattr(log, "end", away)
    for status in world.operations.projections():
        assert (status.state, status.lag_events, status.lag_s, status.lags) == ("waiting", None, None, [])
        assert status.error == "no broker answers"
        assert status.parked_records == 0


def test_age_is_that_of_the_oldest_record_that_is_not_read(world: World, writer: Writer) -> None:
    world.catch_up()
    time.sleep(0.3)
    writer.write([register("web-1")])
    _, documents = world.operations.projections()
    assert documents.lag_s is not None
    assert documents.lag_s < 0.3


def test_age_of_a_view_that_has_read_nothing_is_that_of_the_first_record(world: World, writer: Writer) -> None:
    writer.write([register("web-1")])
    time.sleep(0.1)
    _, documents = world.operations.projections()
    assert documents.lag_events == 3
    assert documents.lag_s is not None
    assert documents.lag_s > 0.1


def test_store_that_hangs_keeps_nobody_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.catch_up()
    over = threading.Event()
    monkeypatch.setattr(world.timeline, "overview", lambda: over.wait(30))
    began = time.monotonic()
    history, documents = world.operations.projections()
    assert (history.state, history.error, history.lag_events) == ("waiting", "timeline does not answer", None)
    assert (history.parked_streams, history.parked_records) == (None, None)
    assert documents.lag_events == 0
    assert world.operations.health() == {"timeline": "timeline does not answer", "documents": "ok", "log": "ok"}
    with pytest.raises(StoreUnavailable, match="timeline does not answer"):
        world.operations.dead_letters(ACME, table=None, after=None, limit=10)
    assert time.monotonic() - began < 4 * ANSWER_S
    over.set()


def test_view_of_another_log_is_told_of_and_is_no_longer_called_live(
    world: World, log: SqliteEventLog, writer: Writer
) -> None:
    writer.write([register("web-1")])
    world.catch_up()
    log._identity = LogIdentity("here", 2)
    for view, at in (("stream_history", "elsewhere/1"), ("devices", "here/2")):
        store = world.timeline if view == "stream_history" else world.documents
        [reached] = [one for one in store.checkpoints(View(view, 1)) if one.topic is Topic.EVENTS]
        store.apply(View(view, 1), [], reached._replace(log=at))
    history, documents = world.operations.projections()
    assert (history.state, documents.state) == ("stopped", "live")
    assert history.error == (
        "stream_history_v1 has read events/0 of another log, elsewhere/1, and not of this one, here/2;"
        " `factline projections rebuild stream_history` makes it anew"
    )
    assert world.operations.health() == {"timeline": history.error, "documents": "ok", "log": "ok"}
    with pytest.raises(CannotCompare, match="of another log"):
        world.operations.verify("stream_history", ignore)
    world.operations.rebuild("stream_history", ignore)
    assert world.operations.health()["timeline"] == "ok"
    with pytest.raises(AnotherLog, match="stream_history_v1 has read events/0 of another log"):
        world.operations.switch("stream_history", 1, ignore)
    assert [status.state for status in world.operations.projections()] == ["live", "live"]


def test_other_workers_are_told_of_as_the_broker_knows_them(world: World, log: SqliteEventLog, writer: Writer) -> None:
    writer.write([register("web-1")])
    groups = [
        WorkerGroup("commands", 0, {}, 12),
        WorkerGroup("correlate", 2, {(Topic.EVENTS, 0): 2, (Topic.TELEMETRY, 0): 0}, None),
    ]
    world.operations._groups = lambda: groups
    commands, correlate = world.operations.workers()
    assert (commands.running, commands.lag_events, commands.lag_s) == (0, 12, None)
    assert commands.error == "no process runs; start one with factline worker commands"
    assert (correlate.running, correlate.lag_events, correlate.error) == (2, 1, None)
    assert correlate.lag_s is not None


def test_dead_letters_of_all_stores_come_in_one_order_page_by_page(world: World) -> None:
    documents = [letter(n, view="devices_v1") for n in (1, 2)]
    history = [letter(n, view="stream_history_v1") for n in (1, 2)]
    audit = [letter(n, view="audit_trail_v1") for n in (3, 4)]
    world.letters[Role.DOCUMENTS].park(documents)
    world.letters[Role.TIMELINE].park([*history, *audit])
    wanted = [*audit, *documents, *history]
    assert world.operations.dead_letters(ACME, table=None, after=None, limit=10) == wanted
    last = wanted[2]
    after = (last.view, Position(last.topic, last.partition, last.position))
    assert world.operations.dead_letters(ACME, table=None, after=after, limit=2) == wanted[3:5]
    assert world.operations.dead_letters(ACME, table="devices_v1", after=None, limit=10) == documents


class Fragile:
    """The projection devices, with a fault that can be mended."""

    def __init__(self) -> None:
        self.broken = True

    def __call__(self, envelope: Envelope, event: object) -> Iterable[Row]:
        if self.broken and envelope.type == "device.tagged":
            raise ValueError("no such room")
        return devices.PROJECTION.project(envelope, event)

    def projection(self) -> Projection:
        return replace(devices.PROJECTION, project=self)


class Worker:
    """Reads on and on, and looks now and then which streams are free, as a process elsewhere does."""

    def __init__(self, world: World, log: SqliteEventLog, projection: Projection) -> None:
        store = Stores(world.documents, world.letters[Role.DOCUMENTS])
        self.run = ProjectionRun(projection, View("devices", 1), *store, SystemClock())
        self._log = log
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        for turn in count():
            self.run.run(self._log.read(Topic.EVENTS, 0, after=self.run.position(Topic.EVENTS, 0), limit=3))
            if turn % 10 == 0:
                self.run.parked.look(self.run.retry)
            if self._stop.wait(0.01):
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def test_retry_takes_what_is_parked_meanwhile_too_and_nothing_comes_before_what_it_follows(
    world: World, log: SqliteEventLog, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed_operations, "NOTICE_S", 0.5)
    fragile = Fragile()
    monkeypatch.setitem(world.operations._projections, "devices", fragile.projection())
    writer.write([register("web-1")])
    tags = count()
    with Worker(world, log, fragile.projection()) as worker:

        def tag_once() -> Position:
            # a tag of its own each time: one that came too late would be missing
            command = TagDevice(device_id="web-1", key=f"tag-{next(tags)}", value="on")
            [reply] = writer.write([submission(command)])
            assert reply.position is not None
            return reply.position

        assert world.operations.wait_for(["devices"], tag_once(), 10.0)
        assert world.operations.retry_dead_letters("devices") == (0, 1)
        fragile.broken = False
        done = threading.Event()

        def tag_on() -> None:
            while not done.wait(0.02):
                tag_once()

        tagging = threading.Thread(target=tag_on)
        tagging.start()
        retried = world.operations.retry_dead_letters("devices")
        done.set()
        tagging.join()
        assert retried.taken >= 1
        assert retried.still_parked == 0
        assert world.operations.wait_for(["devices"], tag_once(), 10.0)
        assert worker.run.parked.streams == frozenset()
    assert list(world.letters[Role.DOCUMENTS].letters("devices_v1")) == []
    assert world.operations.verify("devices", ignore).differences == 0
    device = world.documents.get("devices", TenantId("demo"), "web-1")
    assert device is not None
    assert len([field for field in device.fields if field.startswith("tag:")]) == next(tags)


def other_operator(world: World, log: SqliteEventLog, folder: Path) -> DistributedOperations:
    """Return the operations of another process, on another machine perhaps."""
    return DistributedOperations(
        world.operations._stores,
        log=log,
        clock=SystemClock(),
        scratch=partial(scratch, folder),
        projections=PROJECTIONS,
    )


def test_two_operators_do_not_change_the_builds_of_one_view_at_once(
    world: World, log: SqliteEventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed_operations, "NOTICE_S", 0.0)
    world.catch_up()
    other = other_operator(world, log, tmp_path)
    refused: list[str] = []

    def meet(_step: Step) -> None:
        for job in (other.rebuild, partial(other.switch, build=1)):
            with pytest.raises(StoreUnavailable) as met:
                job("stream_history", on_step=ignore)
            refused.append(str(met.value))
        with pytest.raises(StoreUnavailable):
            other.drop("stream_history", 1)

    world.operations.rebuild("stream_history", meet)
    assert "the builds of stream_history are being changed by process " in refused[0]
    assert list(world.timeline.builds("stream_history")) == [View("stream_history", 1), View("stream_history", 2)]
    assert other.rebuild("stream_history", ignore) == View("stream_history", 3)


def test_operator_that_was_killed_keeps_others_away_for_a_while_only(
    world: World, log: SqliteEventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed_operations, "NOTICE_S", 0.0)
    world.catch_up()
    now = SystemClock().now()
    world.timeline.hold("stream_history", Holder("killed", now + timedelta(seconds=0.5)), now=now)
    other = other_operator(world, log, tmp_path)
    with pytest.raises(StoreUnavailable, match="being changed by killed, until"):
        other.rebuild("stream_history", ignore)
    time.sleep(0.6)
    assert other.rebuild("stream_history", ignore) == View("stream_history", 2)


def test_unknown_projection_is_named(world: World) -> None:
    with pytest.raises(UnknownProjection, match="there is no projection 'nonsense'"):
        world.operations.reached("nonsense")


def test_row_that_lists_do_not_find_is_a_difference(world: World, writer: Writer, tmp_path: Path) -> None:
    writer.write([register("web-1"), register("web-2")])
    world.catch_up()
    with sqlite3.connect(tmp_path / "documents.sqlite") as connection:
        connection.execute("UPDATE devices_v1 SET filter_status = 'OFFLINE' WHERE id = 'web-1'")
    verdict = world.operations.verify("devices", ignore)
    assert (verdict.differences, [example.key for example in verdict.examples]) == (1, [("demo", "web-1")])
    connection.close()
