"""Waiting for what must happen, however busy the machine is."""

import time
from collections.abc import Callable
from typing import Any

WITHIN_S = 180.0
POLL_S = 0.05


def eventually(ask: Callable[[], Any], said: Callable[[], str] = str) -> Any:
    """Return the first answer that counts as true; `said` tells what is known when there is none in time."""
    deadline = time.monotonic() + WITHIN_S
    while not (answer := ask()):
        assert time.monotonic() < deadline, said() or "it did not come to that in time"
        time.sleep(POLL_S)
    return answer
