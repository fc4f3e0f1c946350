"""A store that does not answer keeps few callers waiting, and the others hear it at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Semaphore

import pytest

from infra.serve import store_guard
from infra.serve.store_guard import AT_ONCE, StoreGuard
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

    def rows(self) -> Iterator[int]:
        yield from range(3)


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
    guarded = StoreGuard("timeline").over(store)
    store.let.set()
    assert guarded.answer(number=7) == 7
    assert list(guarded.rows()) == [0, 1, 2]


def test_caller_beyond_those_that_wait_is_told_soon(
    store: Store, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_guard, "TURN_S", 0.01)
    guarded = StoreGuard("timeline").over(store)
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
    guarded = StoreGuard("timeline").over(store)
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
