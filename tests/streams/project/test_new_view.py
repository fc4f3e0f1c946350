"""A view that is new, or behind, in a store where others are level with the log."""

import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.sqlite.event_log import SqliteEventLog
from projections.history import audit_trail, stream_history
from projections.rows import Row, View
from schemas.envelope import Envelope, Topic
from streams.project import local_runner
from streams.write.writer import Writer
from tests.streams.kit import register
from tests.streams.project.local_world import World, damage, ignore, until


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
    slow.set()
    assert world.operations.wait_for(["stream_history"], reply.position, 10.0)
    until(lambda: world.store.live("stream_history") is not None)
    assert len(world.history()) == 102
    [reply] = writer.write([register("after")])
    assert reply.position is not None
    assert world.operations.wait_for(["stream_history"], reply.position, 10.0)
    assert world.operations.verify("stream_history", ignore).differences == 0
    world.close()


def test_new_view_whose_building_ends_by_a_fault_nobody_foresaw_is_told_of_while_the_others_go_on(
    tmp_path: Path, log: SqliteEventLog, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_runner, "SOON_ENTRIES", -1)
    before = World(tmp_path, log, (audit_trail.PROJECTION,))
    before.runner.catch_up()
    before.close()
    world = World(tmp_path, log)
    monkeypatch.setattr(world.store, "switch", {}.__getitem__)
    world.runner.start()
    until(lambda: "stream_history" in world.runner.stopped)
    [reply] = writer.write([register("web-1")])
    assert reply.position is not None
    assert world.operations.wait_for(["audit_trail"], reply.position, 10.0)
    trail, history = world.operations.projections()
    assert (trail.state, history.state) == ("live", "stopped")
    assert "stream_history is not built any more: KeyError" in world.operations.health()["stream_history"]
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
