"""Watches over the embedded log: clocks ahead, gaps, ends by hand, silence, maintenance, and looking back."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.catalog import event_from
from domain.fleet.alert import AcknowledgeAlert, AlertRaised, ResolveAlert
from domain.fleet.device import RegisterDevice, TagDevice
from domain.fleet.facts import DeviceHeartbeat, LogRecorded
from domain.fleet.maintenance import CancelMaintenance, PlanMaintenance
from domain.fleet.rules import Failures, Level, NoData, Rule, Threshold
from domain.message import Command
from infra.river.anomaly import RiverScorer
from infra.sqlite.event_log import SqliteEventLog
from infra.sqlite.watch_states import SqliteWatchStates
from schemas.envelope import TenantId, Topic
from streams.correlate import past
from streams.correlate.local import LocalCorrelator
from streams.ports import FactSubmission
from streams.write.writer import Writer
from tests.streams.correlate.test_run import BEGAN, CPU, cpu, define, login, said
from tests.streams.kit import TESTER, register_tenant, submission

LOGINS = Failures(contains="Failed password", key_after=" from ", count=5, within_s=60)
HOUR = 3_600


class Turned:
    """A clock that a test turns; it begins when the facts of the tests happen."""

    def __init__(self) -> None:
        self.second = 0.0

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=self.second)


class Timed:
    """A log whose clock is turned, and the watches over it, opened anew for each look."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, Turned()
        self.log = SqliteEventLog(folder, self.clock)
        self.writer = Writer(self.log, self.clock)
        self.writer.write([register_tenant("acme")])

    def do(self, *commands: Command) -> "Timed":
        replies = self.writer.write([submission(command, tenant="acme") for command in commands])
        assert [reply.refusal for reply in replies if reply.refusal] == []
        return self

    def watch(self, rule: Rule, **more: Any) -> "Timed":
        self.writer.write([define(rule, **more)])
        return self

    def report(self, *facts: FactSubmission, at: float) -> "Timed":
        self.clock.second = at
        self.log.append_facts(TenantId("acme"), facts, TESTER)
        return self.look()

    def look(self, at: float | None = None, kept: str = "kept", turns: int = 1_000) -> "Timed":
        """Correlate until nothing is left, or as if the process ended after so many turns."""
        self.clock.second = self.clock.second if at is None else at
        states = SqliteWatchStates(self.folder / f"{kept}.sqlite")
        runner = LocalCorrelator(self.log, states, RiverScorer, self.clock)
        correlation = runner.open(self.writer.write)
        while turns and runner.turn(correlation):
            turns -= 1
        states.close()
        return self

    @property
    def alerts(self) -> list[tuple[str, float]]:
        entries = self.log.read(Topic.EVENTS, 0, after=0, limit=10_000)
        return [
            (entry.type.removeprefix("alert."), (entry.happened_at - BEGAN).total_seconds())  # type: ignore[union-attr]
            for entry in entries
            if entry.type.startswith("alert.")
        ]

    @property
    def raised(self) -> list[AlertRaised]:
        entries = self.log.read(Topic.EVENTS, 0, after=0, limit=10_000)
        return [event_from(one) for one in entries if one.type == "alert.raised"]  # type: ignore[misc,arg-type]

    def open_alert(self) -> str:
        entries = self.log.read(Topic.EVENTS, 0, after=0, limit=10_000)
        return [entry.stream for entry in entries if entry.type == "alert.raised"][-1].removeprefix("alert-")


@pytest.fixture
def timed(tmp_path: Path) -> Iterator[Timed]:
    opened = Timed(tmp_path)
    yield opened
    opened.log.close()


def line(second: float, text: str) -> FactSubmission:
    return said(second, LogRecorded(severity="info", summary=text))


# --- the cases


def test_readings_of_a_clock_that_is_ahead_raise_an_alert_that_is_not(timed: Timed) -> None:
    timed.watch(CPU).report(cpu(12, 10), cpu(13, 99), at=10)
    assert timed.alerts == [("raised", 10)]


def test_failures_of_an_hour_in_one_batch_are_no_burst(timed: Timed) -> None:
    lines = [login(2 * HOUR + 600 * n, "192.0.2.77") for n in range(6)]
    assert timed.watch(LOGINS).report(*lines, at=10).alerts == []


