"""What a watch makes of samples: given what it saw, when something is reported, then these alerts."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from domain.fleet.alert import RaiseAlert
from domain.fleet.facts import LogRecorded
from domain.fleet.failures import MAX_KEYS
from domain.fleet.follow import Told
from domain.fleet.observe import close_all, device_of, observe, sample_of, taken
from domain.fleet.rules import Anomaly, Failures, RateOfChange, Rule, Threshold
from domain.fleet.seen import NOTHING_SEEN, Sample, Seen, Subject
from domain.fleet.watch import Watch
from domain.message import Fact
from schemas.envelope import Envelope
from tests.examples import Place, envelope_of
from tests.examples.fleet import HEARTBEAT, LOG, METRICS
from tests.streams.intake.files.samples import REAL_DATA, real_data

BEGAN = datetime(2026, 1, 31, tzinfo=UTC)
OF = Subject("w1", 1, "web-1")
HIGH = Threshold(metric="cpu", above=90, clear=80, for_s=60)
LOGINS = Failures(contains="Failed password", key_after=" from ", count=3, within_s=60)


def watch(rule: Rule, quiet_s: int = 1) -> Watch:
    return Watch(name="loud", severity="warning", device_id=None, quiet_s=quiet_s, rule=rule)


def at(second: float) -> datetime:
    return BEGAN + timedelta(seconds=second)


class Telling:
    """A watch that is told of samples; `alerts` says what it raised and resolved, and when."""

    def __init__(self, rule: Rule, quiet_s: int = 1) -> None:
        self.watch = watch(rule, quiet_s)
        self.seen = NOTHING_SEEN
        self.now = at(0)
        self.told: list[Told] = []
        self.alerts: list[tuple[str, float]] = []

    def tell(self, *samples: tuple[float, float] | tuple[float, float, str], bound: float | None = None) -> "Telling":
        for second, value, *key in samples:
            # a late one is recorded after what came before it
            self.now = max(self.now, at(second))
            sample = Sample(at(second), value, key[0] if key else "", bound, self.now)
            found = taken(self.watch.rule, self.seen, sample)
            if found is None:
                continue
            self.seen, told = observe(OF, self.watch, *found)
            self.told += told
            self.alerts += [("raised" if isinstance(one, RaiseAlert) else "resolved", second) for one in told]
        return self

    @property
    def raised(self) -> RaiseAlert:
        (found,) = (one for one in self.told if isinstance(one, RaiseAlert))
        return found


# --- threshold


def test_reading_at_the_limit_for_the_duration_raises_one_alert() -> None:
    telling = Telling(HIGH).tell((0, 90), (30, 95), (59, 91), (60, 99), (90, 97))
    assert telling.alerts == [("raised", 60)]
    raised = telling.raised
    assert (raised.rule, raised.severity, raised.device_id) == ("loud", "warning", "web-1")
    assert (raised.value, raised.threshold, raised.window) == (99, 90, 60)


def test_reading_below_the_limit_in_between_begins_the_duration_anew() -> None:
    assert Telling(HIGH).tell((0, 95), (50, 89), (60, 95), (119, 95)).alerts == []
    assert Telling(HIGH).tell((0, 95), (50, 89), (60, 95), (120, 95)).alerts == [("raised", 120)]


def test_without_a_duration_the_first_reading_raises() -> None:
    telling = Telling(Threshold(metric="cpu", above=90)).tell((0, 89.9), (1, 90))
    assert telling.alerts == [("raised", 1)]
    assert telling.raised.window is None


def test_open_alert_is_resolved_only_past_the_clear_level() -> None:
    telling = Telling(HIGH).tell((0, 95), (60, 95), (70, 85), (80, 80), (90, 79))
    assert telling.alerts == [("raised", 60), ("resolved", 90)]


def test_reading_that_swings_is_one_alert_while_it_is_not_quiet_for_long_enough() -> None:
    telling = Telling(HIGH, quiet_s=300).tell((0, 95), (60, 95))
    telling.tell(*((60 + 100 * n, (70, 95)[n % 2]) for n in range(1, 10)))
    assert telling.alerts == [("raised", 60)]
    assert telling.tell((1_259, 70), (1_260, 70)).alerts == [("raised", 60), ("resolved", 1_260)]


def test_low_reading_raises_where_the_limit_is_a_lower_one() -> None:
    telling = Telling(Threshold(metric="disk_free", below=5, clear=10)).tell(
        (0, 6), (10, 5), (20, 8), (30, 10), (40, 11)
    )
    assert telling.alerts == [("raised", 10), ("resolved", 40)]


def test_next_breach_is_another_alert() -> None:
    telling = Telling(Threshold(metric="cpu", above=90)).tell((0, 95), (10, 5), (20, 95), (30, 5))
    assert telling.alerts == [("raised", 0), ("resolved", 10), ("raised", 20), ("resolved", 30)]
    ids = [one.alert_id for one in telling.told]
    assert (ids[0], ids[2]) == (ids[1], ids[3])
    assert ids[0] != ids[2]


def test_reading_that_comes_late_changes_nothing() -> None:
    telling = Telling(HIGH).tell((0, 95), (60, 95))
    before = telling.seen
    assert telling.tell((30, 10), (60, 10)).seen == before


# --- rate of change


def test_rise_by_the_amount_within_the_window_raises() -> None:
    telling = Telling(RateOfChange(metric="disk", by=10, within_s=60)).tell((0, 50), (30, 55), (60, 59.9), (90, 66))
    assert telling.alerts == [("raised", 90)]
    assert (telling.raised.value, telling.raised.threshold, telling.raised.window) == (11, 10, 60)


def test_slow_rise_raises_nothing() -> None:
    assert (
        Telling(RateOfChange(metric="disk", by=10, within_s=60)).tell(*((n * 60, n * 9) for n in range(50))).alerts
        == []
    )


def test_rise_counts_from_the_lowest_reading_of_the_window() -> None:
    telling = Telling(RateOfChange(metric="cpu", by=10, within_s=60))
    assert telling.tell((0, 50), (10, 45), (20, 48), (30, 55)).alerts == [("raised", 30)]


def test_fall_is_a_negative_change() -> None:
    telling = Telling(RateOfChange(metric="requests", by=-10, within_s=60))
    assert telling.tell((0, 50), (10, 70), (20, 60.1), (30, 60), (100, 60)).alerts == [
        ("raised", 30),
        ("resolved", 100),
    ]


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=60), st.sampled_from([5, -5]))
def test_change_is_what_comparing_all_readings_of_the_window_gives(values: list[int], by: int) -> None:
    telling = Telling(RateOfChange(metric="m", by=by, within_s=30))
    for n, value in enumerate(values):
        open_before = any(track.alert_id for track in telling.seen.tracks.values())
        telling.tell((10 * n, value))
        changes = [value - earlier for earlier in values[max(0, n - 3) : n + 1]]
        breached = max(changes) >= by if by > 0 else min(changes) <= by
        assert bool(telling.alerts and telling.alerts[-1] == ("raised", 10 * n)) == (breached and not open_before)


# --- anomaly


def test_reading_beyond_what_is_usual_raises_until_readings_are_usual_again() -> None:
    telling = Telling(Anomaly(metric="cpu"), quiet_s=60).tell((0, 5)).tell((10, 99), bound=42.5)
    assert (telling.raised.value, telling.raised.threshold, telling.raised.window) == (99, 42.5, None)
    assert telling.tell((69, 5), (70, 5)).alerts == [("raised", 10), ("resolved", 70)]


# --- failures


def test_failures_of_one_key_within_the_window_raise_and_those_of_others_do_not_count() -> None:
    telling = Telling(LOGINS).tell((0, 1, "a"), (1, 1, "b"), (2, 1, "a"), (3, 1, "b"), (4, 1, "a"))
    assert telling.alerts == [("raised", 4)]
    raised = telling.raised
    assert (raised.rule, raised.value, raised.threshold, raised.window) == ("loud: a", 3, 3, 60)


def test_failures_further_apart_than_the_window_raise_nothing() -> None:
    assert Telling(LOGINS).tell((0, 1, "a"), (30, 1, "a"), (60, 1, "a"), (90, 1, "a")).alerts == []
    assert Telling(LOGINS).tell((0, 1, "a"), (30, 1, "a"), (59, 1, "a")).alerts == [("raised", 59)]


def test_alert_is_resolved_as_time_passes_even_if_its_key_is_not_heard_of_again() -> None:
    telling = Telling(LOGINS, quiet_s=300).tell(*((n, 1, "a") for n in range(5)))
    assert telling.tell((303, 0)).alerts == [("raised", 2)]
    assert telling.tell((304, 0)).alerts == [("raised", 2), ("resolved", 304)]
    assert telling.seen.tracks == {}


def test_attack_that_goes_on_is_one_alert() -> None:
    telling = Telling(LOGINS, quiet_s=60).tell(*((10 * n, 1, "a") for n in range(100)))
    assert telling.alerts == [("raised", 20)]


def test_next_attack_of_a_key_is_another_alert() -> None:
    telling = Telling(LOGINS, quiet_s=60).tell(
        *((n, 1, "a") for n in range(3)), *((n, 1, "a") for n in range(500, 503))
    )
    assert telling.alerts == [("raised", 2), ("resolved", 500), ("raised", 502)]
    assert len({one.alert_id for one in telling.told}) == 2


def test_line_that_stands_for_many_counts_as_many() -> None:
    assert Telling(LOGINS).tell((0, 5, "a")).alerts == [("raised", 0)]


@pytest.mark.parametrize(("late_s", "now"), [(0, 60), (300, 360)])
def test_failure_that_comes_late_counts_while_its_window_and_the_stated_lateness_last(late_s: int, now: int) -> None:
    rule = replace(LOGINS, late_s=late_s)
    assert Telling(rule).tell((0, 1, "a"), (now - 1, 0), (2, 1, "a"), (1, 1, "a")).alerts == [("raised", 1)]
    assert Telling(rule).tell((0, 1, "a"), (now + 1, 0), (2, 1, "a"), (1, 1, "a")).alerts == []


def test_key_that_was_quiet_for_longest_makes_room_and_its_alert_is_resolved() -> None:
    rule = replace(LOGINS, count=1, within_s=86_400)
    telling = Telling(rule, quiet_s=86_400).tell(*((n, 1, f"k{n}") for n in range(MAX_KEYS)))
    telling.tell((2_000, 1, "k0"), (2_001, 1, "one more"))
    assert len(telling.seen.tracks) == MAX_KEYS
    assert "k1" not in telling.seen.tracks
    assert {"k0", "one more"} <= set(telling.seen.tracks)
    assert telling.alerts[-2:] == [("raised", 2_001), ("resolved", 2_001)]


times = st.lists(st.tuples(st.integers(0, 400), st.sampled_from("ab")), max_size=40)


@given(times)
def test_keys_with_enough_failures_in_some_window_are_those_that_raise(said: list[tuple[int, str]]) -> None:
    telling = Telling(LOGINS).tell(*((second, 1, key) for second, key in sorted(said)))
    by_key = defaultdict(list)
    for second, key in sorted(said):
        by_key[key].append(second)
    attacking = {
        key
        for key, found in by_key.items()
        if any(last - first < 60 for first, last in zip(found, found[2:], strict=False))
    }
    assert {one.rule for one in telling.told if isinstance(one, RaiseAlert)} == {f"loud: {key}" for key in attacking}


# --- any rule

RULES = (HIGH, RateOfChange(metric="cpu", by=20, within_s=120), LOGINS)
samples = st.lists(
    st.tuples(st.integers(-30, 90), st.sampled_from([0, 1, 50, 85, 95]), st.sampled_from("ab")), max_size=60
)


def in_a_row(said: Sequence[tuple[int, int, str]], rule: Rule) -> Iterable[tuple[float, float, str]]:
    second = 0
    for step, value, key in said:
        second += step
        yield second, value, key if isinstance(rule, Failures) else ""


@given(samples, st.sampled_from(RULES), st.sampled_from([1, 60, 300]))
@example([(0, 50, "a"), (1, 0, "a"), (-1, 50, "a"), (1, 0, "a"), (-1, 50, "a")], LOGINS, 1)
def test_alerts_are_raised_and_resolved_in_turn_each_once(said: Any, rule: Rule, quiet_s: int) -> None:
    telling = Telling(rule, quiet_s).tell(*in_a_row(said, rule))
    is_open: dict[str, bool] = {}
    for one in telling.told:
        assert is_open.get(one.alert_id) is (None if isinstance(one, RaiseAlert) else True)
        is_open[one.alert_id] = isinstance(one, RaiseAlert)
    left = {one.alert_id for one in close_all(telling.seen, "removed")}
    assert left == {id_ for id_, still in is_open.items() if still}


@given(samples, st.sampled_from(RULES), st.integers(0, 60))
def test_what_was_seen_may_be_written_down_and_read_anywhere_in_between(said: Any, rule: Rule, cut: int) -> None:
    row = list(in_a_row(said, rule))
    whole = Telling(rule).tell(*row)
    parted = Telling(rule).tell(*row[:cut])
    adapter = TypeAdapter(Seen)
    parted.seen = adapter.validate_json(adapter.dump_json(parted.seen))
    assert parted.tell(*row[cut:]).told == whole.told


def test_alerts_of_another_watch_definition_or_device_are_others() -> None:
    ids = set()
    for of in (OF, OF._replace(watch_id="w2"), OF._replace(version=2), OF._replace(device_id="web-2")):
        _, (raised,) = observe(of, watch(Threshold(metric="cpu", above=1)), NOTHING_SEEN, Sample(BEGAN, 2))
        ids.add(raised.alert_id)
    assert len(ids) == 4


def test_difference_too_large_for_a_number_is_left_out() -> None:
    telling = Telling(RateOfChange(metric="m", by=1, within_s=60)).tell((0, -1.7e308), (1, 1.7e308))
    assert telling.raised.value is None


# --- what a fact says


def fact(message: Fact, happened_at: datetime = BEGAN) -> Envelope:
    return envelope_of(message, Place(happened_at=happened_at, recorded_at=BEGAN))


def test_reading_is_found_by_its_metric() -> None:
    found = sample_of(Threshold(metric="cpu.load", above=1), fact(METRICS))
    assert found == Sample(BEGAN, 0.75, recorded_at=BEGAN)
    assert sample_of(Threshold(metric="cpu", above=1), fact(METRICS)) is None
    assert sample_of(Threshold(metric="cpu.load", above=1), fact(LOG)) is None


@pytest.mark.parametrize(
    ("summary", "value", "key"),
    [
        ("Failed password for root from 203.0.113.7 port 42 ssh2", 1, "203.0.113.7"),
        ("Failed password for x from 192.0.2.1 from 203.0.113.7 port 42 ssh2", 1, "203.0.113.7"),
        ("message repeated 5 times: [ Failed password for root from 203.0.113.7 port 42 ssh2]", 5, "203.0.113.7"),
        ("Failed password", 1, ""),
        ("Failed password from  ", 1, ""),
        ("Failed password from a\x07b", 1, "a?b"),
        ("Accepted password for ann from 203.0.113.7", 0, ""),
    ],
)
def test_log_line_says_how_many_failures_and_of_whom(summary: str, value: int, key: str) -> None:
    found = sample_of(LOGINS, fact(LogRecorded(severity="info", summary=summary)))
    assert found == Sample(BEGAN, value, key, recorded_at=BEGAN)


@pytest.mark.parametrize("message", [HEARTBEAT, METRICS])
def test_other_facts_say_nothing_of_failures(message: Fact) -> None:
    assert sample_of(LOGINS, fact(message)) is None


def test_line_without_a_failure_matters_only_while_there_are_failures() -> None:
    telling = Telling(LOGINS, quiet_s=60).tell((500, 0))
    assert telling.seen == NOTHING_SEEN
    assert telling.tell(*((n, 1, "a") for n in range(3)), (500, 0)).alerts == [("raised", 2), ("resolved", 500)]


def test_log_line_may_be_about_another_device_than_its_sender() -> None:
    assert device_of(fact(LOG)) == "43"
    assert device_of(fact(METRICS)) == "42"


# --- real attacks

OPEN_SSH = REAL_DATA / "loghub" / "OpenSSH_2k.log_structured.csv"


@real_data
def test_hosts_that_attack_in_a_real_log_are_found_and_no_other() -> None:
    rule = Failures(contains="Failed password", key_after=" from ", count=5, within_s=60)
    telling = Telling(rule, quiet_s=300)
    counted: dict[str, list[int]] = defaultdict(list)
    with OPEN_SSH.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            hour, minute, second = map(int, line["Time"].split(":"))
            moment = hour * 3_600 + minute * 60 + second
            sample = sample_of(rule, fact(LogRecorded(severity="info", summary=line["Content"])))
            assert sample is not None
            telling.tell((moment, sample.value, sample.key))
            # counted apart from the rule: by the log's own template and an expression
            if line["EventTemplate"].startswith(("Failed password", "message repeated")):
                (host,) = re.findall(r" from (\S+) port \d+ ssh2\]?$", line["Content"])
                repeated = re.match(r"message repeated (\d+) times", line["Content"])
                counted[host] += [moment] * (int(repeated[1]) if repeated else 1)
    attacking = {
        host
        for host, found in counted.items()
        if any(last - first < 60 for first, last in zip(found, found[4:], strict=False))
    }
    assert len(counted) == 23
    assert len(attacking) == 11
    assert {one.rule for one in telling.told if isinstance(one, RaiseAlert)} == {f"loud: {host}" for host in attacking}
