"""Requests counted in the memory of one process."""

import threading

import pytest

from infra.limits.memory import MemoryRateLimiter
from read_api.edge.rates import Window
from tests.contracts.rate_limiter import RateLimiterContract


class TestMemory(RateLimiterContract):
    @pytest.fixture
    def limiter(self) -> MemoryRateLimiter:
        return MemoryRateLimiter()


def test_counting_begins_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[threading.Thread] = []
    monkeypatch.setattr(threading.Thread, "start", begun.append)
    limiter = MemoryRateLimiter()
    for _ in range(3):
        limiter.count([Window("key:{acme}:a", "minute", 10)])
    assert begun == []


def test_windows_that_are_over_are_forgotten_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.limits.memory._FEW", 10)
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    limiter = MemoryRateLimiter()
    day = Window("key:{acme}:a", "day", 100)
    limiter.count([day])
    for n in range(1_000):
        now += 10
        limiter.count([Window(f"key:{{acme}}:{n}", "minute", 10)])
    assert len(limiter._used) < 20
    assert limiter.count([day]).left[0].requests == 98
