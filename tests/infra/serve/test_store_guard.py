"""A store that does not answer keeps few callers waiting, and the others hear it at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Semaphore

import pytest

from infra.serve import store_guard
from infra.serve.store_guard import AT_ONCE, OF_ONE_TENANT, StoreGuard
from projections.stores import StoreUnavailable


class Store:
    """Answers when it is let."""

    def __init__(self) -> None:
        self.let = Event()
        self.down = False
        self.asked = Semaphore(0)

    def answer(self, number: int) -> int:
        self.asked.release()
        assert self.let.wait(30)
        if self.down:
            raise StoreUnavailable("down")
        return number

    def slow(self, tenant_id: str) -> str:
        self.asked.release()
        assert self.let.wait(30)
        if tenant_id == "greedy":
            raise StoreUnavailable("the question took too long")
        return tenant_id

    def rows(self) -> Iterator[int]:
        yield from range(3)

    def probe(self) -> None:
        if self.down:
            raise StoreUnavailable("down")


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store()
    yield store
    store.let.set()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield threads


def test_answers_and_rows_pass(store: Store) -> None:
    guarded = StoreGuard("timeline", store.probe).over(store)
    store.let.set()
    assert guarded.answer(number=7) == 7
    assert list(guarded.rows()) == [0, 1, 2]


def test_caller_beyond_those_that_wait_is_told_soon(
    store: Store, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_guard, "TURN_S", 0.01)
    guarded = StoreGuard("timeline", store.probe).over(store)
    waiting = [threads.submit(guarded.answer, n) for n in range(AT_ONCE)]
    for _ in waiting:
        assert store.asked.acquire(timeout=30)
    with pytest.raises(StoreUnavailable, match="the timeline store does not answer"):
        guarded.answer(0)
    store.let.set()
    assert [one.result(30) for one in waiting] == list(range(AT_ONCE))


def test_store_that_failed_is_asked_by_one_at_a_time_until_it_answers(
    store: Store, threads: ThreadPoolExecutor
) -> None:
    guarded = StoreGuard("timeline", store.probe).over(store)
    store.down = True
    store.let.set()
    with pytest.raises(StoreUnavailable, match="down"):
        guarded.answer(0)
    store.let.clear()
    assert store.asked.acquire(timeout=30)
    trying = threads.submit(guarded.answer, 1)
    assert store.asked.acquire(timeout=30)
    with pytest.raises(StoreUnavailable, match="others wait for it already"):
        guarded.answer(2)
    store.down = False
    store.let.set()
    assert trying.result(30) == 1
    assert guarded.answer(3) == 3


def test_question_that_takes_too_long_does_not_close_a_store_that_answers_others(store: Store) -> None:
    guarded = StoreGuard("timeline", store.probe).over(store)
    store.let.set()
    with pytest.raises(StoreUnavailable, match="took too long"):
        guarded.slow("greedy")
    store.let.clear()
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(guarded.slow, tenant) for tenant in ("acme", "bolt")]
        for _ in range(3):
            assert store.asked.acquire(timeout=30)
        store.let.set()
        assert [one.result(30) for one in both] == ["acme", "bolt"]


def test_one_tenant_leaves_turns_to_the_others(
    store: Store, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_guard, "TURN_S", 0.01)
    guarded = StoreGuard("timeline", store.probe).over(store)
    waiting = [threads.submit(guarded.slow, tenant_id="acme") for _ in range(OF_ONE_TENANT)]
    for _ in waiting:
        assert store.asked.acquire(timeout=30)
    with pytest.raises(StoreUnavailable, match="others wait"):
        guarded.slow("acme")
    other = threads.submit(guarded.slow, "bolt")
    assert store.asked.acquire(timeout=30)
    store.let.set()
    assert other.result(30) == "bolt"
    assert [one.result(30) for one in waiting] == ["acme"] * OF_ONE_TENANT
    assert guarded.slow("acme") == "acme"
