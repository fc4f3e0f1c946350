"""Calls of other systems are bounded in time and number, tried again, and not made where they would only fail."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from infra.outside import NotAsked, Outside, Resting, Together


class Away(Exception):  # noqa: N818
    pass


class Hands:
    """A clock that stands where it was put."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def fails(outside: Outside, system: str, error: Exception | None = None) -> None:
    """Make a call that fails, if it is made at all."""
    with pytest.raises((Away, type(error) if error else Away, NotAsked)), outside.calling(system):
        raise error or Away


def is_asked(outside: Outside, system: str) -> bool:
    try:
        with outside.calling(system):
            return True
    except NotAsked:
        return False


def test_system_that_failed_in_a_row_is_left_alone_and_tried_by_one_call_later() -> None:
    clock = Hands()
    outside = Outside("test", Away, failures=3, rest_s=30, clock=clock)
    for _ in range(3):
        assert outside.health() == "ok"
        fails(outside, "a")
    assert not is_asked(outside, "a")
    assert is_asked(outside, "b")
    assert outside.health() == "degraded: not asked for now, because they failed too often: a"
    clock.at += 31
    with outside.calling("a"):
        # one tries; the others still wait for what it finds out
        assert not is_asked(outside, "a")
    assert is_asked(outside, "a")
    assert outside.health() == "ok"


def test_system_that_fails_its_trial_is_left_alone_again() -> None:
    clock = Hands()
    outside = Outside("test", Away, failures=2, rest_s=30, clock=clock)
    fails(outside, "a")
    fails(outside, "a")
    clock.at += 31
    fails(outside, "a")
    assert not is_asked(outside, "a")
    clock.at += 31
    assert is_asked(outside, "a")


def test_system_that_goes_on_failing_rests_longer_each_time_and_says_how_long() -> None:
    clock = Hands()
    outside = Outside("test", Away, failures=1, rest_s=30, longest_rest_s=100, clock=clock)
    for rest_s in (30, 60, 100, 100):
        fails(outside, "a")
        clock.at += 10
        with pytest.raises(Resting) as refused, outside.calling("a"):
            pass
        assert refused.value.retry_after_s == rest_s - 10
        clock.at += rest_s - 10
    with outside.calling("a"):
        with pytest.raises(Resting) as refused, outside.calling("a"):
            pass
        assert refused.value.retry_after_s == 30
    fails(outside, "a")
    clock.at += 30
    assert is_asked(outside, "a")


def test_call_may_say_itself_that_its_system_is_not_well() -> None:
    outside = Outside("test", failures=1)
    with outside.calling("a") as call:
        call.unwell = True
    assert not is_asked(outside, "a")


def test_system_of_one_is_another_system_for_somebody_else() -> None:
    outside = Outside("test", Away, failures=1, of_one=1, of_all=None)
    with pytest.raises(Away), outside.calling("a", whose="x"):
        raise Away
    with pytest.raises(NotAsked), outside.calling("a", whose="x"):
        pass
    with outside.calling("a", whose="y"), outside.calling("a", whose="z"):
        pass


def test_call_may_wait_for_a_place_and_is_refused_where_none_comes() -> None:
    outside = Outside("test", of_one=1)

    async def one(holds_s: float, wait_s: float) -> str:
        try:
            async with outside.waiting("a", whose="", wait_s=wait_s):
                await asyncio.sleep(holds_s)
                return "made"
        except NotAsked as refused:
            return f"refused, again in {refused.retry_after_s:g} s"

    async def two(holds_s: float, wait_s: float) -> list[str]:
        return list(await asyncio.gather(one(holds_s, 0), one(0, wait_s)))

    assert asyncio.run(two(0.1, 60)) == ["made", "made"]
    assert asyncio.run(two(0.5, 0.1)) == ["made", "refused, again in 5 s"]


@pytest.mark.parametrize("error", [ValueError(), TimeoutError()])
def test_what_says_nothing_against_a_system_does_not_count(error: Exception) -> None:
    outside = Outside("test", Away, failures=2)
    for _ in range(4):
        with pytest.raises((type(error), NotAsked)), outside.calling("a"):
            raise error
    assert is_asked(outside, "a") == isinstance(error, ValueError)


