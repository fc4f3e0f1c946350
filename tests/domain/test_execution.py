"""The rules for scripts, schedules, and the commands that devices execute."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.execution.command_execution import COMMAND_EXECUTION
from domain.execution.processes import EXECUTION_WATCHDOG
from domain.execution.schedule import SCHEDULE
from domain.execution.script import SCRIPT, Script, script_stream
from domain.execution.times import next_beat, next_cron
from domain.fleet.device import Device, DeviceStatus
from domain.message import Command, Event, filled
from domain.process import Ask, Forget, Wait
from domain.rejection import Kind
from schemas.envelope import StreamId
from tests.examples.execution import (
    CANCEL_EXECUTION,
    CANCELLED,
    COMMAND_FAILED,
    COMMAND_STARTED,
    COMPLETED,
    CREATE_SCRIPT,
    DISPATCHED,
    FIRE_SCHEDULE,
    NEXT_RUN,
    PAUSE_SCHEDULE,
    REMOVE_SCHEDULE,
    REPORT_RESULT,
    RESUME_SCHEDULE,
    RUN_COMMAND,
    RUN_SCRIPT,
    SCHEDULE_CREATED,
    SCHEDULE_FIRED,
    SCHEDULE_PAUSED,
    SCHEDULE_REMOVED,
    SCHEDULE_RESUMED,
    SCHEDULE_SCRIPT,
    SCRIPT_CREATED,
    SCRIPT_UPDATED,
    START_EXECUTION,
    TIME_OUT_EXECUTION,
    TIMED_OUT,
    UPDATE_SCRIPT,
)
from tests.examples.moments import RECORDED_AT
from tests.examples.process import ANSWERED, ASKED, TIMER_FIRED
from tests.given_when_then import GIVEN, Rules, Runs

script, schedule, execution = Rules(SCRIPT), Rules(SCHEDULE), Rules(COMMAND_EXECUTION)
watchdog = Runs(EXECUTION_WATCHDOG, "x1")

KNOWN_SCRIPT: Any = {script_stream("disk"): filled(Script, SCRIPT_CREATED)}
ONLINE = Device(status=DeviceStatus.ONLINE, description={}, tags={})
WITH_SCRIPT = GIVEN._replace(streams=KNOWN_SCRIPT)
WITH_BOTH = GIVEN._replace(streams={**KNOWN_SCRIPT, StreamId("device-42"): ONLINE})
WITH_DEVICE = GIVEN._replace(streams={StreamId("device-42"): ONLINE})

# --- scripts


def test_script_is_created_once_and_updated_where_something_is_new() -> None:
    script.given().when(CREATE_SCRIPT).then(SCRIPT_CREATED)
    script.given(SCRIPT_CREATED).when(CREATE_SCRIPT).then_refused(Kind.CONFLICT, "script disk is created already")
    script.given(SCRIPT_CREATED).when(UPDATE_SCRIPT).then(SCRIPT_UPDATED)
    script.given(SCRIPT_UPDATED).when(UPDATE_SCRIPT).then_nothing()


# --- commands of a device


def test_command_goes_to_a_device_that_is_known_and_not_retired() -> None:
    execution.given().when(RUN_COMMAND, WITH_DEVICE).then(DISPATCHED)
    reason = "device 42 is not known; register it first"
    execution.given().when(RUN_COMMAND).then_refused(Kind.NOT_FOUND, reason)
    retired = replace(ONLINE, status=DeviceStatus.DECOMMISSIONED)
    beside = GIVEN._replace(streams={StreamId("device-42"): retired})
    execution.given().when(RUN_COMMAND, beside).then_refused(Kind.NOT_ALLOWED, "device 42 is DECOMMISSIONED")
    reason = "execution x1 is known already"
    execution.given(DISPATCHED).when(RUN_COMMAND, WITH_DEVICE).then_refused(Kind.CONFLICT, reason)


def test_script_is_run_as_it_is_now() -> None:
    of_script = replace(DISPATCHED, script_id="disk", timeout_s=480)
    execution.given().when(RUN_SCRIPT, WITH_BOTH).then(of_script)
    hurried = replace(RUN_SCRIPT, timeout_s=5)
    execution.given().when(hurried, WITH_BOTH).then(replace(of_script, timeout_s=5))
    execution.given().when(RUN_SCRIPT, WITH_DEVICE).then_refused(Kind.NOT_FOUND, "script disk is not known")


def test_execution_begins_and_ends_once() -> None:
    execution.given(DISPATCHED).when(START_EXECUTION).then(COMMAND_STARTED)
    running = (DISPATCHED, COMMAND_STARTED)
    execution.given(*running).when(START_EXECUTION).then_nothing()
    execution.given(*running).when(REPORT_RESULT).then(COMPLETED)
    execution.given(*running, COMPLETED).when(REPORT_RESULT).then_nothing()
    failed = replace(REPORT_RESULT, exit_code=None, error="no such shell", stdout="", duration_ms=0)
    execution.given(*running).when(failed).then(COMMAND_FAILED)
    reason = "execution x1 has another result already"
    execution.given(*running, COMPLETED).when(failed).then_refused(Kind.CONFLICT, reason)


@pytest.mark.parametrize(("exit_code", "error"), [(None, None), (0, "both")])
def test_result_is_an_exit_code_or_an_error(exit_code: int | None, error: str | None) -> None:
    said = replace(REPORT_RESULT, exit_code=exit_code, error=error)
    reason = "a result has an exit_code if it ran, or an error if it could not: give one of them"
    execution.given(DISPATCHED).when(said).then_refused(Kind.NOT_ALLOWED, reason)


@pytest.mark.parametrize(
    ("command", "event"), [(CANCEL_EXECUTION, CANCELLED), (TIME_OUT_EXECUTION, TIMED_OUT)], ids=["cancel", "time out"]
)
def test_execution_that_is_over_is_not_ended_again_but_a_late_result_counts(command: Command, event: Event) -> None:
    execution.given(DISPATCHED).when(command).then(event)
    execution.given(DISPATCHED, COMPLETED).when(command).then_nothing()
    execution.given(DISPATCHED, event).when(command).then_nothing()
    execution.given(DISPATCHED, event).when(REPORT_RESULT).then(COMPLETED)


def test_watchdog_waits_two_minutes_longer_than_the_command_may_take() -> None:
    late = Wait("late", RECORDED_AT + timedelta(seconds=60 + 120))
    watchdog.when(DISPATCHED).then(late)
    for event in (COMPLETED, COMMAND_FAILED, TIMED_OUT, CANCELLED):
        watchdog.when(event).then(Forget("late"))
    watchdog.when(replace(TIMER_FIRED, name="late")).then(Ask("give_up", TIME_OUT_EXECUTION))
    refused = replace(ANSWERED, step="give_up")
    asked = replace(ASKED, step="give_up", attempt=1)
    watchdog.given(asked).when(refused).then(Wait("late", RECORDED_AT + timedelta(minutes=2)))


# --- schedules


def test_schedule_begins_with_its_next_time() -> None:
    schedule.given().when(SCHEDULE_SCRIPT, WITH_SCRIPT).then(SCHEDULE_CREATED)
    every = replace(SCHEDULE_SCRIPT, cron=None, every_s=90, timezone="UTC")
    in_90_s = RECORDED_AT + timedelta(seconds=90)
    schedule.given().when(every, WITH_SCRIPT).then(
        replace(SCHEDULE_CREATED, cron=None, every_s=90, timezone="UTC", next_run_at=in_90_s)
    )


@pytest.mark.parametrize(
    ("changed", "kind", "reason"),
    [
        ({"cron": None}, Kind.INVALID, "a schedule has either cron or every_s: give one of them"),
        ({"every_s": 60}, Kind.INVALID, "a schedule has either cron or every_s: give one of them"),
        ({"device_ids": ("42", "42")}, Kind.INVALID, "device_ids names 42 more than once"),
        ({"script_id": "other"}, Kind.NOT_FOUND, "script other is not known"),
        (
            {"cron": "0 0 30 2 *"},
            Kind.INVALID,
            "cron '0 0 30 2 *' is not understood (Bad day-of-month); it has five fields, like 30 2 * * 1-5",
        ),
        (
            {"cron": "*/5 * * * * *"},
            Kind.INVALID,
            "cron '*/5 * * * * *' is not understood (Bad number of fields); it has five fields, like 30 2 * * 1-5",
        ),
        (
            {"cron": "61 * * * *"},
            Kind.INVALID,
            "cron '61 * * * *' is not understood (Bad minute); it has five fields, like 30 2 * * 1-5",
        ),
    ],
)
def test_schedule_that_cannot_run_is_refused(changed: dict[str, Any], kind: Kind, reason: str) -> None:
    command = replace(SCHEDULE_SCRIPT, **changed)
    beside = WITH_SCRIPT if "script_id" not in changed else GIVEN
    schedule.given().when(command, beside).then_refused(kind, reason)


def test_schedule_fires_when_it_is_due_and_once_for_all_that_was_missed() -> None:
    schedule.given(SCHEDULE_CREATED).when(FIRE_SCHEDULE).then_nothing()
    on_time = GIVEN._replace(now=NEXT_RUN)
    schedule.given(SCHEDULE_CREATED).when(FIRE_SCHEDULE, on_time).then(SCHEDULE_FIRED)
    schedule.given(SCHEDULE_CREATED, SCHEDULE_FIRED).when(FIRE_SCHEDULE, on_time).then_nothing()
    late = GIVEN._replace(now=NEXT_RUN + timedelta(days=3, hours=1))
    fired = replace(SCHEDULE_FIRED, next_run_at=NEXT_RUN + timedelta(days=4))
    schedule.given(SCHEDULE_CREATED).when(FIRE_SCHEDULE, late).then(fired)


def test_beat_is_kept_however_late_it_fires() -> None:
    began = RECORDED_AT
    every = timedelta(seconds=90)
    assert next_beat(began, every, began) == began + every
    assert next_beat(began, every, began + timedelta(seconds=271)) == began + 4 * every


def test_schedule_is_paused_resumed_and_removed() -> None:
    schedule.given(SCHEDULE_CREATED).when(PAUSE_SCHEDULE).then(SCHEDULE_PAUSED)
    paused = (SCHEDULE_CREATED, SCHEDULE_PAUSED)
    on_time = GIVEN._replace(now=NEXT_RUN)
    schedule.given(*paused).when(FIRE_SCHEDULE, on_time).then_nothing()
    schedule.given(*paused).when(PAUSE_SCHEDULE).then_nothing()
    schedule.given(*paused).when(RESUME_SCHEDULE).then(SCHEDULE_RESUMED)
    schedule.given(SCHEDULE_CREATED).when(RESUME_SCHEDULE).then_nothing()
    schedule.given(*paused).when(REMOVE_SCHEDULE).then(SCHEDULE_REMOVED)
    removed = (SCHEDULE_CREATED, SCHEDULE_REMOVED)
    schedule.given(*removed).when(REMOVE_SCHEDULE).then_nothing()
    schedule.given(*removed).when(FIRE_SCHEDULE, on_time).then_nothing()
    for command in (PAUSE_SCHEDULE, RESUME_SCHEDULE):
        schedule.given(*removed).when(command).then_refused(Kind.NOT_ALLOWED, "schedule nightly is removed")


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        # spring leaves out 2:00 to 3:00 in Berlin: what falls into it comes when it is over
        ("30 2 * * *", "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        # autumn has 2:00 to 3:00 twice: a job of a fixed hour comes once, one of every half hour in both
        ("30 2 * * *", "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        ("*/30 * * * *", "2026-10-25T00:00", ["2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30"]),
    ],
)
def test_cron_follows_the_clock_of_its_zone(expression: str, after: str, expected: list[str]) -> None:
    at = datetime.fromisoformat(after).replace(tzinfo=UTC)
    found = []
    for _ in expected:
        at = next_cron(expression, "Europe/Berlin", at) or at
        found.append(f"{at:%Y-%m-%dT%H:%M}")
    assert found == expected