def test_two_readings_a_day_apart_are_not_held(timed: Timed) -> None:
    rule = Threshold(metric="cpu", above=90, for_s=600)
    assert timed.watch(rule).report(cpu(-86_400, 95), cpu(-1, 91), at=10).alerts == []


def test_last_message_repeated_is_five_more_of_the_line_before(timed: Timed) -> None:
    failed = line(-60, "Failed password for root from 192.0.2.51 port 1 ssh2")
    timed.watch(LOGINS).report(failed, line(-30, "last message repeated 5 times"), at=10)
    (raised,) = timed.raised
    assert (raised.rule, raised.value) == ("w1 of acme: 192.0.2.51", 6)


def test_alert_that_is_resolved_by_hand_is_raised_again_while_it_lasts(timed: Timed) -> None:
    timed.watch(CPU, quiet_s=1).report(cpu(10, 95), at=10)
    timed.do(ResolveAlert(alert_id=timed.open_alert(), note="by hand"))
    timed.report(cpu(10.5, 96), at=10.5)
    assert [kind for kind, _ in timed.alerts] == ["raised", "resolved"]
    timed.report(cpu(12, 97), at=12).report(cpu(13, 98), at=13)
    assert timed.alerts[2:] == [("raised", 12)]
    alerts = timed.alerts
    assert timed.look(kept="lost").alerts == alerts


def test_acknowledged_alert_is_not_raised_twice(timed: Timed) -> None:
    timed.watch(CPU, quiet_s=1).report(cpu(10, 95), at=10)
    timed.do(AcknowledgeAlert(alert_id=timed.open_alert()))
    timed.report(cpu(20, 96), at=20).report(cpu(HOUR, 96), at=HOUR)
    assert [kind for kind, _ in timed.alerts] == ["raised", "acknowledged"]


# --- levels


def test_each_level_that_is_reached_is_an_alert_of_its_own_severity(timed: Timed) -> None:
    levels = (Level(severity="critical", limit=95), Level(severity="emergency", limit=99))
    timed.watch(CPU, quiet_s=1, levels=levels).report(cpu(10, 91), cpu(20, 96), cpu(30, 5), at=30)
    assert [(one.severity, one.threshold) for one in timed.raised] == [("warning", 90), ("critical", 95)]
    assert [kind for kind, _ in timed.alerts].count("resolved") == 2


# --- silence


def test_device_of_which_nothing_comes_is_missed_and_found_again(timed: Timed) -> None:
    timed.watch(NoData(after_s=60), quiet_s=10).report(said(10, DeviceHeartbeat()), at=10)
    assert timed.look(at=70).alerts == []
    assert timed.look(at=76).look(at=90).alerts == [("raised", 70)]
    timed.report(cpu(100, 1), at=100).report(cpu(111, 1), at=111)
    assert timed.alerts == [("raised", 70), ("resolved", 111)]
    assert timed.look(kept="lost").alerts == [("raised", 70), ("resolved", 111)]


def test_device_is_missed_when_others_report_later(timed: Timed) -> None:
    timed.watch(NoData(metric="cpu", after_s=60)).report(cpu(10, 1, "a"), cpu(10, 1, "b"), at=10)
    timed.report(cpu(75, 1, "a"), at=75)
    assert [one.device_id for one in timed.raised] == ["b", "a"] or {one.device_id for one in timed.raised} == {
        "a",
        "b",
    }


def test_device_that_a_watch_names_is_missed_if_it_never_reports(timed: Timed) -> None:
    timed.watch(NoData(after_s=60), device_id="web-9").look().look(at=70)
    assert [one.device_id for one in timed.raised] == ["web-9"]


def test_other_metrics_are_no_sign_of_the_one_that_is_watched(timed: Timed) -> None:
    timed.watch(NoData(metric="disk", after_s=60), device_id="web-1").look()
    timed.report(cpu(70, 1), at=70)
    assert [one.device_id for one in timed.raised] == ["web-1"]


# --- maintenance


def plan(begins: float, ends: float, **of: Any) -> PlanMaintenance:
    times: dict[str, Any] = {"begins_at": BEGAN + timedelta(seconds=begins), "ends_at": BEGAN + timedelta(seconds=ends)}
    return PlanMaintenance(maintenance_id="m1", **times, **of)


