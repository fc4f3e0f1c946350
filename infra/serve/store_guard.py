"""A guard keeps a store that does not answer from taking the threads of those that do."""

from collections.abc import Callable
from functools import wraps
from inspect import isgeneratorfunction
from threading import BoundedSemaphore, Lock
from typing import Any, TypeVar, cast

from projections.stores import StoreUnavailable

T = TypeVar("T")

AT_ONCE = 12
"""Callers that one store may keep waiting: three stores leave threads of the server's 40 to other answers."""

TURN_S = 2.0


class StoreGuard:
    """Lets a few callers ask a store at once; and once it did not answer, one at a time, until it does again."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._turns = BoundedSemaphore(AT_ONCE)
        self._trying = Lock()
        self._failing = False

    def over(self, store: T) -> T:
        """Return the store with every method guarded, but for those that yield rows."""
        return cast("T", _Guarded(store, self))

    def ask(self, question: Callable[[], T]) -> T:
        """Raises: StoreUnavailable, what the store said, or that it is not asked now; safe to retry."""
        turn, wait_s = (self._trying, 0.0) if self._failing else (self._turns, TURN_S)
        if not turn.acquire(timeout=wait_s):
            raise StoreUnavailable(f"the {self._name} store does not answer: others wait for it already")
        try:
            answer = question()
        except StoreUnavailable:
            self._failing = True
            raise
        else:
            self._failing = False
            return answer
        finally:
            turn.release()


class _Guarded:
    def __init__(self, store: object, guard: StoreGuard) -> None:
        self._store = store
        self._guard = guard

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if isgeneratorfunction(method):
            return method

        @wraps(method)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            return self._guard.ask(lambda: method(*args, **kwargs))

        setattr(self, name, guarded)
        return guarded
