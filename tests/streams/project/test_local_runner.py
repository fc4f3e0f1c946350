"""Projector, rebuild, verify and dead letters together, on a real data directory without the analytics engine."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import streams.project.verify
from infra.sqlite.dead_letters import SqliteDeadLetters
from infra.sqlite.event_log import SqliteEventLog
from infra.sqlite.scratch import scratch
from infra.sqlite.timeline import SqliteTimeline
from projections.history import audit_trail, stream_history
from projections.history.event_rows import EventRow
from projections.projection import Projection
from projections.rows import Role, Row, View
from projections.stores import StoreUnavailable
from schemas.envelope import Envelope, Position, StreamId, TenantId, Topic
from streams.ports import SystemClock
from streams.project import local_runner
from streams.project.local_runner import MAX_GIVE_WAY_S, RoleRunner
from streams.project.operations import LocalOperations
from streams.project.rebuild import Step
from streams.project.run import ProjectionRun
from streams.project.verify import CannotCompare
from streams.project.view_jobs import BuildDiffers, UnknownProjection, WrongBuild
from streams.write.writer import Writer
from tests.streams.kit import register, tag
from tests.streams.project.test_run import Poisoned, unknown_from_now_on

DEMO = TenantId("demo")
PROJECTIONS = (audit_trail.PROJECTION, stream_history.PROJECTION)


class World:
    """One role's store with its runner, over a log that tests write to."""

    def __init__(self, folder: Path, log: SqliteEventLog, projections: tuple[Projection, ...] = PROJECTIONS) -> None:
        self.folder = folder
        self.log = log
        self.store = SqliteTimeline(folder / "timeline.sqlite", projections)
        self.letters = SqliteDeadLetters(folder / "letters.sqlite")
        clock = SystemClock()
        self.runner = RoleRunner(
            Role.TIMELINE, projections, log=log, store=self.store, dead_letters=self.letters, clock=clock
        )
        self.operations = LocalOperations(
            [self.runner], log=log, dead_letters=self.letters, clock=clock, scratch=partial(scratch, folder)
        )

    def history(self) -> list[tuple[str, int]]:
        live = self.store.live("stream_history")
        assert live is not None
        return [(row.stream, row.version) for row in self.store.scan(live, DEMO) if isinstance(row, EventRow)]

    def close(self) -> None:
        self.runner.stop()
        self.store.close()
        self.letters.close()


@pytest.fixture
def world(tmp_path: Path, log: SqliteEventLog) -> Iterator[World]:
    world = World(tmp_path, log)
    yield world
    world.close()


def ignore(_step: Step) -> None:
    pass


def test_views_follow_the_log_as_it_grows(world: World, writer: Writer) -> None:
    world.runner.start()
    [reply] = writer.write([register("web-1")])
    assert reply.position is not None
    assert world.operations.wait_for(["stream_history", "audit_trail"], reply.position, 5.0)
    assert ("device-web-1", 1) in world.history()


def test_waiting_for_what_is_not_written_yet_ends_with_the_time(world: World, writer: Writer) -> None:
    world.runner.catch_up()
    assert not world.operations.wait_for(["stream_history"], Position(Topic.EVENTS, 0, 1_000), 0.05)


def test_waiting_for_a_topic_that_a_view_does_not_read_is_over_at_once(world: World) -> None:
    assert world.operations.wait_for(["stream_history"], Position(Topic.TELEMETRY, 0, 1_000), 0.0)


def test_view_goes_on_from_its_checkpoint_after_a_restart(tmp_path: Path, log: SqliteEventLog, writer: Writer) -> None:
    first = World(tmp_path, log)
    first.runner.catch_up()
    first.close()
    writer.write([register("web-1")])
    second = World(tmp_path, log)
    assert [run.position(Topic.EVENTS, 0) for run in second.runner.runs.values()] == [2, 2]
    second.runner.catch_up()
    assert second.history() == [("device-web-1", 1), ("tenant-demo", 1)]
    second.close()


