"""Projector, rebuild, verify and dead letters together, on a real data directory without the analytics engine."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.sqlite.event_log import SqliteEventLog
from projections.history import audit_trail
from projections.rows import Role
from projections.stores import StoreUnavailable
from schemas.envelope import Entry, Position, Topic
from streams.ports import LogIdentity
from streams.project.local_runner import MAX_GIVE_WAY_S, PACE_S
from streams.project.run import ProjectionRun
from streams.project.verify import CannotCompare
from streams.project.view_jobs import UnknownProjection
from streams.write.writer import Writer
from tests.streams.kit import register, tag
from tests.streams.project.local_world import DEMO, PROJECTIONS, World, ignore
from tests.streams.project.test_run import Poisoned, unknown_from_now_on


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
    log._events_end = 3
    world = World(tmp_path, log)
    [stopped, _] = world.runner.stopped.values()
    assert "has read events/0 up to 4, the log ends at 3" in stopped
    with pytest.raises(CannotCompare, match="has read events/0 up to 4, the log ends at 3"):
        world.operations.verify("stream_history", ignore)
    world.operations.rebuild("stream_history", ignore)
    assert list(world.runner.stopped) == ["audit_trail"]
    assert world.history() == [("device-web-1", 1), ("tenant-demo", 1)]
    world.close()


def test_views_of_another_log_stop_until_they_are_rebuilt_and_those_of_an_earlier_version_are_taken_over_once(
    tmp_path: Path, log: SqliteEventLog, writer: Writer
) -> None:
    writer.write([register("web-1")])
    first = World(tmp_path, log)
    first.runner.catch_up()
    # nobody said which log it is, as in an earlier version
    assert [at.log for at in first.runner.reached("stream_history")] == [""]
    first.close()
    for epoch, stopped in ((1, set()), (2, {"stream_history", "audit_trail"})):
        log._identity = LogIdentity("here", epoch)
        world = World(tmp_path, log)
        assert world.runner.stopped.keys() == stopped
        assert [at.log for at in world.runner.reached("stream_history")] == ["here/1"]
        world.close()
    world = World(tmp_path, log)
    said = world.operations.health()["audit_trail"]
    assert "audit_trail_v1 has read events/0 of another log, here/1, and not of this one, here/2" in said
    world.operations.rebuild("stream_history", ignore)
    assert list(world.runner.stopped) == ["audit_trail"]
    assert [at.log for at in world.runner.reached("stream_history")] == ["here/2"]
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


def test_views_take_together_what_comes_while_nobody_waits_and_hurry_for_one_who_does(
    world: World, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PACE_S, Role.TIMELINE, 30.0)
    batches: list[int] = []
    monkeypatch.setattr(ProjectionRun, "run", _counting(ProjectionRun.run, batches))
    world.runner.start()
    first = writer.write([register("web-1")])[0].position
    assert first is not None
    assert world.operations.wait_for(["stream_history"], first, 10)
    batches.clear()
    # the first of these may be taken at once, the others come together as soon as somebody asks for the last one
    for n in range(2, 12):
        last = writer.write([register(f"web-{n}")])[0].position
    assert last is not None
    begin = time.monotonic()
    assert world.operations.wait_for(["stream_history"], last, 10)
    assert time.monotonic() - begin < 5
    assert len(batches) <= 2 * len(PROJECTIONS)


def _counting(run: Any, batches: list[int]) -> Any:
    def counted(self: ProjectionRun, batch: Sequence[Entry]) -> None:
        batches.append(len(batch))
        run(self, batch)

    return counted


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
        assert list(world.letters.letters("stream_history_v1")) == []
        world.close()
    world = World(tmp_path, log)
    world.runner.catch_up()
    assert world.runner.stopped == {}
    assert ("device-web-1", 2) in world.history()
    world.close()


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
