"""One process counts requests in its memory; a restart begins anew."""

import time
from collections.abc import Sequence
from threading import Lock

from limits.storage import MemoryStorage

from read_api.edge.rates import Counted, Left, Window


class MemoryRateLimiter:
    """Counts what comes to this process."""

    waits = False

    def __init__(self) -> None:
        self._counts = MemoryStorage()
        # to look at all windows and to count in them is one step
        self._using = Lock()

    def count(self, windows: Sequence[Window], amount: int = 1, *, done: bool = False) -> Counted:
        names = [f"{window.whose}:{window.name}" for window in windows]
        with self._using:
            used = [self._counts.get(name) for name in names]
            allowed = done or all(n + amount <= window.most for n, window in zip(used, windows, strict=True))
            if allowed and amount:
                used = [
                    self._counts.incr(name, window.seconds, amount) for name, window in zip(names, windows, strict=True)
                ]
            now = time.time()
            ends = [self._counts.get_expiry(name) - now if n else 0.0 for name, n in zip(names, used, strict=True)]
        return Counted(allowed, [_left(*one) for one in zip(windows, used, ends, strict=True)])


def _left(window: Window, used: int, ends_in_s: float) -> Left:
    # a key may have fewer requests in a window by now than it has sent in it
    return Left(max(0, window.most - used), max(0.0, ends_in_s))
