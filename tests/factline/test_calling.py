"""Functions of others are called without harm to whoever calls them."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from factline.calling import called


class NoThreads(ThreadPoolExecutor):
    """Those of the loop, of which there are few."""

    def submit(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("it takes a thread that all share")


def test_functions_that_hang_take_no_thread_that_all_share() -> None:
    goes_on, begun = threading.Event(), threading.Semaphore(0)

    def hang(value: int) -> int:
        begun.release()
        goes_on.wait(60)
        return value

    async def asked() -> Any:
        asyncio.get_running_loop().set_default_executor(NoThreads())
        hanging = [asyncio.ensure_future(called(hang, n)) for n in range(100)]
        await asyncio.sleep(0)
        for _ in hanging:
            assert begun.acquire(timeout=30)
        goes_on.set()
        return await asyncio.gather(*hanging)

    assert asyncio.run(asked()) == list(range(100))


def test_process_does_not_wait_for_a_function_that_hangs() -> None:
    goes_on, threads = threading.Event(), list[threading.Thread]()

    def hang(_: int) -> None:
        threads.append(threading.current_thread())
        goes_on.wait(60)

    async def given_up() -> None:
        doing = asyncio.ensure_future(called(hang, 1))
        while not threads:  # noqa: ASYNC110 - the thread begins soon
            await asyncio.sleep(0)
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)

    # it ends although the function does not
    asyncio.run(given_up())
    assert threads[0].daemon
    goes_on.set()
    threads[0].join()


def ends(_: int) -> None:
    raise SystemExit("no more")


async def ends_too(_: int) -> None:
    raise SystemExit("no more")


def stops(_: int) -> None:
    raise StopIteration


@pytest.mark.parametrize("function", [ends, ends_too, stops])
def test_function_that_wants_to_end_the_process_has_failed(function: Any) -> None:
    with pytest.raises(RuntimeError, match=r"SystemExit: no more|StopIteration"):
        asyncio.run(called(function, 1))


async def doubled(value: int) -> int:
    return 2 * value


def wrapped(value: int) -> Any:
    return doubled(value)


@pytest.mark.parametrize("function", [doubled, wrapped, lambda value: 2 * value])
def test_what_a_function_gives_is_returned_whether_it_is_a_coroutine_or_not(function: Any) -> None:
    assert asyncio.run(called(function, 21)) == 42