def test_call_that_is_left_neither_fails_nor_heals_a_system() -> None:
    outside = Outside("test", Away, failures=2)
    fails(outside, "a")
    with pytest.raises(asyncio.CancelledError), outside.calling("a"):
        raise asyncio.CancelledError
    fails(outside, "a")
    assert not is_asked(outside, "a")


def test_only_so_many_calls_run_at_a_time_of_one_and_of_all() -> None:
    outside = Outside("test", of_one=2, of_all=3)
    with outside.calling("a"), outside.calling("a"):
        assert not is_asked(outside, "a")
        with outside.calling("b"):
            assert not is_asked(outside, "c")
    assert is_asked(outside, "a")


def test_names_that_one_asks_for_make_nothing_forgotten_of_another() -> None:
    outside = Outside("tasks", Away, of_one=1, failures=1, clock=Hands())
    with pytest.raises(Away), outside.calling("dead", whose="acme"):
        raise Away
    with outside.calling("slow", whose="acme"):
        for at in range(3_000):
            with outside.calling(f"host-{at}", whose="bolt"):
                pass
        for system in ("dead", "slow"):
            with pytest.raises(NotAsked), outside.calling(system, whose="acme"):
                pass


def test_names_of_systems_do_not_fill_the_memory() -> None:
    outside = Outside("test", Away, failures=1)
    fails(outside, "first")
    for n in range(1_000):
        assert is_asked(outside, f"s{n}")
    assert outside.health() == "ok"


def called(outside: Outside, ask: Callable[[int], Any], **how: Any) -> tuple[Any, int]:
    """Return what a call gives, or raises, and how often it was tried."""
    tried = 0

    async def once() -> Any:
        nonlocal tried
        tried += 1
        found = ask(tried)
        return await found if asyncio.iscoroutine(found) else found

    try:
        return asyncio.run(outside.call("a", once, **how)), tried
    except Exception as error:
        return error, tried


def raising(error: Exception) -> None:
    raise error


def test_what_failed_is_tried_again_and_what_was_refused_is_not() -> None:
    assert called(Outside("test", Away), lambda n: "there" if n == 2 else raising(Away()), within_s=5) == ("there", 2)
    error, tried = called(Outside("test", Away), lambda _: raising(Away()), within_s=5, tries=3)
    assert (type(error), tried) == (Away, 3)
    error, tried = called(Outside("test", Away), lambda _: raising(ValueError()), within_s=5)
    assert (type(error), tried) == (ValueError, 1)


def test_time_is_for_all_tries_together() -> None:
    began = monotonic()
    error, tried = called(Outside("test", Away), lambda _: asyncio.sleep(9), within_s=0.2, tries=5)
    assert (type(error), tried) == (TimeoutError, 1)
    assert monotonic() - began < 5


def test_metrics_say_what_became_of_calls_and_name_no_system() -> None:
    outside = Outside("test", Away, failures=1)
    assert is_asked(outside, "secret.example")
    fails(outside, "secret.example")
    fails(outside, "secret.example")
    registry = CollectorRegistry()
    registry.register(outside)
    text = generate_latest(registry).decode()
    for outcome, count in (("answered", 1), ("failed", 1), ("resting", 1), ("full", 0)):
        assert f'factline_outside_calls_total{{outcome="{outcome}",purpose="test"}} {count}.0' in text
    assert 'factline_outside_resting{purpose="test"} 1.0' in text
    assert "secret" not in text


def test_calls_for_several_purposes_are_one_metric() -> None:
    one, two = Outside("one"), Outside("two")
    assert is_asked(two, "a")
    registry = CollectorRegistry()
    registry.register(Together(one, two))
    text = generate_latest(registry).decode()
    assert text.count("# TYPE factline_outside_calls_total counter") == 1
    assert 'factline_outside_calls_total{outcome="answered",purpose="one"} 0.0' in text
    assert 'factline_outside_calls_total{outcome="answered",purpose="two"} 1.0' in text
