"""One process counts requests in its memory; a restart begins anew."""

import time
from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple

from read_api.edge.rates import Counted, Left, Window

_FEW = 1_000


class _Used(NamedTuple):
    """What a window has counted. Units: `ends_at` is an instant of a clock that only goes on."""

    amount: int
    ends_at: float


class MemoryRateLimiter:
    """Counts what comes to this process.

    Shape: no thread forgets what is over, because to begin one keeps the event loop waiting for it: windows that are
    over are dropped when there are twice as many as the last time.
    """

    waits = False

    def __init__(self) -> None:
        self._used: dict[str, _Used] = {}
        self._many = _FEW
        # to look at all windows and to count in them is one step
        self._using = Lock()

    def count(self, windows: Sequence[Window], amount: int = 1, *, done: bool = False) -> Counted:
        with self._using:
            now = time.monotonic()
            used = [self._now(window, now) for window in windows]
            allowed = done or all(one.amount + amount <= window.most for one, window in zip(used, windows, strict=True))
            if allowed and amount:
                used = [one._replace(amount=one.amount + amount) for one in used]
                self._used |= zip(map(_name, windows), used, strict=True)
                self._forget(now)
        return Counted(allowed, [_left(window, one, now) for window, one in zip(windows, used, strict=True)])

    def _now(self, window: Window, now: float) -> _Used:
        """Return what a window has counted, a new one where it is over."""
        used = self._used.get(_name(window))
        return used if used is not None and now < used.ends_at else _Used(0, now + window.seconds)

    def _forget(self, now: float) -> None:
        if len(self._used) > self._many:
            self._used = {name: used for name, used in self._used.items() if now < used.ends_at}
            self._many = max(_FEW, 2 * len(self._used))


def _name(window: Window) -> str:
    return f"{window.whose}:{window.name}"


def _left(window: Window, used: _Used, now: float) -> Left:
    # a key may have fewer requests in a window by now than it has sent in it
    return Left(max(0, window.most - used.amount), used.ends_at - now if used.amount else 0.0)
