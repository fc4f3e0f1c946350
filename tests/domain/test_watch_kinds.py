"""What ends each kind of wrong alert: wrong clocks, silence, late and repeated lines, ends by hand, flapping."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.alert import RaiseAlert
from domain.fleet.failures import sample_of_line
from domain.fleet.follow import Told
from domain.fleet.observe import close_all, missed_at, observe, pass_time, taken
from domain.fleet.rules import Failures, NoData, RateOfChange, Rule, Threshold
from domain.fleet.seen import NOTHING_SEEN, Sample, Seen, Subject, ended
from domain.fleet.watch import Watch
from tests.domain.test_observe import BEGAN, OF, at, watch

CPU = Threshold(metric="cpu", above=90)
HELD = Threshold(metric="cpu", above=90, for_s=600)
LOGINS = Failures(contains="Failed password", key_after=" from ", count=5, within_s=60)
DAY, HOUR = 86_400, 3_600
FAILED = "Failed password for root from {} port 1 ssh2"


class Device:
    """A device that reports in batches, each recorded at one moment; `alerts` says what followed."""

    def __init__(self, rule: Rule, **settings: Any) -> None:
        self.watch: Watch = replace(watch(rule), **settings)
        self.seen: Seen = NOTHING_SEEN
        self.told: list[Told] = []

    def reports(self, *readings: tuple[float, float], recorded: float | None = None) -> "Device":
        received = max(second for second, _ in readings) if recorded is None else recorded
        for second, value in readings:
            self._take(Sample(at(second), value, recorded_at=at(received)))
        return self

    def logs(self, *lines: tuple[float, str], recorded: float | None = None) -> "Device":
        assert isinstance(self.watch.rule, Failures)
        received = at(max(second for second, _ in lines) if recorded is None else recorded)
        for second, text in lines:
            self._take(sample_of_line(self.watch.rule, text, at(second), received))
        return self

    def resolved_by_hand(self, recorded: float) -> "Device":
        (found,) = [track.alert_id for track in self.seen.tracks.values() if track.alert_id]
        assert found is not None
        self.seen = ended(self.seen, found, at(recorded))
        return self

    def silent_until(self, second: float) -> "Device":
        self.seen, told = pass_time(OF, self.watch, self.seen, at(second))
        self.told += told
        return self

    def _take(self, sample: Sample) -> None:
        found = taken(self.watch.rule, self.seen, sample)
        if found is not None:
            self.seen, told = observe(OF, self.watch, *found)
            self.told += told

    @property
    def alerts(self) -> list[str]:
        return ["raised" if isinstance(one, RaiseAlert) else "resolved" for one in self.told]

    @property
    def raised(self) -> list[RaiseAlert]:
        return [one for one in self.told if isinstance(one, RaiseAlert)]


# --- clocks that are wrong


@pytest.mark.parametrize("ahead", [0, 2, HOUR, 400 * DAY])
def test_readings_ahead_of_now_are_judged_in_their_order(ahead: float) -> None:
    assert Device(CPU).reports((ahead, 10), (ahead + 1, 99), recorded=0).alerts == ["raised"]
    assert Device(CPU).reports((ahead, 99), (ahead + 5, 10), recorded=0).alerts == ["raised", "resolved"]


@pytest.mark.parametrize("ahead", [-5 * HOUR, 0, 2 * HOUR, 400 * DAY])
def test_batch_of_a_wrong_clock_keeps_its_distances(ahead: float) -> None:
    held = Device(HELD).reports(*((ahead + 60 * n, 95) for n in range(10)), recorded=0)
    assert held.alerts == []
    assert held.reports((ahead + 600, 95), recorded=1).alerts == ["raised"]
    rising = RateOfChange(metric="disk", by=10, within_s=60)
    assert Device(rising).reports(*((ahead + 60 * n, 9 * n) for n in range(20)), recorded=0).alerts == []


@pytest.mark.parametrize("ahead", [-5 * HOUR, 0, 2 * HOUR, 400 * DAY])
@pytest.mark.parametrize(("apart", "alerts"), [(600, []), (14, ["raised"]), (15, [])])
def test_burst_is_one_in_the_lines_own_time(ahead: float, apart: float, alerts: list[str]) -> None:
    lines = [(ahead + apart * n, FAILED.format("192.0.2.77")) for n in range(5)]
    assert Device(LOGINS).logs(*lines, recorded=0).alerts == alerts


def test_clock_that_is_set_back_makes_the_watch_not_deaf() -> None:
    device = Device(CPU).reports((400 * DAY, 10), (400 * DAY + 60, 10), recorded=0)
    assert device.reports((120, 99)).alerts == ["raised"]
    assert device.reports((180, 10)).alerts == ["raised", "resolved"]


def test_clock_that_is_set_back_in_part_makes_the_watch_not_deaf() -> None:
    device = Device(CPU).reports((400 * DAY, 10), recorded=0)
    assert device.reports((HOUR + 60, 99), recorded=60).alerts == ["raised"]
    assert device.reports((HOUR + 120, 10), recorded=120).alerts == ["raised", "resolved"]


def test_breach_goes_on_over_a_clock_that_is_set_back() -> None:
    device = Device(CPU, quiet_s=300).reports((2 * HOUR, 99), recorded=0)
    assert device.reports((60, 99)).reports((120, 10)).alerts == ["raised"]
    assert device.reports((360, 10)).alerts == ["raised", "resolved"]


def test_two_senders_of_one_devices_lines_may_have_different_clocks() -> None:
    device = Device(LOGINS)
    for n in range(3):
        device.logs((2 * HOUR + n * 10, FAILED.format("a")), recorded=n * 10)
        device.logs((n * 10 + 1, FAILED.format("a")))
    assert device.alerts == ["raised"]


def test_late_reading_of_a_right_clock_changes_nothing() -> None:
    device = Device(CPU).reports((DAY, 10))
    before = device.seen
    assert device.reports((HOUR, 99), recorded=DAY + 10).seen == before


cut = st.lists(st.integers(1, 5), max_size=40)
RULES: tuple[Rule, ...] = (CPU, HELD, RateOfChange(metric="cpu", by=20, within_s=120), LOGINS)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.sampled_from([0, 1, 50, 95])), max_size=40),
    cut,
    st.sampled_from(RULES),
    st.sampled_from([-DAY, 0, 2, 3 * HOUR, 400 * DAY]),
)
def test_batches_may_be_cut_anyhow(readings: list[tuple[int, int]], sizes: list[int], rule: Rule, ahead: int) -> None:
    row, second = [], ahead
    for step, value in readings:
        second += step
        row.append((second, value))
    whole, parted = Device(rule), Device(rule)
    recorded = max((at_ for at_, _ in row), default=0) - ahead
    if row:
        whole.reports(*row, recorded=recorded)
    for size in (*sizes, len(row)):
        batch, row = row[:size], row[size:]
        if batch:
            parted.reports(*batch, recorded=batch[-1][0] - ahead)
    assert parted.told == whole.told


# --- held over a silence


def test_two_readings_a_day_apart_are_not_held() -> None:
    assert Device(HELD).reports((0, 95), (DAY, 91)).alerts == []


@pytest.mark.parametrize(("silence", "alerts"), [(180, ["raised"]), (181, [])])
def test_silence_of_more_than_three_usual_intervals_breaks(silence: float, alerts: list[str]) -> None:
    device = Device(HELD).reports(*((60 * n, 50) for n in range(5)))
    device.reports(*((240 + 60 * n, 95) for n in range(1, 9)))
    assert device.reports((720 + silence, 95), (900 + silence - 180, 95)).alerts == alerts


def test_burst_of_readings_is_no_usual_interval() -> None:
    bursts = [(300 * n + second, 95) for n in range(5) for second in range(5)]
    assert Device(HELD).reports(*bursts).alerts == ["raised"]


def test_device_of_rare_readings_is_held_by_them() -> None:
    assert Device(HELD).reports(*((900 * n, 95) for n in range(6))).alerts == ["raised"]


@pytest.mark.parametrize(("gap_s", "alerts"), [(299, []), (300, ["raised"])])
def test_silence_that_breaks_may_be_stated(gap_s: int, alerts: list[str]) -> None:
    rule = replace(HELD, gap_s=gap_s)
    assert Device(rule).reports(*((300 * n, 95) for n in range(4))).alerts == alerts


def test_silence_ends_no_alert() -> None:
    device = Device(HELD).reports(*((60 * n, 95) for n in range(11)))
    assert device.reports((DAY, 95), (DAY + 60, 95)).alerts == ["raised"]


# --- late and repeated lines


def test_five_in_a_minute_are_found_however_late_and_in_whatever_order_they_come() -> None:
    rule = replace(LOGINS, late_s=300)
    lines = [(n * 10, FAILED.format("a")) for n in (4, 0, 3, 1, 2)]
    device = Device(rule).logs((200, FAILED.format("a")), *lines, recorded=250)
    assert [(one.value, one.window) for one in device.raised] == [(5, 60)]


@given(st.lists(st.integers(0, 200), min_size=1, max_size=25), st.data())
def test_order_of_lines_within_the_lateness_is_of_no_matter(seconds: list[int], data: st.DataObject) -> None:
    rule = replace(LOGINS, late_s=300)
    mixed = data.draw(st.permutations(seconds))
    lines = [(second, FAILED.format("a")) for second in mixed]
    found = Device(rule, quiet_s=DAY).logs(*lines, recorded=200).alerts
    times = sorted(seconds)
    burst = any(last - first < 60 for first, last in zip(times, times[4:], strict=False))
    assert found == (["raised"] if burst else [])


@pytest.mark.parametrize(
    "repeated",
    ["last message repeated 5 times", "--- last message repeated 5 times ---", " last message repeated 5 times\n"],
)
def test_last_message_repeated_counts_for_the_line_before_it(repeated: str) -> None:
    device = Device(LOGINS).logs((0, FAILED.format("192.0.2.51")), (30, repeated))
    assert [(one.rule, one.value) for one in device.raised] == [("loud: 192.0.2.51", 6)]


def test_last_message_repeated_of_another_line_counts_nothing() -> None:
    lines = [(0, FAILED.format("a")), (1, "Connection closed"), (2, "last message repeated 9 times")]
    assert Device(LOGINS).logs(*lines).alerts == []
    assert Device(LOGINS).logs((2, "last message repeated 9 times")).alerts == []


def test_last_message_may_be_repeated_more_than_once() -> None:
    lines = [(0, FAILED.format("a")), *((n, "last message repeated 2 times") for n in (10, 20))]
    assert [one.value for one in Device(LOGINS).logs(*lines).raised] == [5]


def test_equal_lines_of_one_second_count_each() -> None:
    assert Device(LOGINS).logs(*[(0, FAILED.format("a"))] * 4).alerts == []
    assert Device(LOGINS).logs(*[(0, FAILED.format("a"))] * 5).alerts == ["raised"]


# --- resolved by hand


def test_alert_that_is_resolved_by_hand_is_raised_again_while_the_breach_lasts() -> None:
    device = Device(CPU, quiet_s=60).reports((0, 95)).resolved_by_hand(10)
    assert device.reports((30, 96), (69, 97)).alerts == ["raised"]
    assert device.reports((70, 98)).reports((80, 99)).alerts == ["raised", "raised"]
    assert device.raised[0].alert_id != device.raised[1].alert_id


def test_the_time_until_it_is_raised_again_may_be_stated() -> None:
    device = Device(CPU, quiet_s=1, again_s=HOUR).reports((0, 95)).resolved_by_hand(10)
    assert device.reports((HOUR, 96)).alerts == ["raised"]
    assert device.reports((HOUR + 10, 96)).alerts == ["raised", "raised"]


def test_time_is_that_of_the_log_where_somebody_resolves() -> None:
    device = Device(CPU, quiet_s=60).reports((0, 95), recorded=10 * DAY).resolved_by_hand(10 * DAY)
    assert device.reports((DAY, 96), recorded=10 * DAY + 59).alerts == ["raised"]
    assert device.reports((DAY + 1, 96), recorded=10 * DAY + 60).alerts == ["raised", "raised"]


def test_alert_that_is_resolved_by_hand_is_not_resolved_once_more() -> None:
    device = Device(CPU, quiet_s=60).reports((0, 95)).resolved_by_hand(10)
    assert device.reports((100, 5)).alerts == ["raised"]
    assert close_all(device.seen, "removed") == ()
    assert device.reports((200, 95)).alerts == ["raised", "raised"]


def test_attack_that_goes_on_is_raised_again_after_it_was_resolved_by_hand() -> None:
    device = Device(LOGINS, quiet_s=60).logs(*((n, FAILED.format("a")) for n in range(5))).resolved_by_hand(10)
    for n in range(12, 100, 2):
        device.logs((n, FAILED.format("a")))
    assert device.alerts == ["raised", "raised"]


def test_alert_that_is_open_or_acknowledged_is_not_raised_twice() -> None:
    assert Device(CPU, quiet_s=1).reports(*((n * HOUR, 95) for n in range(50))).alerts == ["raised"]


# --- flapping


def swing(device: Device, times: int, apart: float = 60) -> Device:
    return device.reports(*((apart * n + half, value) for n in range(times) for half, value in ((0, 95), (30, 5))))


def test_alert_that_comes_again_and_again_stays_open_until_it_is_quiet_for_long() -> None:
    device = swing(Device(CPU, quiet_s=1, flap_count=3, flap_s=HOUR), 20)
    assert device.alerts == ["raised", "resolved", "raised", "resolved", "raised"]
    last = 19 * 60
    assert len(device.reports((last + HOUR - 1, 5)).alerts) == 5
    assert device.reports((last + HOUR, 5)).alerts[5:] == ["resolved"]


def test_guard_counts_the_alerts_of_its_time_only_and_may_be_left_out() -> None:
    assert swing(Device(CPU, quiet_s=1, flap_count=3, flap_s=100), 20).alerts == ["raised", "resolved"] * 20
    assert swing(Device(CPU, quiet_s=1, flap_count=0), 20).alerts == ["raised", "resolved"] * 20


def test_attacks_that_come_again_and_again_stay_one_alert() -> None:
    device = Device(LOGINS, quiet_s=60, flap_count=3, flap_s=HOUR)
    for attack in range(10):
        device.logs(*((300 * attack + n, FAILED.format("a")) for n in range(5)))
    assert device.alerts == ["raised", "resolved", "raised", "resolved", "raised"]


# --- nothing comes

SILENCE = NoData(after_s=600)


def test_device_of_which_nothing_comes_is_missed_once() -> None:
    device = Device(SILENCE).reports((0, 0)).silent_until(599)
    assert device.alerts == []
    assert device.silent_until(600).silent_until(DAY).alerts == ["raised"]
    (raised,) = device.raised
    assert (raised.value, raised.threshold, raised.window) == (600, 600, 600)


def test_device_that_is_there_again_is_missed_no_more_once_that_lasts() -> None:
    device = Device(SILENCE, quiet_s=120).reports((0, 0)).silent_until(600)
    assert device.reports((1_000, 0)).reports((1_119, 0)).alerts == ["raised"]
    assert device.reports((1_120, 0)).silent_until(1_719).alerts == ["raised", "resolved"]
    assert device.silent_until(1_720).alerts == ["raised", "resolved", "raised"]


@given(st.lists(st.integers(1, 2_000), max_size=20), st.lists(st.booleans(), min_size=20, max_size=20))
def test_whenever_the_time_is_looked_at_the_same_is_missed(steps: list[int], looked: Sequence[bool]) -> None:
    often, seldom = Device(SILENCE, quiet_s=60), Device(SILENCE, quiet_s=60)
    second = 0
    for step, look in zip(steps, looked, strict=False):
        if look:
            often.silent_until(second + step - 1)
        second += step
        often.reports((second, 0))
        seldom.reports((second, 0))
    assert often.told == seldom.told


def test_silence_that_somebody_resolved_is_raised_again() -> None:
    device = Device(SILENCE, quiet_s=60, again_s=HOUR).reports((0, 0)).silent_until(700).resolved_by_hand(700)
    assert device.silent_until(700 + HOUR - 1).alerts == ["raised"]
    for n in range(3):
        device.silent_until(700 + HOUR + n)
    assert device.alerts == ["raised", "raised"]
    assert device.resolved_by_hand(5 * HOUR).silent_until(6 * HOUR).alerts == ["raised"] * 3
    assert len({one.alert_id for one in device.raised}) == 3


def test_nothing_else_is_missed() -> None:
    assert missed_at(watch(SILENCE), NOTHING_SEEN) is None
    assert missed_at(watch(CPU), Device(CPU).reports((0, 1)).seen) is None


# --- levels


def test_alert_of_another_level_is_another_one() -> None:
    first: dict[int, str] = {}
    for level in (0, 1):
        _, (raised,) = observe(Subject("w1", 1, "web-1", level), watch(CPU), NOTHING_SEEN, Sample(BEGAN, 95))
        first[level] = raised.alert_id
    assert len(set(first.values())) == 2