def test_store_that_is_down_is_waited_out_with_its_lag_in_sight(
    world: World, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = world.store.apply
    down = threading.Event()
    tried = threading.Event()
    down.set()

    def failing(*args: Any) -> None:
        if down.is_set():
            tried.set()
            raise StoreUnavailable("no route to the store")
        apply(*args)

    monkeypatch.setattr(world.store, "apply", failing)
    world.runner.start()
    [reply] = writer.write([register("web-1")])
    assert reply.position is not None
    assert tried.wait(5.0)
    assert not world.operations.wait_for(["stream_history"], reply.position, 0.2)
    [status] = [status for status in world.operations.projections() if status.name == "stream_history"]
    assert (status.state, status.error, status.lag_events) == ("waiting", "no route to the store", 3)
    assert world.operations.health()["timeline"] == "no route to the store"
    down.clear()
    assert world.operations.wait_for(["stream_history"], reply.position, 10.0)
    assert list(world.letters.letters("stream_history_v1")) == []


def test_view_that_is_ahead_of_a_restored_log_stops_until_it_is_rebuilt(
    tmp_path: Path, log: SqliteEventLog, writer: Writer
) -> None:
    writer.write([register("web-1"), register("web-2")])
    first = World(tmp_path, log)
    first.runner.catch_up()
    first.close()
    with log._events.transaction(commit=True) as c:
        c.execute("DELETE FROM stored_events WHERE rowid > 3")
    log._ends[Topic.EVENTS] = 3
    world = World(tmp_path, log)
    [stopped, _] = world.runner.stopped.values()
    assert "has read events/0 up to 4, the log ends at 3" in stopped
    with pytest.raises(CannotCompare, match="has read events/0 up to 4, the log ends at 3"):
        world.operations.verify("stream_history", ignore)
    world.operations.rebuild("stream_history", ignore)
    assert list(world.runner.stopped) == ["audit_trail"]
    assert world.history() == [("device-web-1", 1), ("tenant-demo", 1)]
    world.close()


def test_views_give_way_to_waiting_callers_and_follow_when_they_are_served(world: World, writer: Writer) -> None:
    waiting = threading.Event()
    waiting.set()
    world.runner.start(give_way=waiting.is_set)
    [reply] = writer.write([register("web-1")])
    assert reply.position is not None
    assert not world.operations.wait_for(["stream_history"], reply.position, 0.2)
    waiting.clear()
    assert world.operations.wait_for(["stream_history"], reply.position, 5.0)


def test_views_give_way_only_so_long(world: World, writer: Writer) -> None:
    world.runner.start(give_way=lambda: True)
    [reply] = writer.write([register("web-1")])
    assert reply.position is not None
    assert world.operations.wait_for(["stream_history"], reply.position, 10 * MAX_GIVE_WAY_S)


def test_new_view_is_not_seen_before_it_has_caught_up_and_does_not_delay_the_others(
    tmp_path: Path, log: SqliteEventLog, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_runner, "SOON_ENTRIES", 10)
    before = World(tmp_path, log, (audit_trail.PROJECTION,))
    before.runner.catch_up()
    before.close()
    writer.write([register(f"web-{n}") for n in range(100)])
    slow = threading.Event()

    def project(envelope: Envelope, event: object) -> Iterable[Row]:
        assert slow.wait(30)
        return stream_history.PROJECTION.project(envelope, event)

    world = World(tmp_path, log, (audit_trail.PROJECTION, replace(stream_history.PROJECTION, project=project)))
    world.runner.start()
    [reply] = writer.write([register("last")])
    assert reply.position is not None
    assert world.operations.wait_for(["audit_trail"], reply.position, 10.0)
    assert world.store.live("stream_history") is None
    assert world.operations.reached("stream_history") is None
    trail, history = world.operations.projections()
    assert (trail.state, trail.lag_events) == ("live", 0)
    assert (history.state, history.live, history.lag_events) == ("rebuilding", None, 103)
    assert "being built" in world.operations.health()["stream_history"]
    assert "being built" in (world.runner.doubt(["stream_history"], ()) or "")
    slow.set()
    assert world.operations.wait_for(["stream_history"], reply.position, 10.0)
    until(lambda: world.store.live("stream_history") is not None)
    assert len(world.history()) == 102
    [reply] = writer.write([register("after")])
    assert reply.position is not None
    assert world.operations.wait_for(["stream_history"], reply.position, 10.0)
    assert world.operations.verify("stream_history", ignore).differences == 0
    world.close()


def test_new_view_over_an_empty_log_is_live_at_once(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path)
    world = World(tmp_path, log)
    assert world.store.live("stream_history") == View("stream_history", 1)
    world.close()
    log.close()


def test_new_view_that_was_interrupted_goes_on_where_it_was(
    tmp_path: Path, log: SqliteEventLog, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_runner, "BATCH_ENTRIES", 10)
    writer.write([register(f"web-{n}") for n in range(50)])
    world = World(tmp_path, log)
    world.runner._build_turn()
    world.close()
    world = World(tmp_path, log)
    assert world.store.live("stream_history") is None
    assert world.runner.runs["stream_history"].position(Topic.EVENTS, 0) == 10
    world.runner.catch_up()
    assert len(world.history()) == 51
    world.close()


def test_view_that_is_behind_does_not_take_the_others_back(
    tmp_path: Path, log: SqliteEventLog, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write([register(f"web-{n}") for n in range(20)])
    World(tmp_path, log).close()
    world = World(tmp_path, log)
    world.runner.catch_up()
    damage(world, "UPDATE checkpoints SET position = 5 WHERE name = 'stream_history'")
    world.runner.open(stream_history.PROJECTION)
    read: list[int] = []
    read_log = log.read

    def reading(*place: Any, after: int, limit: int) -> Any:
        read.append(after)
        return read_log(*place, after=after, limit=limit)

    monkeypatch.setattr(log, "read", reading)
    writer.write([register("last")])
    world.runner.catch_up()
    assert {5, 22} <= set(read)
    assert [run.position(Topic.EVENTS, 0) for run in world.runner.runs.values()] == [23, 23]
    world.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_projection_that_cannot_take_a_release_stops_alone(tmp_path: Path, log: SqliteEventLog, writer: Writer) -> None:
    writer.write([register(f"web-{n}") for n in range(101)])
    world = World(tmp_path, log, (audit_trail.PROJECTION, Poisoned("device.registered").projection()))
    world.runner.catch_up()
    states = {status.name: status for status in world.operations.projections()}
    assert states["audit_trail"].lag_events == 0
    assert states["stream_history"].state == "stopped"
    assert "cannot take 101 records" in (states["stream_history"].error or "")
    assert "cannot take 101 records" in world.operations.health()["stream_history"]
    world.close()


def test_view_that_meets_a_newer_release_stops_and_says_to_update_until_it_is_updated(
    tmp_path: Path, log: SqliteEventLog, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write([register("web-1"), tag("web-1", "a"), register("web-2")])
    with monkeypatch.context() as older:
        unknown_from_now_on(older, "device.tagged")
        world = World(tmp_path, log)
        world.runner.catch_up()
        status = next(one for one in world.operations.projections() if one.name == "stream_history")
        assert (status.state, status.lag_events) == ("stopped", 2)
        assert "update this worker" in world.operations.health()["stream_history"]
        assert "device.tagged" in (world.runner.doubt(["stream_history"], ()) or "")
        assert list(world.letters.letters("stream_history_v1")) == []
        world.close()
    world = World(tmp_path, log)
    world.runner.catch_up()
    assert world.runner.doubt(["stream_history"], ()) is None
    assert ("device-web-1", 2) in world.history()
    world.close()


def test_stream_of_which_a_record_is_parked_is_in_doubt_and_others_are_not(
    tmp_path: Path, log: SqliteEventLog, writer: Writer
) -> None:
    world = World(tmp_path, log, (Poisoned("device.tagged").projection(),))
    writer.write([register("web-1"), tag("web-1", "a"), register("web-2")])
    world.runner.catch_up()
    one, other = ((DEMO, StreamId(f"device-web-{n}")) for n in (1, 2))
    assert "has parked a record of device-web-1" in (world.runner.doubt(["stream_history"], [one]) or "")
    assert world.runner.doubt(["stream_history"], [other]) is None
    world.close()


def test_rebuilt_view_holds_the_same_rows_in_a_new_table(world: World, writer: Writer) -> None:
    writer.write([register("web-1"), tag("web-1", "a"), register("web-2")])
    world.runner.catch_up()
    before = world.history()
    steps: list[Step] = []
    assert world.operations.rebuild("stream_history", steps.append) == View("stream_history", 2)
    assert world.history() == before
    assert steps[-1] == Step(5, 5)
    assert list(world.store.builds("stream_history")) == [View("stream_history", 1), View("stream_history", 2)]
    writer.write([tag("web-1", "b")])
    world.runner.catch_up()
    assert ("device-web-1", 3) in world.history()


def test_rebuild_under_live_traffic_never_shows_a_half_view(world: World, writer: Writer) -> None:
    writer.write([register(f"web-{n}") for n in range(300)])
    world.runner.catch_up()
    world.runner.start()
    stop = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while not stop.is_set():
            seen.append(len(world.history()))

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(5):
        world.operations.rebuild("stream_history", ignore)
        writer.write([register(f"more-{n}")])
    stop.set()
    reader.join()
    assert len(seen) > 5
    assert seen == sorted(seen)
    assert min(seen) >= 301


def lose_rows(world: World, view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store lose every second row of a build without a word."""
    apply = world.store.apply

    def losing(to: View, rows: Any, *checkpoints: Any) -> None:
        apply(to, rows[::2] if to == view else rows, *checkpoints)

    monkeypatch.setattr(world.store, "apply", losing)


def test_rebuild_that_lost_rows_is_not_switched_to(
    world: World, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write([register(f"web-{n}") for n in range(10)])
    world.runner.catch_up()
    before = world.history()
    lose_rows(world, View("stream_history", 2), monkeypatch)
    with pytest.raises(BuildDiffers, match="stream_history_v2 has 6 rows that are not as the log says"):
        world.operations.rebuild("stream_history", ignore)
    assert world.store.live("stream_history") == View("stream_history", 1)
    assert world.history() == before


def test_older_build_that_lost_rows_is_not_switched_back_to(world: World, writer: Writer) -> None:
    writer.write([register("web-1"), register("web-2")])
    world.runner.catch_up()
    world.operations.rebuild("stream_history", ignore)
    damage(world, "DELETE FROM stream_history_v1 WHERE stream = 'device-web-1'")
    with pytest.raises(BuildDiffers, match="stream_history_v1 has 1 rows"):
        world.operations.switch("stream_history", 1, ignore)
    assert world.store.live("stream_history") == View("stream_history", 2)


def test_rebuild_that_was_interrupted_leaves_the_live_build_and_may_be_finished(world: World, writer: Writer) -> None:
    writer.write([register("web-1")])
    world.runner.catch_up()

    def interrupt(_step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.operations.rebuild("stream_history", interrupt)
    assert world.store.live("stream_history") == View("stream_history", 1)
    world.operations.switch("stream_history", 2, ignore)
    assert world.history() == [("device-web-1", 1), ("tenant-demo", 1)]
    assert world.operations.verify("stream_history", ignore).differences == 0


def test_older_build_comes_back_with_what_was_recorded_since(world: World, writer: Writer) -> None:
    world.runner.catch_up()
    world.operations.rebuild("stream_history", ignore)
    writer.write([register("web-1")])
    world.runner.catch_up()
    assert world.operations.switch("stream_history", 1, ignore) == View("stream_history", 1)
    assert world.history() == [("device-web-1", 1), ("tenant-demo", 1)]
    writer.write([register("web-2")])
    world.runner.catch_up()
    assert world.operations.verify("stream_history", ignore)[:3] == ("stream_history_v1", 4, 0)


def test_only_a_build_that_is_there_and_not_live_is_dropped(world: World, writer: Writer) -> None:
    world.runner.catch_up()
    world.operations.rebuild("stream_history", ignore)
    with pytest.raises(WrongBuild, match="stream_history_v2 is live: switch to another build first"):
        world.operations.drop("stream_history", 2)
    world.operations.drop("stream_history", 1)
    assert list(world.store.builds("stream_history")) == [View("stream_history", 2)]
    for work in (world.operations.drop, partial(world.operations.switch, on_step=ignore)):
        with pytest.raises(WrongBuild, match="there is no stream_history_v1"):
            work("stream_history", 1)


def test_build_that_is_dropped_while_it_is_read_is_not_switched_to(world: World, writer: Writer) -> None:
    world.runner.catch_up()

    def drop(_step: Step) -> None:
        world.store.drop(View("stream_history", 2))
        world.store.create(View("stream_history", 2))
        writer.write([register(f"web-{len(world.log.read(Topic.EVENTS, 0, after=0, limit=100))}")])

    with pytest.raises(StoreUnavailable, match="was dropped while it was read"):
        world.operations.rebuild("stream_history", drop)
    assert world.store.live("stream_history") == View("stream_history", 1)


def test_rebuild_reads_no_faster_than_it_may(world: World, writer: Writer) -> None:
    writer.write([register(f"web-{n}") for n in range(30)])
    began = time.monotonic()
    world.operations.rebuild("stream_history", ignore, max_rate=100.0)
    assert time.monotonic() - began > 0.25
    assert len(world.history()) == 31


def test_two_who_write_one_build_at_once_leave_it_as_one_would(world: World, writer: Writer) -> None:
    """As after a switch: the rebuild goes on until the workers have noticed, and they begin at some checkpoint."""
    writer.write([register("web-1"), tag("web-1", "a"), register("web-2"), tag("web-1", "b"), tag("web-2", "c")])
    world.runner.catch_up()
    view = View("stream_history", 2)
    world.store.create(view)
    entries = world.log.read(Topic.EVENTS, 0, after=0, limit=100)
    first, second = (
        ProjectionRun(stream_history.PROJECTION, view, world.store, world.letters, SystemClock()) for _ in range(2)
    )
    first.run(entries[:4])
    second.run(entries[:2])
    second.run(entries[2:])
    first.run(entries[4:6])
    assert world.store.checkpoints(view)[0].position == len(entries)
    world.store.switch(view)
    world.runner.open(stream_history.PROJECTION)
    assert world.operations.verify("stream_history", ignore)[:3] == (view.table, len(entries), 0)


def test_view_that_equals_the_log_has_no_difference(world: World, writer: Writer) -> None:
    writer.write([register("web-1"), tag("web-1", "a")])
    world.runner.catch_up()
    verdict = world.operations.verify("stream_history", ignore)
    assert (verdict.rows, verdict.differences, verdict.dead_letters) == (4, 0, 0)


def test_view_that_is_written_meanwhile_is_compared_all_the_same(
    world: World, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write([register(f"web-{n}") for n in range(50)])
    world.runner.start()
    scan, late = world.store.scan, ["late-1", "late-2"]

    def scan_late(view: View, tenant_id: TenantId) -> Iterator[Any]:
        # what is recorded between folding the log and reading the view
        if tenant_id == DEMO and late:
            [reply] = writer.write([register(late.pop())])
            assert reply.position is not None
            assert world.operations.wait_for(["stream_history"], reply.position, 10.0)
        yield from scan(view, tenant_id)

    monkeypatch.setattr(world.store, "scan", scan_late)
    assert world.operations.verify("stream_history", ignore)[1:4] == (53, 0, [])
    late.append("late-3")
    damage(world, "DELETE FROM stream_history_v1 WHERE stream = 'device-web-1'")
    [example] = world.operations.verify("stream_history", ignore).examples
    assert example.key == ("demo", "device-web-1", 1)


def test_view_that_does_not_reach_the_end_of_the_log_is_not_compared(
    world: World, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams.project.verify, "PATIENCE_S", 0.1)
    world.runner.catch_up()
    writer.write([register("web-1")])
    with pytest.raises(CannotCompare, match="stream_history_v1 is 1 records behind the log"):
        world.operations.verify("stream_history", ignore)


def damage(world: World, statement: str) -> None:
    connection = sqlite3.connect(world.folder / "timeline.sqlite")
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_missing_row_is_found(world: World, writer: Writer) -> None:
    writer.write([register("web-1"), register("web-2")])
    world.runner.catch_up()
    damage(world, "DELETE FROM stream_history_v1 WHERE stream = 'device-web-1'")
    verdict = world.operations.verify("stream_history", ignore)
    [example] = verdict.examples
    assert verdict.differences == 1
    assert example.key == ("demo", "device-web-1", 1)
    assert example.found is None
    assert world.operations.verify("audit_trail", ignore).differences == 0


def test_changed_row_is_found(world: World, writer: Writer) -> None:
    writer.write([register("web-1")])
    world.runner.catch_up()
    damage(world, "UPDATE stream_history_v1 SET data = '{}' WHERE stream = 'device-web-1'")
    [example] = world.operations.verify("stream_history", ignore).examples
    assert isinstance(example.found, EventRow)
    assert isinstance(example.expected, EventRow)
    assert (example.found.data, example.expected.data != "{}") == ("{}", True)


def test_row_at_the_wrong_place_is_one_missing_and_one_too_many(world: World, writer: Writer) -> None:
    writer.write([register("web-1")])
    world.runner.catch_up()
    damage(world, "UPDATE stream_history_v1 SET version = 9 WHERE stream = 'device-web-1'")
    assert world.operations.verify("stream_history", ignore).differences == 2


def test_retried_dead_letters_catch_up_their_stream_and_leave(
    tmp_path: Path, log: SqliteEventLog, writer: Writer
) -> None:
    poisoned = Poisoned("device.tagged")
    world = World(tmp_path, log, (poisoned.projection(),))
    writer.write([register("web-1"), tag("web-1", "a"), tag("web-1", "b"), register("web-2")])
    world.runner.catch_up()
    reached = world.runner.reached("stream_history")
    assert world.operations.retry_dead_letters("stream_history") == (0, 2)
    assert next(world.letters.letters("stream_history_v1")).attempts == 2
    poisoned.types.clear()
    for taken in (2, 0):
        assert world.operations.retry_dead_letters("stream_history") == (taken, 0)
    assert world.runner.reached("stream_history") == reached
    writer.write([tag("web-1", "c")])
    world.runner.catch_up()
    assert [version for stream, version in world.history() if stream == "device-web-1"] == [1, 2, 3, 4]
    assert world.operations.verify("stream_history", ignore).differences == 0
    world.close()


def test_discarded_dead_letters_let_their_stream_go_on(tmp_path: Path, log: SqliteEventLog, writer: Writer) -> None:
    poisoned = Poisoned("device.tagged")
    world = World(tmp_path, log, (poisoned.projection(),))
    writer.write([register("web-1"), tag("web-1", "a")])
    world.runner.catch_up()
    poisoned.types.clear()
    assert world.operations.discard_dead_letters("stream_history") == 1
    writer.write([tag("web-1", "b")])
    world.runner.catch_up()
    assert [version for stream, version in world.history() if stream == "device-web-1"] == [1, 3]
    verdict = world.operations.verify("stream_history", ignore)
    assert (verdict.differences, verdict.dead_letters, verdict.discarded) == (0, 0, 1)
    assert world.operations.dead_letters(DEMO, table=None, after=None, limit=10) == []
    # nothing is lost: the log still has it, and a rebuild takes it
    world.operations.rebuild("stream_history", ignore)
    assert [version for stream, version in world.history() if stream == "device-web-1"] == [1, 2, 3]
    world.close()


def test_unknown_projection_is_named(world: World) -> None:
    with pytest.raises(UnknownProjection, match="there is no projection 'nonsense'"):
        world.operations.rebuild("nonsense", ignore)
