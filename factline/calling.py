"""A function of somebody else's is called here: it may hang, or want to end the process, and does neither to others."""

import asyncio
import inspect
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


async def called(function: Callable[[T], Any], value: T) -> Any:
    """Return what a function or a coroutine function gives for a value.

    Shape: a function that is no coroutine has a thread by itself, which the process does not wait for at its end: those
    of the loop are few, and all else that waits would wait for it. One that asks to end the process has failed.
    Raises: what the function raises; RuntimeError, it asked to end the process.
    """
    if not inspect.iscoroutinefunction(function):
        returned = await _in_a_thread(function, value)
        if not inspect.isawaitable(returned):
            return returned
    else:
        returned = function(value)
    try:
        return await returned
    except SystemExit as error:
        raise _wants_the_end(error) from error


async def _in_a_thread(function: Callable[[T], Any], value: T) -> Any:
    loop = asyncio.get_running_loop()
    returned: asyncio.Future[Any] = loop.create_future()

    def tell(said: Any, error: BaseException | None) -> None:
        if returned.done():
            # nobody waits any more
            return
        if error is None:
            returned.set_result(said)
        else:
            returned.set_exception(error)

    def run() -> None:
        said: Any = None
        failed: BaseException | None = None
        try:
            said = function(value)
        except (SystemExit, StopIteration) as error:
            failed = _wants_the_end(error)
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            failed = error
        with suppress(RuntimeError):
            # the loop may be closed by now
            loop.call_soon_threadsafe(tell, said, failed)

    Thread(target=copy_context().run, args=(run,), name=f"called-{id(returned)}", daemon=True).start()
    return await returned


def _wants_the_end(error: BaseException) -> RuntimeError:
    # raised as it is, one would end the loop, and no future takes the other
    return RuntimeError(f"{type(error).__name__}: {error}")