def test_what_a_device_reports_under_maintenance_raises_nothing(timed: Timed) -> None:
    timed.watch(CPU).do(plan(10, 20, device_id="web-1"))
    timed.report(cpu(10, 99), cpu(19, 99), cpu(15, 99, "web-2"), at=19)
    assert [one.device_id for one in timed.raised] == ["web-2"]
    assert timed.report(cpu(20, 99), at=20).alerts == [("raised", 15), ("raised", 20)]


def test_maintenance_is_of_the_devices_with_a_tag(timed: Timed) -> None:
    for device in ("web-1", "web-2", "web-3"):
        timed.do(RegisterDevice(device_id=device, hostname=device))
    timed.do(TagDevice(device_id="web-1", key="site", value="Berlin"))
    timed.do(TagDevice(device_id="web-2", key="site", value="Oslo"))
    timed.watch(CPU).do(plan(10, 20, tag_key="site", tag_value="Berlin"))
    timed.report(*(cpu(15, 99, device) for device in ("web-1", "web-2", "web-3")), at=15)
    assert [one.device_id for one in timed.raised] == ["web-2", "web-3"]
    timed.do(plan(10, 20, tag_key="site")).report(cpu(16, 1, "web-2"), cpu(17, 1, "web-2"), at=17)
    assert len(timed.alerts) == 2


def test_maintenance_that_is_cancelled_ends_then_also_when_all_is_read_again(timed: Timed) -> None:
    timed.watch(CPU).do(plan(0, HOUR, device_id="web-1")).report(cpu(10, 99), at=10)
    timed.look(at=15).do(CancelMaintenance(maintenance_id="m1")).report(cpu(20, 99), at=20)
    assert timed.alerts == [("raised", 20)]
    assert timed.look(kept="lost").alerts == [("raised", 20)]


def test_device_under_maintenance_is_not_missed_before_its_end(timed: Timed) -> None:
    timed.watch(NoData(after_s=60)).do(plan(30, 600, device_id="web-1")).report(cpu(10, 1), at=10)
    assert timed.look(at=650).alerts == []
    assert timed.look(at=666).alerts == [("raised", 660)]


# --- what was recorded before a watch


def test_new_watch_looks_back_as_far_as_it_says(timed: Timed) -> None:
    for second in range(0, 100, 10):
        timed.report(cpu(second, 99 if second in {20, 60} else 5), at=second)
    timed.watch(CPU, quiet_s=1, look_back_s=50).look(at=100)
    assert timed.alerts == [("raised", 60), ("resolved", 70)]
    timed.report(cpu(100, 99), at=101)
    assert timed.alerts[2:] == [("raised", 100)]
    alerts = timed.alerts
    assert timed.look(kept="lost").alerts == alerts


def test_new_watch_that_does_not_say_so_looks_not_back(timed: Timed) -> None:
    assert timed.report(cpu(1, 99), at=1).look(at=5).watch(CPU).look(at=10).alerts == []


def test_long_past_is_looked_at_in_parts(timed: Timed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "PART_RECORDS", 3)
    for second in range(0, 100, 10):
        timed.report(cpu(second, 99 if second in {20, 60} else 5), at=second)
    timed.watch(CPU, quiet_s=1, look_back_s=90).watch(CPU, watch="w2", look_back_s=10, quiet_s=1).look(at=100)
    assert timed.alerts == [("raised", 20), ("resolved", 30), ("raised", 60), ("resolved", 70)]


@pytest.mark.parametrize("turns", [1, 2, 3, 4])
def test_watch_that_was_interrupted_while_it_looked_back_looks_back_all_the_same(
    timed: Timed, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    monkeypatch.setattr(past, "PART_RECORDS", 3)
    timed.watch(CPU, watch="first", quiet_s=1)
    for second in range(0, 100, 10):
        timed.report(cpu(second, 99 if second == 60 else 5), at=second)
    before = timed.alerts
    timed.watch(CPU, watch="second", quiet_s=1, look_back_s=90).look(at=100, turns=turns).look(at=100)
    assert timed.alerts[len(before) :] == [("raised", 60), ("resolved", 70)]
