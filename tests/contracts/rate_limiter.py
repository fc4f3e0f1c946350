"""What every rate limiter keeps."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep

import pytest

from read_api.edge.rates import Counted, RateLimiter, Window

SHORT: Mapping[str, int] = {"minute": 1, "hour": 3_600, "day": 86_400}


def allowed(limiter: RateLimiter, *windows: Window, amount: int = 1, done: bool = False) -> Counted:
    counted = limiter.count(windows, amount, done=done)
    assert counted is not None
    return counted


class RateLimiterContract:
    @pytest.fixture
    def limiter(self) -> RateLimiter:
        raise NotImplementedError

    def test_as_many_are_allowed_as_the_window_has(self, limiter: RateLimiter) -> None:
        window = Window("key:{acme}:a", "minute", 3)
        assert [allowed(limiter, window).left[0].requests for _ in range(3)] == [2, 1, 0]
        assert not allowed(limiter, window).allowed

    def test_denied_request_is_counted_in_no_window(self, limiter: RateLimiter) -> None:
        minute, day = Window("key:{acme}:b", "minute", 1), Window("key:{acme}:b", "day", 10)
        assert allowed(limiter, minute, day).allowed
        for _ in range(5):
            denied = allowed(limiter, minute, day)
            assert not denied.allowed
            assert [left.requests for left in denied.left] == [0, 9]

    def test_to_look_counts_nothing(self, limiter: RateLimiter) -> None:
        window = Window("key:{acme}:c", "hour", 2)
        for _ in range(3):
            assert allowed(limiter, window, amount=0).left[0].requests == 2

    def test_what_is_done_is_counted_past_the_end_of_a_window(self, limiter: RateLimiter) -> None:
        window = Window("events:{acme}", "day", 10)
        assert allowed(limiter, window, amount=7, done=True).left[0].requests == 3
        assert not allowed(limiter, window, amount=7).allowed
        assert allowed(limiter, window, amount=7, done=True).left[0].requests == 0
        assert not allowed(limiter, window).allowed

    def test_window_ends_when_it_said_and_not_before(
        self, limiter: RateLimiter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("read_api.edge.rates.SECONDS", SHORT)
        window = Window("key:{acme}:d", "minute", 1)
        began = monotonic()
        assert 0.9 < allowed(limiter, window).left[0].ends_in_s <= 1
        sleep(0.5)
        ends_in_s = allowed(limiter, window).left[0].ends_in_s
        assert ends_in_s == pytest.approx(1 - (monotonic() - began), abs=0.1)
        sleep(ends_in_s - 0.1)
        assert not allowed(limiter, window).allowed
        sleep(0.15)
        assert allowed(limiter, window).allowed

    def test_keys_and_tenants_do_not_count_for_each_other(self, limiter: RateLimiter) -> None:
        windows = [Window(f"key:{{{tenant}}}:{key}", "minute", 1) for tenant in ("acme", "bolt") for key in "ef"]
        assert all(allowed(limiter, window).allowed for window in windows)

    def test_limit_that_was_lowered_holds_at_once(self, limiter: RateLimiter) -> None:
        for _ in range(5):
            allowed(limiter, Window("key:{acme}:g", "day", 9))
        lowered = allowed(limiter, Window("key:{acme}:g", "day", 3))
        assert not lowered.allowed
        assert lowered.left[0].requests == 0

    def test_many_at_once_get_no_more_than_the_window_has(self, limiter: RateLimiter) -> None:
        windows = [Window("key:{acme}:h", "minute", 40), Window("tenant:{acme}", "day", 1_000)]
        with ThreadPoolExecutor(8) as threads:
            counted = list(threads.map(lambda _: allowed(limiter, *windows).allowed, range(200)))
        assert sum(counted) == 40
        assert allowed(limiter, *windows, amount=0).left[1].requests == 960
