"""What `verify` finds, also while events are being recorded."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

import streams.project.verify
from projections.history.event_rows import EventRow
from projections.rows import View
from schemas.envelope import TenantId
from streams.project.verify import CannotCompare
from streams.write.writer import Writer
from tests.streams.kit import register, tag
from tests.streams.project.local_world import DEMO, World, damage, ignore


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
    late = ["late-1", "late-2"]

    def scan_late(scan: Callable[..., Iterator[Any]], view: View, tenant_id: TenantId, *days: Any) -> Iterator[Any]:
        # what is recorded between folding the log and reading the view
        if tenant_id == DEMO and late:
            [reply] = writer.write([register(late.pop())])
            assert reply.position is not None
            assert world.operations.wait_for(["stream_history"], reply.position, 10.0)
        yield from scan(view, tenant_id, *days)

    for name in ("scan", "scan_columns"):
        monkeypatch.setattr(world.store, name, partial(scan_late, getattr(world.store, name)))
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
