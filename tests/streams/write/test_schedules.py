"""Schedules fire exactly once at each of their times, over restarts and both changes of the clock."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from domain.execution.command_execution import ReportResult
from domain.execution.processes import EXECUTION_WATCHDOG, SCHEDULE_RUNNER
from domain.execution.schedule import PauseSchedule, ResumeSchedule, ScheduleScript
from domain.execution.script import CreateScript, Shell
from schemas.envelope import Envelope
from tests.streams.kit import register, register_tenant, retire
from tests.streams.write.saga import HOUR, NOON, World, tell

DAY = timedelta(days=1)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, SCHEDULE_RUNNER, EXECUTION_WATCHDOG)
    world.writer.write([register_tenant("demo"), register("web-1"), register("web-2")])
    tell(world, CreateScript(script_id="disk", name="Free space", shell=Shell.BASH, body="df", timeout_s=60))
    yield world
    world.log.close()


def nightly(**more: object) -> ScheduleScript:
    usual = {"schedule_id": "n", "script_id": "disk", "device_ids": ("web-1",), "timezone": "Europe/Berlin"}
    return ScheduleScript(**(usual | more))  # type: ignore[arg-type]


def fired(world: World) -> list[datetime]:
    return [event.data["due_at"] for event in world.history("schedule-n") if event.type == "schedule.fired"]


def test_year_of_nights_has_a_run_each_over_restarts_and_both_changes_of_the_clock(world: World) -> None:
    tell(world, nightly(cron="30 2 * * *"))
    berlin = ZoneInfo("Europe/Berlin")
    for day in range(365):
        world.tick(DAY)
        if day % 90 == 0:
            world.restart()
    nights = [due.astimezone(berlin) for due in fired(world)]
    first = (NOON + DAY).astimezone(berlin).date()
    assert [night.date() for night in nights] == [first + timedelta(days=n) for n in range(365)]
    other = {f"{night:%m-%d %H:%M}" for night in nights if f"{night:%H:%M}" != "02:30"}
    assert other == {"03-29 03:00"}
    runs = {execution.stream for execution in all_dispatched(world)}
    assert len(runs) == 365


def all_dispatched(world: World) -> list[Envelope]:
    due = [f"command_execution-n~{at.astimezone(UTC):%Y%m%dT%H%M%SZ}~1" for at in fired(world)]
    return [event for stream in due for event in world.history(stream) if event.type == "command.dispatched"]


def test_what_was_missed_while_nothing_ran_is_run_once_and_the_beat_is_kept(world: World) -> None:
    tell(world, nightly(every_s=3_600))
    world.tick(HOUR)
    world.hands.at += 5 * HOUR + timedelta(minutes=10)
    world.restart()
    world.tick()
    world.tick(timedelta(minutes=50))
    assert fired(world) == [NOON + HOUR, NOON + 2 * HOUR, NOON + 7 * HOUR]


def test_paused_schedule_rests_until_it_is_resumed(world: World) -> None:
    tell(world, nightly(every_s=3_600), PauseSchedule(schedule_id="n"))
    assert world.tick(10 * HOUR) == 0
    tell(world, ResumeSchedule(schedule_id="n"))
    world.tick(HOUR)
    assert fired(world) == [NOON + 11 * HOUR]


def test_device_that_is_gone_does_not_keep_the_others_from_their_run(world: World) -> None:
    world.writer.write([retire("web-1")])
    tell(world, nightly(every_s=3_600, device_ids=("web-1", "web-2")))
    world.tick(HOUR)
    assert world.types("command_execution-n~20260131T130000Z~1") == []
    assert world.types("command_execution-n~20260131T130000Z~2") == ["command.dispatched"]
    refused = [event.data["reason"] for event in world.history("schedule_runner-n") if event.data.get("reason")]
    assert refused == ["device web-1 is DECOMMISSIONED"]
    world.tick(HOUR)
    assert len(fired(world)) == 2


def test_run_without_a_result_is_given_up_and_one_with_a_result_is_not(world: World) -> None:
    tell(world, nightly(every_s=3_600, device_ids=("web-1", "web-2")))
    world.tick(HOUR)
    first, second = "n~20260131T130000Z~1", "n~20260131T130000Z~2"
    tell(world, ReportResult(execution_id=second, exit_code=1, stdout="full"))
    world.tick(timedelta(seconds=179))
    assert world.types(f"command_execution-{first}") == ["command.dispatched"]
    world.restart()
    world.tick(timedelta(seconds=1))
    assert world.types(f"command_execution-{first}") == ["command.dispatched", "command.timed_out"]
    assert world.types(f"command_execution-{second}") == ["command.dispatched", "command.completed"]
