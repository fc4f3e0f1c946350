"""Builds of a view: made beside the live one, compared, switched to and back, dropped."""

import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from domain.fleet.facts import DeviceMetricsReported
from infra.sqlite.event_log import SqliteEventLog
from projections.fleet import device_metrics
from projections.history import stream_history
from projections.rows import Checkpoint, View
from projections.stores import StoreUnavailable
from schemas.envelope import Topic
from streams.ports import FactSubmission, SystemClock
from streams.project import rebuild
from streams.project.run import ProjectionRun
from streams.project.step import Step
from streams.project.view_jobs import BuildDiffers, WrongBuild
from streams.write.writer import Writer
from tests.streams.kit import TESTER, register, tag
from tests.streams.project.local_world import DEMO, World, damage, ignore, lose_rows


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


def test_rebuild_of_facts_reads_to_the_end_before_it_is_compared(
    tmp_path: Path, log: SqliteEventLog, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few records of many readings are not few."""
    monkeypatch.setattr(rebuild, "BATCH", {Topic.TELEMETRY: 1_000})
    at = datetime(2026, 1, 31, tzinfo=UTC)
    for n in range(30):
        readings = [
            FactSubmission("web-1", at + timedelta(seconds=200 * n + m), DeviceMetricsReported(metrics={"cpu": m}))
            for m in range(200)
        ]
        log.append_facts(DEMO, readings, TESTER)
    world = World(tmp_path, log, (device_metrics.PROJECTION,))
    world.runner.catch_up()
    apply = world.store.apply

    def losing_the_last(to: View, rows: Any, *checkpoints: Checkpoint) -> None:
        lost = to.build == 2 and checkpoints[0].position == 6_000
        apply(to, rows[:-1] if lost else rows, *checkpoints)

    monkeypatch.setattr(world.store, "apply", losing_the_last)
    with pytest.raises(BuildDiffers, match="device_metrics_v2 has 1 rows that are not as the log says"):
        world.operations.rebuild("device_metrics", ignore)
    monkeypatch.undo()
    world.operations.rebuild("device_metrics", ignore)
    assert world.operations.verify("device_metrics", ignore)[:3] == ("device_metrics_v3", 6_000, 0)
    world.close()


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
