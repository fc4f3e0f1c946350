"""What a second `verify` takes from the first, and what it finds all the same."""

import random
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from domain.fleet.facts import DeviceMetricsReported
from infra.sqlite import remembered
from infra.sqlite.dead_letters import SqliteDeadLetters
from infra.sqlite.documents import SqliteDocuments
from infra.sqlite.event_log import SqliteEventLog
from infra.sqlite.scratch import scratch
from projections.fleet import device_metrics, devices
from projections.rows import Role, View
from schemas.envelope import Entry, TenantId, Topic
from streams.ports import FactSubmission, LogIdentity, SystemClock
from streams.project import view_jobs
from streams.project.local_runner import RoleRunner
from streams.project.operations import LocalOperations
from streams.project.parked import Parked
from streams.project.same_log import Extent
from streams.project.step import Step
from streams.project.verify import Verdict
from streams.project.view_jobs import BuildDiffers
from streams.write.writer import Writer
from tests.streams.kit import TESTER, register, register_tenant, tag
from tests.streams.project.local_world import DEMO, World, damage, ignore, lose_rows
from tests.streams.project.test_run import Poisoned

BEGIN = datetime(2026, 1, 31, tzinfo=UTC)
ACME = TenantId("acme")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteEventLog]:
    """A log that says which one it is: of another one, nothing is remembered."""
    log = SqliteEventLog(tmp_path, identity=LogIdentity("a-log", 1))
    yield log
    log.close()


