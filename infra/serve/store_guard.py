"""A guard keeps a store that is away from taking the threads of others, and one tenant from taking all turns."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import isgeneratorfunction, signature
from threading import Condition, Lock
from typing import Any, TypeVar, cast

from projections.stores import StoreUnavailable, TooMuchAsked
from streams.project.asking import Askers

T = TypeVar("T")

AT_ONCE = 12
"""Callers that one store may keep waiting: three stores leave threads of the server's 40 to other answers."""

OF_ONE_TENANT = 6
"""Of these, those of one tenant: its slow questions leave turns to the others."""

TURN_S = 2.0
PROBE_S = 1.0


class StoreGuard:
    """Lets a few callers ask a store at once; and once it is away, one at a time, until it answers again.

    Shape: `probe` is a question that every store answers quickly. It tells a store that is away from one question that
    took too long: a store is not closed to all because of what one tenant asks.
    """

    def __init__(self, name: str, probe: Callable[[], object]) -> None:
        self._name = name
        self._probe = probe
        self._askers = Askers([name])
        self._trying = Lock()
        self._failing = False
        self._asking: Counter[str | None] = Counter()
        self._turn_free = Condition()

    def over(self, store: T) -> T:
        """Return the store with every method guarded, but for those that yield rows."""
        return cast("T", _Guarded(store, self))

    def ask(self, question: Callable[[], T], tenant_id: str | None = None) -> T:
        """Shape: `tenant_id` is whose question it is, None for one of this process.

        Raises: StoreUnavailable, what the store said, or that it is not asked now; safe to retry.
        """
        with self._alone() if self._failing else self._turn(tenant_id):
            try:
                answer = question()
            except TooMuchAsked:
                raise
            except StoreUnavailable:
                self._failing = isinstance(self._askers.ask({self._name: self._probe}, PROBE_S)[self._name], Exception)
                raise
            self._failing = False
            return answer

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._trying.acquire(blocking=False):
            raise StoreUnavailable(f"the {self._name} store does not answer: others wait for it already")
        try:
            yield
        finally:
            self._trying.release()

    @contextmanager
    def _turn(self, tenant_id: str | None) -> Iterator[None]:
        with self._turn_free:
            if not self._turn_free.wait_for(lambda: self._is_free(tenant_id), TURN_S):
                raise StoreUnavailable(f"the {self._name} store does not answer: others wait for it already")
            self._asking[tenant_id] += 1
        try:
            yield
        finally:
            with self._turn_free:
                self._asking[tenant_id] -= 1
                # whose count stays would be remembered for ever
                self._asking += Counter()
                self._turn_free.notify_all()

    def _is_free(self, tenant_id: str | None) -> bool:
        own = 0 if tenant_id is None else self._asking[tenant_id]
        return self._asking.total() < AT_ONCE and own < OF_ONE_TENANT


class _Guarded:
    def __init__(self, store: object, guard: StoreGuard) -> None:
        self._store = store
        self._guard = guard

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if isgeneratorfunction(method):
            return method
        named = list(signature(method).parameters)
        place = named.index("tenant_id") if "tenant_id" in named else None

        @wraps(method)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            tenant_id = kwargs.get("tenant_id")
            if tenant_id is None and place is not None and place < len(args):
                tenant_id = args[place]
            return self._guard.ask(lambda: method(*args, **kwargs), tenant_id)

        setattr(self, name, guarded)
        return guarded
