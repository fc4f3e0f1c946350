"""Alerts of watches over the embedded log: raised and resolved once, whatever happens in between."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.catalog import event_from
from domain.fleet.alert import AlertRaised, AlertResolved, ResolveAlert
from domain.fleet.facts import DeviceHeartbeat, DeviceMetricsReported, LogRecorded
from domain.fleet.rules import Anomaly, Failures, NoData, RateOfChange, Rule, Threshold
from domain.fleet.watch import DefineWatch, RemoveWatch
from domain.identity.tenant import SuspendTenant
from domain.message import Fact
from domain.rejection import Kind
from infra.river.anomaly import RiverScorer
from infra.sqlite.event_log import SqliteEventLog
from infra.sqlite.watch_states import SqliteWatchStates
from projections.stores import StoreUnavailable
from schemas.envelope import Envelope, StreamId, TenantId, Topic
from streams.correlate.kept import LogEndsEarly
from streams.correlate.local import LocalCorrelator
from streams.correlate.sending import Send
from streams.newer import NeedsUpdate
from streams.ports import (
    FactSubmission,
    LogIdentity,
    LogUnavailable,
    Overloaded,
    Refusal,
    Reply,
    Submission,
    SystemClock,
    WatchState,
)
from streams.write.writer import Writer
from tests.examples.operations import SERVED
from tests.streams.kit import TESTER, register_tenant, submission
from tests.streams.project.test_run import unknown_from_now_on

BEGAN = datetime(2026, 1, 31, tzinfo=UTC)
CPU = Threshold(metric="cpu", above=90)
LOGINS = Failures(contains="Failed password", key_after=" from ", count=3, within_s=60)


def define(rule: Rule = CPU, *, watch: str = "w1", tenant: str = "acme", **more: Any) -> Submission:
    command = DefineWatch(watch_id=watch, name=f"{watch} of {tenant}", severity="warning", rule=rule, **more)
    return submission(command, tenant=tenant)


def at(second: float) -> datetime:
    return BEGAN + timedelta(seconds=second)


def said(second: float, fact: Fact, device: str = "web-1") -> FactSubmission:
    return FactSubmission(device, at(second), fact)


def cpu(second: float, value: float, device: str = "web-1") -> FactSubmission:
    return said(second, DeviceMetricsReported(metrics={"cpu": value, "load": 1.0}), device)


def login(second: float, host: str, device: str = "web-1") -> FactSubmission:
    return said(second, LogRecorded(severity="info", summary=f"Failed password for root from {host} port 1"), device)


class Place:
    """A data directory with its log and its writer, and correlation that may be opened any number of times."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = SqliteEventLog(folder)
        self.writer = Writer(self.log, SystemClock())
        self.writer.write([register_tenant("acme"), register_tenant("bolt")])

    def write(self, *submissions: Submission) -> list[Reply]:
        replies = self.writer.write(submissions)
        assert [reply.refusal for reply in replies if reply.refusal] == []
        return replies

    def report(self, *facts: FactSubmission, tenant: str = "acme") -> None:
        self.log.append_facts(TenantId(tenant), facts, TESTER)

    def correlate(self, states: Any = None, send: Send | None = None, *, kept: str = "correlation") -> None:
        """Read to the end of the log, in a process that is new."""
        opened = SqliteWatchStates(self.folder / f"{kept}.sqlite")
        try:
            runner = LocalCorrelator(self.log, states(opened) if states else opened, RiverScorer)
            correlation = runner.open(send or self.writer.write)
            while runner.turn(correlation):
                pass
        finally:
            opened.close()

    def alerts(self, tenant: str = "acme") -> list[tuple[str, str, float]]:
        """Return what was recorded of alerts: the stream, raised or resolved, and when it happened."""
        return [
            (entry.stream, entry.type.removeprefix("alert."), (entry.happened_at - BEGAN).total_seconds())
            for entry in self.events()
            if entry.tenant_id == tenant
        ]

    def events(self) -> list[Envelope]:
        entries = self.log.read(Topic.EVENTS, 0, after=0, limit=100_000)
        return [entry for entry in entries if isinstance(entry, Envelope) and entry.type.startswith("alert.")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    opened = Place(tmp_path)
    yield opened
    opened.log.close()


def test_watch_raises_an_alert_when_it_happened_and_resolves_it(place: Place) -> None:
    place.write(define(quiet_s=60))
    place.report(cpu(0, 50), cpu(10, 95), cpu(20, 96), cpu(100, 5))
    place.correlate()
    assert [alert[1:] for alert in place.alerts()] == [("raised", 10), ("resolved", 100)]
    raised, resolved = place.events()
    assert raised.stream == resolved.stream
    assert raised.actor.id == "watch-w1"
    assert event_from(raised) == AlertRaised(
        severity="warning", rule="w1 of acme", device_id="web-1", value=95, threshold=90, window=None
    )
    assert event_from(resolved) == AlertResolved(note="quiet for 60 s")


def test_process_that_says_how_much_was_asked_is_no_device_whose_silence_is_watched(place: Place) -> None:
    place.write(define(NoData(after_s=60)))
    place.report(cpu(0, 50), said(0, SERVED, "gateway-of-ours"))
    place.correlate()
    kept = b"".join(file.read_bytes() for file in place.folder.glob("correlation.sqlite*"))
    assert b"web-1" in kept
    assert b"gateway-of-ours" not in kept


def test_brute_force_is_found_by_host_and_device(place: Place) -> None:
    place.write(define(LOGINS))
    place.report(
        *(login(n, f"192.0.2.{n % 2}", "web-1") for n in range(6)), *(login(n, "192.0.2.1", "web-2") for n in range(2))
    )
    place.correlate()
    rules = {event_from(entry).rule for entry in place.events()}  # type: ignore[attr-defined]
    assert rules == {"w1 of acme: 192.0.2.0", "w1 of acme: 192.0.2.1"}


def test_rate_of_change_and_anomaly_raise_too(place: Place) -> None:
    place.write(define(RateOfChange(metric="cpu", by=30, within_s=60), watch="rise"))
    place.write(define(Anomaly(metric="cpu"), watch="unusual"))
    place.report(*(cpu(300 * n, 50 + math.sin(n)) for n in range(1_000)), cpu(299_701, 95))
    place.correlate()
    assert {entry.actor.id for entry in place.events()} == {"watch-rise", "watch-unusual"}


def test_watch_looks_at_what_is_recorded_after_it_and_at_its_device_alone(place: Place) -> None:
    place.report(cpu(0, 99))
    place.write(define(device_id="web-2"))
    place.report(cpu(1, 99, "web-1"), cpu(2, 99, "web-2"))
    place.correlate()
    assert [alert[1:] for alert in place.alerts()] == [("raised", 2)]


def test_watch_of_one_tenant_never_sees_facts_of_another(place: Place) -> None:
    place.write(define(tenant="acme"), define(LOGINS, watch="w2", tenant="bolt"))
    place.report(cpu(0, 99), login(1, "a"), login(2, "a"), login(3, "a"), tenant="acme")
    place.report(cpu(5, 99), login(6, "a"), login(7, "a"), tenant="bolt")
    place.correlate()
    assert [alert[1:] for alert in place.alerts("acme")] == [("raised", 0)]
    assert place.alerts("bolt") == []


def test_removed_watch_resolves_what_it_has_open_and_raises_nothing_more(place: Place) -> None:
    place.write(define())
    place.report(cpu(0, 99))
    place.correlate()
    place.write(submission(RemoveWatch(watch_id="w1"), tenant="acme"))
    place.correlate()
    place.report(cpu(10, 99))
    place.correlate()
    assert [alert[1] for alert in place.alerts()] == ["raised", "resolved"]
    assert event_from(place.events()[-1]) == AlertResolved(note="the watch was changed or removed")


def test_changed_watch_begins_anew(place: Place) -> None:
    place.write(define())
    place.report(cpu(0, 95))
    place.correlate()
    place.write(define(Threshold(metric="cpu", above=97)))
    place.report(cpu(10, 96), cpu(20, 98))
    place.correlate()
    assert [alert[1] for alert in place.alerts()] == ["raised", "resolved", "raised"]
    assert len({alert[0] for alert in place.alerts()}) == 2


def test_alert_that_a_person_resolved_stays_so(place: Place) -> None:
    place.write(define(quiet_s=1))
    place.report(cpu(0, 95))
    place.correlate()
    alert_id = place.alerts()[0][0].removeprefix("alert-")
    place.write(submission(ResolveAlert(alert_id=alert_id), tenant="acme"))
    place.report(cpu(10, 95), cpu(20, 5))
    place.correlate()
    assert [alert[1] for alert in place.alerts()] == ["raised", "resolved"]


def test_alert_of_a_suspended_tenant_is_refused_and_others_go_on(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.write(define(tenant="acme"), define(tenant="bolt"))
    place.report(cpu(0, 95), tenant="acme")
    place.report(cpu(0, 95), tenant="bolt")
    place.write(submission(SuspendTenant(tenant_id="acme", reason="unpaid"), tenant="acme"))
    with caplog.at_level(logging.WARNING):
        place.correlate()
    assert place.alerts("acme") == []
    assert [alert[1] for alert in place.alerts("bolt")] == ["raised"]
    assert "tenant is SUSPENDED" in caplog.text


def test_second_worker_and_a_replay_from_the_beginning_add_nothing(place: Place) -> None:
    place.write(define(quiet_s=1), define(LOGINS, watch="w2", quiet_s=1))
    place.report(
        *(cpu(n, (5, 95)[n // 5 % 2]) for n in range(50)), *(login(n, "a") for n in range(10)), login(100, "b")
    )
    place.correlate()
    alerts = place.alerts()
    assert len(alerts) > 5
    place.correlate(kept="another")
    place.correlate(kept="lost its states")
    assert place.alerts() == alerts


def test_writer_that_does_not_take_the_command_now_is_asked_again(place: Place) -> None:
    place.write(define())
    place.report(cpu(0, 95))
    answers: Iterator[Any] = iter([LogUnavailable("no"), Overloaded(), Kind.NOT_NOW, None])

    def send(submissions: Sequence[Submission]) -> Sequence[Reply]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        if answer is Kind.NOT_NOW:
            refusal = Refusal(answer, "later")
            return [Reply(one.command_id, "refused", one.command.stream, 0, refusal=refusal) for one in submissions]
        return place.writer.write(submissions)

    states = SqliteWatchStates(place.folder / "correlation.sqlite")
    runner = LocalCorrelator(place.log, states, RiverScorer)
    correlation = runner.open(send)
    for error in (LogUnavailable, Overloaded, LogUnavailable):
        with pytest.raises(error):
            runner.turn(correlation)
        assert place.alerts() == []
    runner.turn(correlation)
    assert [alert[1:] for alert in place.alerts()] == [("raised", 0)]
    states.close()


def test_facts_of_tenants_without_watches_are_not_even_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.report(*(cpu(n, 95) for n in range(10)))
    read = place.log.read

    def events_only(topic: Topic, *args: Any, **more: Any) -> Any:
        assert topic is Topic.EVENTS
        return read(topic, *args, **more)

    monkeypatch.setattr(place.log, "read", events_only)
    place.correlate()


def test_thread_follows_the_log_and_goes_on_when_the_store_does_again(place: Place) -> None:
    opened = SqliteWatchStates(place.folder / "correlation.sqlite")
    failing = Crashing(opened, iter([1, 0]), StoreUnavailable)
    runner = LocalCorrelator(place.log, failing, RiverScorer)
    runner.start(place.writer.write)
    place.write(define())
    place.report(cpu(0, 95))
    assert place.log.wait({(Topic.EVENTS, 0): 3}, 30)
    runner.stop()
    opened.close()
    assert [alert[1:] for alert in place.alerts()] == [("raised", 0)]
    assert runner.error is None


def test_older_log_below_what_is_known_is_noticed(place: Place, tmp_path: Path) -> None:
    place.write(define())
    place.report(cpu(0, 95))
    place.correlate()
    (tmp_path / "older").mkdir()
    older = Place(tmp_path / "older")
    (tmp_path / "older" / "correlation.sqlite").write_bytes((tmp_path / "correlation.sqlite").read_bytes())
    with pytest.raises(LogEndsEarly, match="an older log was restored below it; remove"):
        older.correlate()
    older.log.close()


def test_what_is_known_of_another_log_is_not_gone_on_with_and_what_says_nothing_is_taken_over_once(
    place: Place,
) -> None:
    place.write(define())
    place.report(cpu(0, 95))
    # nobody said which log it is, as in an earlier version
    place.correlate()
    place.log._identity = LogIdentity("here", 1)
    place.correlate()
    place.log._identity = LogIdentity("here", 2)
    with pytest.raises(LogEndsEarly, match="has read another log, here/1, and not this one, here/2; remove"):
        place.correlate()
    assert len(place.alerts()) == 1


def test_events_are_looked_through_again_for_what_an_earlier_version_did_not_look_for_also_after_a_crash(
    place: Place,
) -> None:
    place.log._identity = LogIdentity("here", 1)
    end = place.log.end(Topic.EVENTS, 0)
    opened = SqliteWatchStates(place.folder / "correlation.sqlite")
    opened.keep(0, [WatchState("progress", end, f"[{end}, 0]".encode())])
    for _ in range(2):
        assert LocalCorrelator(place.log, opened, RiverScorer).open(place.writer.write).events == 0
    opened.close()


def test_thread_that_met_an_older_log_stops_and_says_so(place: Place, tmp_path: Path) -> None:
    opened = SqliteWatchStates(tmp_path / "correlation.sqlite")
    opened.keep(0, [WatchState("progress", 1_000, b"[1000, 0]")])
    runner = LocalCorrelator(place.log, opened, RiverScorer)
    runner.start(place.writer.write)
    deadline = time.monotonic() + 30
    while runner.error is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    runner.stop()
    assert runner.error == (
        "stopped: correlation has read events/0 up to 1000, the log ends at 2: an older log was restored below it;"
        " remove what correlation keeps, it is made again from the log"
    )
    opened.close()


def test_fact_of_a_newer_release_is_waited_for_and_what_came_before_it_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write(define())
    place.report(cpu(0, 95))
    place.report(login(1, "10.0.0.1"), cpu(2, 10))
    with monkeypatch.context() as older:
        unknown_from_now_on(older, "log.recorded")
        for _ in range(2):
            with pytest.raises(NeedsUpdate, match=r"correlation waits before telemetry/0/3, .* update this worker"):
                place.correlate()
        assert len(place.alerts()) == 1
    place.correlate()


def test_watch_of_a_newer_release_is_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write(define())
    with monkeypatch.context() as older:
        unknown_from_now_on(older, "watch.defined")
        with pytest.raises(NeedsUpdate, match=r"of the type watch.defined"):
            place.correlate()


# --- killed anywhere


class Killed(Exception):  # noqa: N818
    """The process ended here; started again it goes on."""


class Crashing:
    """Stores and senders that fail after some of a write: `after` says how much of each call is done."""

    def __init__(self, states: SqliteWatchStates, after: Iterator[int | None], error: type[Exception] = Killed) -> None:
        self._states = states
        self._after = after
        self._error = error

    def load(self, partition: int) -> Sequence[WatchState]:
        return self._states.load(partition)

    def keep(self, partition: int, states: Sequence[WatchState]) -> None:
        done = next(self._after, None)
        if done is None:
            return self._states.keep(partition, states)
        # what a store without transactions may leave behind: the first of them
        self._states.keep(partition, states[:done])
        raise self._error


def crashing_send(writer: Writer, after: Iterator[int | None]) -> Send:
    def send(submissions: Sequence[Submission]) -> Sequence[Reply]:
        done = next(after, None)
        if done is None:
            return writer.write(submissions)
        writer.write(submissions[:done])
        raise Killed

    return send


steps = st.lists(
    st.one_of(
        st.tuples(st.just("cpu"), st.sampled_from([5, 85, 95]), st.sampled_from(["web-1", "web-2"])),
        st.tuples(st.just("login"), st.sampled_from("ab"), st.just("web-1")),
        st.tuples(st.just("quiet"), st.just(0), st.just("web-1")),
    ),
    max_size=60,
)
ENDINGS = {
    "removed": submission(RemoveWatch(watch_id="w1"), tenant="acme"),
    "changed": define(Threshold(metric="cpu", above=94), quiet_s=40),
}
cuts = st.lists(st.sampled_from([None, 0, 1, 2, 3]), min_size=2, max_size=12)


def facts_of(said_: Sequence[tuple[str, Any, str]]) -> list[FactSubmission]:
    make: dict[str, Callable[[int, Any, str], FactSubmission]] = {
        "cpu": cpu,
        "login": login,
        "quiet": lambda second, _, device: said(second, LogRecorded(severity="info", summary="-"), device),
    }
    facts = [make[kind](20 * n, value, device) for n, (kind, value, device) in enumerate(said_)]
    return [*facts, said(20 * len(facts), DeviceHeartbeat())]


def test_fact_that_is_read_again_is_not_counted_again(place: Place) -> None:
    place.write(define(LOGINS))
    place.report(login(0, "a"), login(1, "a"))
    # what was seen is kept, how far it was read is not
    until_done(place, iter([1]), iter(()))
    assert place.alerts() == []


@given(said_=steps, kept=cuts, sent=cuts, parts=st.integers(1, 5), ending=st.sampled_from([None, *ENDINGS]))
@settings(max_examples=60)
def test_killed_anywhere_the_alerts_are_those_of_a_run_that_was_not(
    *, said_: Any, kept: Any, sent: Any, parts: int, ending: str | None
) -> None:
    found = []
    for after_kept, after_sent in ((iter(()), iter(())), (iter(kept), iter(sent))):
        with TemporaryDirectory() as folder:
            place = Place(Path(folder))
            place.write(
                define(Threshold(metric="cpu", above=90, clear=80, for_s=20), quiet_s=40),
                define(RateOfChange(metric="cpu", by=10, within_s=60), watch="w2", quiet_s=60),
                define(LOGINS, watch="w3", quiet_s=100),
            )
            facts = facts_of(said_)
            size = math.ceil(len(facts) / parts)
            for start in range(0, len(facts), size):
                place.report(*facts[start : start + size])
                until_done(place, after_kept, after_sent)
            if ending:
                place.write(ENDINGS[ending])
                until_done(place, after_kept, after_sent)
            place.report(*(cpu(100_000 + n, 95) for n in range(2)))
            until_done(place, after_kept, after_sent)
            # what a command resolves is resolved when it is given
            found.append(sorted(alert if alert[2] < 1e6 else alert[:2] for alert in place.alerts()))
            assert all(entry.version == (1 if entry.type == "alert.raised" else 2) for entry in place.events())
            place.log.close()
    assert found[0] == found[1]


def until_done(place: Place, kept: Iterator[int | None], sent: Iterator[int | None]) -> None:
    while True:
        try:
            place.correlate(lambda states: Crashing(states, kept), crashing_send(place.writer, sent))
        except Killed:
            continue
        return


def test_the_streams_of_alerts_are_named_by_what_began_them(tmp_path: Path) -> None:
    names: set[StreamId] = set()
    for n in range(2):
        (tmp_path / str(n)).mkdir()
        place = Place(tmp_path / str(n))
        place.write(define())
        place.report(cpu(0, 95))
        place.correlate()
        names |= {entry.stream for entry in place.events()}
        place.log.close()
    assert len(names) == 1
