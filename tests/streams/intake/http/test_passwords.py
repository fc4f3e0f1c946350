"""Guessing passwords is slow."""

import pytest

from read_api.edge.problems import Problem
from streams.intake.http import passwords
from streams.intake.http.passwords import SlowDown
from tests.read_api.edge.test_auth import HandClock
from tests.streams.intake.http.ways_in import WaysIn, refused

ANN, BEN = ("acme", "ann"), ("acme", "ben")


def wait_of(slow: SlowDown, who: tuple[str, str] = ANN) -> int:
    """Try, and return how long to wait for another try; 0 where this one counted."""
    try:
        slow.try_once(who)
    except Problem as problem:
        return int(problem.headers["Retry-After"])
    return 0


def test_tries_are_free_at_first_then_each_takes_twice_as_long() -> None:
    clock = HandClock()
    slow = SlowDown(clock)
    assert [wait_of(slow) for _ in range(5)] == [0] * 5
    waits = []
    for _ in range(8):
        waits.append(wait_of(slow))
        clock.now += waits[-1]
        assert wait_of(slow) == 0
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_try_that_is_refused_does_not_count() -> None:
    clock = HandClock()
    slow = SlowDown(clock)
    assert sum(wait_of(slow) == 0 for _ in range(1_000)) == 5
    clock.now = 1.5
    assert wait_of(slow) == 0


def test_users_wait_for_themselves_alone_and_a_right_password_ends_it() -> None:
    slow = SlowDown(HandClock())
    for _ in range(6):
        wait_of(slow)
    assert wait_of(slow, BEN) == 0
    slow.succeeded(ANN)
    assert wait_of(slow) == 0


def test_tries_are_forgotten_after_a_while() -> None:
    clock = HandClock()
    slow = SlowDown(clock)
    for _ in range(6):
        wait_of(slow)
    clock.now = 901
    assert [wait_of(slow) for _ in range(5)] == [0] * 5


def test_only_so_many_users_are_remembered() -> None:
    slow = SlowDown(HandClock())
    for n in range(10_050):
        slow.try_once(("acme", f"user-{n}"))
    assert len(slow._tries) == 10_000


def test_try_that_has_no_place_does_not_count(way: WaysIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_MAX_WAITING", 0)
    ann = {"tenant_id": "acme", "user_id": "ann", "password": "wrong"}
    for _ in range(7):
        refused(way.post("/v1/sign-in", ann), 503)


def test_nobody_joins_a_tenant_that_is_suspended(way: WaysIn) -> None:
    ann = {"user_id": "ann", "email": "ann@acme.example", "roles": ["USER"]}
    token = way.post("/v1/invitations", ann, key="acme").json()["token"]
    way.post("/v1/tenants/acme/suspend", {}, key="operator").raise_for_status()
    said = {"tenant_id": "acme", "user_id": "ann", "token": token, "password": "correct horse battery staple"}
    refused(way.post("/v1/passwords", said), 403)
    way.post("/v1/tenants/acme/reactivate", {}, key="operator").raise_for_status()
    assert way.post("/v1/passwords", said).is_success
