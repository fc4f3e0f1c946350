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
def watching(since: Callable[[], float | None], limit_s: float) -> Iterator[None]:
    """End this process with status LOST when what began at `since` lasts longer than `limit_s`.

    Shape: `since` is called from another thread, and is None while there is nothing to watch.
    Units: `since` is on the monotonic clock.
    """
    stopping = threading.Event()

    def watch() -> None:
        while not stopping.wait(_LOOK_S):
            if (began := since()) is not None and time.monotonic() - began > limit_s:
                _LOG.critical("a transaction has not come to its end in %.0f s; this process ends", limit_s)
                os._exit(LOST)

    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
