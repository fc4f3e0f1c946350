"""Systems that are not factline's own are asked through here: one that is away or slow holds up nothing else."""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from projections.operations import DEGRADED, OK

T = TypeVar("T")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_FULL_S = 5.0
_LOOK_S = 0.05
_REMEMBERED = 1_000
_NAMED = 3


class NotAsked(Exception):  # noqa: N818
    """A system is not asked for now, because too many ask already; retry after `retry_after_s`."""

    def __init__(self, why: str, retry_after_s: float) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s


class Resting(NotAsked):
    """A system is not asked for now, because it failed too often; retry after `retry_after_s`."""


@dataclass
class Call:
    """A call that runs. Shape: whoever makes it sets `unwell` where the answer says that the system is not well."""

    unwell: bool = False


@dataclass
class _System:
    """What is known of a system. Units: `rests_until` is an instant of a clock that only goes on."""

    running: int = 0
    failed: int = 0
    rest_s: float = 0.0
    rests_until: float = 0.0


class Counted(NamedTuple):
    """Shape: `calls` are counted by what became of them."""

    calls: Counter[str]
    running: int
    resting: int


class Outside(Collector):
    """Calls for one purpose, to any number of systems. Threads and event loops may share it.

    Shape: of each system `of_one` calls run at a time, of all `of_all`; one more is refused at once and does not wait.
    A system that failed `failures` times in a row is left alone for `rest_s`, then one call tries it; if that fails
    too, it rests for twice as long, and so on up to `longest_rest_s`. It fails where a call raises TimeoutError or one
    of `faults`, or says so itself; any other end of a call says nothing against it. A system may be asked for several
    who are nothing to each other: then it is another one for each of them, and `whose` says for whom.
    """

    def __init__(
        self,
        purpose: str,
        *faults: type[Exception],
        of_one: int = 4,
        of_all: int | None = 16,
        failures: int = 5,
        rest_s: float = 30.0,
        longest_rest_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.purpose = purpose
        self._faults: tuple[type[Exception], ...] = (TimeoutError, *faults)
        self._of_one, self._of_all = of_one, of_all
        self._failures, self._rest_s, self._longest_rest_s = failures, rest_s, longest_rest_s
        self._clock = clock
        self._lock = Lock()
        self._systems: OrderedDict[tuple[str, str], _System] = OrderedDict()
        self._running = 0
        self._counts: Counter[str] = Counter()

    async def call(self, system: str, ask: Callable[[], Awaitable[T]], *, within_s: float, tries: int = 2) -> T:
        """Return what `ask` does, within a time that is for all tries together; between two there is a pause.

        Raises: NotAsked; TimeoutError; what `ask` raises, of `faults` what the last try raised.
        Source: exponential backoff with full jitter, as `stamina` does it.
        """
        # nearly never needed, and a start does without
        import stamina  # noqa: PLC0415

        until = self._clock() + within_s
        retrying = stamina.retry_context(
            on=self._faults,
            attempts=tries,
            timeout=within_s,
            wait_initial=_FIRST_PAUSE_S,
            wait_max=_LONGEST_PAUSE_S,
        )
        async for attempt in retrying:
            with attempt, self.calling(system):
                async with asyncio.timeout(until - self._clock()):
                    return await ask()
        raise AssertionError("a last try returns or raises")

    @asynccontextmanager
    async def waiting(self, system: str, *, whose: str, wait_s: float) -> AsyncIterator[Call]:
        """Do as `calling` does, and wait so long for a place before it is refused. Raises: NotAsked."""
        until = self._clock() + wait_s
        while self._is_full(system, whose) and self._clock() < until:  # noqa: ASYNC110 - other threads end calls too
            await asyncio.sleep(_LOOK_S)
        with self.calling(system, whose=whose) as call:
            yield call

    @contextmanager
    def calling(self, system: str, *, whose: str = "") -> Iterator[Call]:
        """Hold a place for one call of a system, and learn from its end how the system is. Raises: NotAsked.

        Shape: whoever uses this alone bounds the time itself, inside of the block.
        """
        known = self._begin(system, whose)
        call, outcome = Call(), "left"
        try:
            yield call
            outcome = "answered"
        except self._faults:
            outcome = "failed"
            raise
        except Exception:
            # an answer that says no is one
            outcome = "answered"
            raise
        finally:
            self._end(known, "failed" if call.unwell else outcome)

    def _is_full(self, system: str, whose: str) -> bool:
        with self._lock:
            known = self._systems.get((whose, system))
            return known is not None and not self._rests(known) and not self._has_place(known)

    def _rests(self, known: _System) -> bool:
        return known.failed >= self._failures and bool(self._clock() < known.rests_until or known.running)

    def _has_place(self, known: _System) -> bool:
        return known.running < self._of_one and (self._of_all is None or self._running < self._of_all)

    def _begin(self, system: str, whose: str) -> _System:
        with self._lock:
            known = self._systems.pop((whose, system), None) or _System()
            self._systems[whose, system] = known
            if len(self._systems) > _REMEMBERED:
                self._forget(whose)
            if self._rests(known):
                self._counts["resting"] += 1
                # while one call tries it, nobody knows how long that takes
                left_s = max(known.rests_until - self._clock(), 0.0) or self._rest_s
                raise Resting(f"{system} failed {known.failed} times in a row and is not asked for now", left_s)
            if not self._has_place(known):
                self._counts["full"] += 1
                in_all = "" if self._of_all is None else f" and {self._running} in all"
                raise NotAsked(f"{known.running} calls of {system}{in_all} run already", _FULL_S)
            known.running += 1
            self._running += 1
            return known

    def _forget(self, whose: str) -> None:
        """Forget the system that was not used for the longest time, one of `whose` if there is one that may be."""
        # each one that is used becomes the last
        idle = [key for key, known in self._systems.items() if not known.running]
        well = [key for key in idle if self._systems[key].failed < self._failures]
        for key in (*(key for key in idle if key[0] == whose), *well, *idle):
            # the last is the one that is asked now
            if key != next(reversed(self._systems)):
                del self._systems[key]
                return

    def _end(self, known: _System, outcome: str) -> None:
        with self._lock:
            known.running -= 1
            self._running -= 1
            self._counts[outcome] += 1
            if outcome == "answered":
                known.failed = 0
            elif outcome == "failed":
                is_trial = known.failed >= self._failures and self._clock() >= known.rests_until
                known.rest_s = min(self._longest_rest_s, 2 * known.rest_s) if is_trial else self._rest_s
                known.failed += 1
                known.rests_until = self._clock() + known.rest_s

    def health(self) -> str:
        """Return "ok", or which systems are not asked for now: what needs nothing of them goes on."""
        resting = self._resting()
        if not resting:
            return OK
        more = f" and {len(resting) - _NAMED} more" if len(resting) > _NAMED else ""
        return f"{DEGRADED}: not asked for now, because they failed too often: {', '.join(resting[:_NAMED])}{more}"

    def _resting(self) -> list[str]:
        with self._lock:
            return [name for (_, name), known in self._systems.items() if known.failed >= self._failures]

    def counted(self) -> Counted:
        """Return what became of the calls so far, and how many calls run and systems rest now."""
        resting = len(self._resting())
        with self._lock:
            return Counted(Counter(self._counts), self._running, resting)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics. Shape: labels are purposes and outcomes, never the names of systems."""
        return _metrics([self])


class Together(Collector):
    """The metrics of calls for several purposes, each metric once."""

    def __init__(self, *outsides: Outside) -> None:
        self._outsides = outsides

    def collect(self) -> Iterator[Metric]:
        return _metrics(self._outsides)


def _metrics(outsides: Sequence[Outside]) -> Iterator[Metric]:
    calls = CounterMetricFamily(
        "factline_outside_calls",
        "Calls of other systems: answered, failed, left by who asked, or not made (resting, full)",
        labels=["purpose", "outcome"],
    )
    running = GaugeMetricFamily("factline_outside_running", "Calls of other systems that run now", labels=["purpose"])
    resting = GaugeMetricFamily(
        "factline_outside_resting", "Other systems that are not asked for now", labels=["purpose"]
    )
    for outside in outsides:
        found = outside.counted()
        for outcome in ("answered", "failed", "left", "resting", "full"):
            calls.add_metric([outside.purpose, outcome], found.calls[outcome])
        running.add_metric([outside.purpose], found.running)
        resting.add_metric([outside.purpose], found.resting)
    yield from (calls, running, resting)