@pytest.fixture
def metrics(tmp_path: Path, log: SqliteEventLog, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(remembered, "ROWS_OF_SEGMENT", 10)
    world = World(tmp_path, log, (device_metrics.PROJECTION,))
    yield world
    world.close()


def record(world: World, *minutes: int, value: float = 0.5, tenant: TenantId = DEMO) -> None:
    """Record a reading of each of these minutes, one after the other, and let the view take them."""
    for minute in minutes:
        fact = DeviceMetricsReported(metrics={"cpu": value})
        at = BEGIN + timedelta(minutes=minute)
        world.log.append_facts(tenant, [FactSubmission("web-1", at, fact)], TESTER)
    world.runner.catch_up()


def compare(world: World, *, full: bool = False) -> Verdict:
    return world.operations.verify("device_metrics", ignore, full=full)


def reads_of(world: World, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the place after which the log is read, each time."""
    after: list[int] = []
    read = world.log.read

    def reading(topic: Topic, partition: int, **where: int) -> Sequence[Entry]:
        after.append(where["after"])
        return read(topic, partition, **where)

    monkeypatch.setattr(world.log, "read", reading)
    return after


def test_second_comparison_reads_what_came_since(metrics: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record(metrics, *range(20))
    first = compare(metrics)
    assert (first.rows, first.differences, first.counted, first.counted_since) == (20, 0, 0, None)
    record(metrics, 20, 21)
    reads = reads_of(metrics, monkeypatch)
    second = compare(metrics)
    assert (second.rows, second.differences, second.counted) == (22, 0, 20)
    assert second.counted_since is not None
    assert min(reads) == 20
    assert compare(metrics).counted_since == second.counted_since


def test_row_that_went_or_came_since_is_found(metrics: World) -> None:
    record(metrics, *range(20))
    compare(metrics)
    damage(metrics, f"DELETE FROM device_metrics_v1 WHERE happened_at = {_microseconds(3)}")
    [missing] = compare(metrics).examples
    assert (missing.key[-1], missing.found) == (BEGIN + timedelta(minutes=3), None)
    one_more = f"SELECT tenant_id, device_id, metric, {_microseconds(3)}, value, unit, position FROM device_metrics_v1"
    damage(metrics, f"INSERT INTO device_metrics_v1 {one_more} WHERE happened_at = {_microseconds(4)}")
    damage(metrics, f"INSERT INTO device_metrics_v1 {one_more.replace(str(_microseconds(3)), '17')} LIMIT 1")
    assert {example.expected is None for example in compare(metrics).examples} == {True, False}


def test_changed_row_of_what_was_only_counted_is_said_to_be_counted_and_found_by_a_full_comparison(
    metrics: World,
) -> None:
    record(metrics, *range(20))
    compare(metrics)
    damage(metrics, f"UPDATE device_metrics_v1 SET value = 7 WHERE happened_at = {_microseconds(3)}")
    verdict = compare(metrics)
    assert (verdict.differences, verdict.counted, verdict.rows) == (0, 20, 20)
    [changed] = compare(metrics, full=True).examples
    assert changed.key[-1] == BEGIN + timedelta(minutes=3)
    # and from then on
    assert compare(metrics).differences == 1


def test_changed_row_of_what_came_since_is_found(metrics: World) -> None:
    record(metrics, *range(20))
    compare(metrics)
    record(metrics, *range(20, 25))
    damage(metrics, f"UPDATE device_metrics_v1 SET value = 7 WHERE happened_at = {_microseconds(22)}")
    verdict = compare(metrics)
    assert (verdict.differences, verdict.counted) == (1, 20)


def test_reading_that_was_corrected_is_no_difference(metrics: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record(metrics, *range(20))
    record(metrics, 2000, 2001)
    compare(metrics)
    record(metrics, 3, value=0.75)
    assert compare(metrics)[1:3] == (22, 0)
    reads = reads_of(metrics, monkeypatch)
    verdict = compare(metrics)
    assert (verdict.differences, verdict.counted) == (0, 22)
    assert not reads


def test_reading_twice_in_what_is_compared_first_is_no_difference(metrics: World) -> None:
    record(metrics, *range(20))
    record(metrics, 3, value=0.75)
    assert compare(metrics)[1:3] == (20, 0)
    assert compare(metrics).counted == 20


def test_what_is_recorded_late_of_an_older_day_is_compared(metrics: World) -> None:
    record(metrics, *range(2000, 2020))
    compare(metrics)
    record(metrics, 5, 6)
    damage(metrics, f"UPDATE device_metrics_v1 SET value = 7 WHERE happened_at = {_microseconds(5)}")
    assert compare(metrics).differences == 1


def test_each_tenant_is_compared_by_itself(metrics: World) -> None:
    record(metrics, *range(12))
    record(metrics, *range(12), tenant=ACME)
    compare(metrics)
    record(metrics, 12, tenant=ACME)
    damage(metrics, f"DELETE FROM device_metrics_v1 WHERE tenant_id = 'demo' AND happened_at = {_microseconds(3)}")
    verdict = compare(metrics)
    assert [example.tenant_id for example in verdict.examples] == [DEMO]
    assert verdict.counted == 12


@pytest.mark.parametrize("what", ["log", "code", "format"])
def test_nothing_is_taken_from_another_log_or_other_code(
    metrics: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    record(metrics, *range(20))
    compare(metrics)
    if what == "log":
        # the view says that it is of this one, as a rebuilt one does
        monkeypatch.setattr(Extent, "why_not", lambda *_of: None)
        monkeypatch.setattr(metrics.log, "identities", lambda: dict.fromkeys(Topic, "a-log 2"))
    elif what == "code":
        monkeypatch.setattr(view_jobs, "_code", lambda: "other")
    else:
        monkeypatch.setattr(view_jobs, "FORMAT", "other")
    reads = reads_of(metrics, monkeypatch)
    assert (compare(metrics).counted, min(reads)) == (0, 0)


def test_nothing_is_taken_from_a_log_that_nobody_named(metrics: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics.log, "identities", lambda: dict.fromkeys(Topic, ""))
    record(metrics, *range(20))
    compare(metrics)
    assert compare(metrics).counted == 0


def test_file_that_is_damaged_or_gone_costs_time_and_nothing_else(metrics: World, tmp_path: Path) -> None:
    record(metrics, *range(20))
    compare(metrics)
    (kept,) = (tmp_path / "verified").glob("remembered.sqlite")
    kept.write_bytes(b"not what it was" * 1000)
    assert compare(metrics)[1:3] == (20, 0)
    assert compare(metrics).counted == 20


@pytest.mark.parametrize("killed_at", [1, 2, 5])
def test_comparison_that_was_killed_is_taken_up(
    metrics: World, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    monkeypatch.setattr("streams.project.fold.BATCH", {Topic.TELEMETRY: 3})
    record(metrics, *range(20))
    steps: list[Step] = []

    def step(one: Step) -> None:
        steps.append(one)
        if len(steps) == killed_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        metrics.operations.verify("device_metrics", step)
    assert compare(metrics)[1:3] == (20, 0)
    assert compare(metrics).counted == 20


def test_record_that_was_parked_is_counted_in_once_it_was_retried(tmp_path: Path, log: SqliteEventLog) -> None:
    writer = Writer(log, SystemClock())
    writer.write([register_tenant("demo")])
    poisoned = Poisoned("device.tagged")
    world = World(tmp_path, log, (poisoned.projection(),))
    writer.write([register("web-1"), tag("web-1", "a"), register("web-2")])
    world.runner.catch_up()
    verdict = world.operations.verify("stream_history", ignore)
    assert (verdict.rows, verdict.differences, verdict.dead_letters) == (3, 0, 1)
    poisoned.types.clear()
    assert world.operations.retry_dead_letters("stream_history") == (1, 0)
    verdict = world.operations.verify("stream_history", ignore)
    assert (verdict.rows, verdict.differences, verdict.dead_letters) == (4, 0, 0)
    world.close()


def test_record_that_is_passed_over_after_it_was_compared_is_not_expected_any_more(
    tmp_path: Path, log: SqliteEventLog
) -> None:
    """As where a build was dropped, and another one got its number."""
    writer = Writer(log, SystemClock())
    writer.write([register_tenant("demo")])
    world = World(tmp_path, log)
    writer.write([register("web-1"), tag("web-1", "a")])
    world.runner.catch_up()
    assert world.operations.verify("stream_history", ignore).rows == 3
    view, clock = View("stream_history", 1), SystemClock()
    tagged = log.read(Topic.EVENTS, 0, after=2, limit=1)[0]
    world.letters.park([Parked(view, world.letters, clock).poison(tagged, "no such room")])
    damage(world, "DELETE FROM stream_history_v1 WHERE type = 'device.tagged'")
    verdict = world.operations.verify("stream_history", ignore)
    assert (verdict.rows, verdict.differences, verdict.dead_letters) == (2, 0, 1)
    world.close()


def test_build_that_was_compared_before_its_switch_is_known(metrics: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record(metrics, *range(20))
    metrics.operations.rebuild("device_metrics", ignore)
    reads = reads_of(metrics, monkeypatch)
    verdict = compare(metrics)
    assert (verdict.view, verdict.counted, reads) == ("device_metrics_v2", 20, [])


def test_rebuild_reads_the_log_once(metrics: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record(metrics, *range(20))
    reads = reads_of(metrics, monkeypatch)
    metrics.operations.rebuild("device_metrics", ignore)
    # the end is asked for again before and after the comparison, and within the switch
    assert sorted(set(reads)) == [0, 20]
    assert reads.count(0) == 1


def test_build_that_lost_rows_while_it_was_written_is_not_switched_to(
    metrics: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(metrics, *range(20))
    lose_rows(metrics, View("device_metrics", 2), monkeypatch)
    with pytest.raises(BuildDiffers, match="device_metrics_v2 has 10 rows that are not as the log says"):
        metrics.operations.rebuild("device_metrics", ignore)
    assert metrics.store.live("device_metrics") == View("device_metrics", 1)


def test_reading_that_was_corrected_does_not_keep_a_build_from_its_switch(metrics: World) -> None:
    record(metrics, *range(20))
    record(metrics, 3, value=0.75)
    metrics.operations.rebuild("device_metrics", ignore)
    assert compare(metrics)[:3] == ("device_metrics_v2", 20, 0)


def test_what_comes_while_a_build_is_compared_is_compared_the_next_time(
    metrics: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(metrics, *range(20))
    scan = metrics.store.scan_columns

    def scanning(view: View, *of: Any) -> Any:
        if metrics.log.end(Topic.TELEMETRY, 0) == 20:
            record(metrics, 20, 21)
        return scan(view, *of)

    monkeypatch.setattr(metrics.store, "scan_columns", scanning)
    metrics.operations.rebuild("device_metrics", ignore)
    verdict = compare(metrics)
    assert (verdict.view, verdict.rows, verdict.differences, verdict.counted) == ("device_metrics_v2", 22, 0, 20)


def test_record_that_a_build_parks_is_not_expected_of_it(tmp_path: Path, log: SqliteEventLog) -> None:
    writer = Writer(log, SystemClock())
    writer.write([register_tenant("demo"), register("web-1"), tag("web-1", "a"), register("web-2")])
    world = World(tmp_path, log, (Poisoned("device.tagged").projection(),))
    world.runner.catch_up()
    world.operations.rebuild("stream_history", ignore)
    verdict = world.operations.verify("stream_history", ignore)
    assert verdict[:3] == ("stream_history_v2", 3, 0)
    assert (verdict.dead_letters, verdict.counted) == (1, 3)
    world.close()


def test_documents_are_compared_all_and_the_log_is_read_on(
    tmp_path: Path, log: SqliteEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(log, SystemClock())
    writer.write([register_tenant("demo"), register("web-1"), register("web-2")])
    store = SqliteDocuments(tmp_path / "documents.sqlite", (devices.PROJECTION,))
    letters, clock = SqliteDeadLetters(tmp_path / "letters.sqlite"), SystemClock()
    runner = RoleRunner(Role.DOCUMENTS, (devices.PROJECTION,), log=log, store=store, dead_letters=letters, clock=clock)
    operations = LocalOperations(
        [runner], log=log, dead_letters=letters, clock=clock, scratch=partial(scratch, tmp_path)
    )
    runner.catch_up()
    assert operations.verify("devices", ignore)[1:3] == (2, 0)
    (tmp_path / "verified" / "documents.sqlite").write_bytes(b"not what it was" * 1000)
    assert operations.verify("devices", ignore)[1:3] == (2, 0)
    writer.write([tag("web-1", "a"), register("web-3")])
    runner.catch_up()
    places: list[int] = []
    read = log.read

    def reading(topic: Topic, partition: int, **where: int) -> Sequence[Entry]:
        places.append(where["after"])
        return read(topic, partition, **where)

    monkeypatch.setattr(log, "read", reading)
    verdict = operations.verify("devices", ignore)
    assert (verdict.rows, verdict.differences, verdict.counted, min(places)) == (3, 0, 0, 3)
    with sqlite3.connect(tmp_path / "documents.sqlite") as connection:
        connection.execute("UPDATE devices_v1 SET fields = replace(fields, 'web-2.example', 'x') WHERE id = 'web-2'")
    connection.close()
    assert [example.key for example in operations.verify("devices", ignore).examples] == [("demo", "web-2")]
    for each in (store, letters):
        each.close()


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_recorded_a_second_comparison_says_what_a_full_one_says(metrics: World, seed: int) -> None:
    some = random.Random(seed)
    for _ in range(12):
        tenant = some.choice((DEMO, ACME))
        minutes = [some.randrange(4000) for _ in range(some.choice((1, 5, 15)))]
        record(metrics, *minutes, value=some.random(), tenant=tenant)
        verdict = compare(metrics, full=some.random() < 0.1)
        assert (verdict.differences, verdict.moving) == (0, 0)
    assert compare(metrics).rows == compare(metrics, full=True).rows
    damage(metrics, "DELETE FROM device_metrics_v1 WHERE position = (SELECT min(position) FROM device_metrics_v1)")
    assert compare(metrics).differences == 1


def _microseconds(minute: int) -> int:
    return int((BEGIN + timedelta(minutes=minute)).timestamp()) * 1_000_000
