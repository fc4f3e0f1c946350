"""A watchdog ends a process that would wait for ever, because Kafka's client may ignore its time-outs."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LOG = logging.getLogger(__name__)

LOST = 3
"""The exit status of a worker that has to be started again."""

_LOOK_S = 0.5


@contextmanager
def looking(
    look: Callable[[], bool], then: Callable[[], object], every_s: float, name: str, *, join_s: float | None = None
) -> Iterator[None]:
    """Look every so often in another thread while the block runs, and do what follows, once, when there is reason to.

    Units: `join_s` is how long the end of the block waits for a look that goes on, None for as long as it takes.
    """
    stopping = threading.Event()

    def run() -> None:
        while not stopping.wait(every_s):
            if look() and not stopping.is_set():
                then()
                return

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(join_s)


@contextmanager
def watching(since: Callable[[], float | None], limit_s: float) -> Iterator[None]:
    """End this process with status LOST when what began at `since` lasts longer than `limit_s`.

    Shape: `since` is called from another thread, and is None while there is nothing to watch.
    Units: `since` is on the monotonic clock.
    """

    def lasts_too_long() -> bool:
        return (began := since()) is not None and time.monotonic() - began > limit_s

    def end() -> None:
        _LOG.critical("a transaction has not come to its end in %.0f s; this process ends", limit_s)
        os._exit(LOST)

    with looking(lasts_too_long, end, _LOOK_S, "watchdog"):
        yield
