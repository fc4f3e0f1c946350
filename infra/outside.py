"""Systems that are not factline's own are asked through here: one that is away or slow holds up nothing else."""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from projections.operations import DEGRADED, OK

T = TypeVar("T")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_REMEMBERED = 1_000
_NAMED = 3


class NotAsked(Exception):  # noqa: N818
    """A system is not asked for now: it failed too often, or too many ask already; retry later."""


@dataclass
class _System:
    """What is known of a system. Units: `rests_until` is an instant of a clock that only goes on."""

    running: int = 0
    failed: int = 0
    rests_until: float = 0.0


class Outside(Collector):
    """Calls for one purpose, to any number of systems. Threads and event loops may share it.

    Shape: of each system `of_one` calls run at a time, of all `of_all`; one more is refused at once and does not wait.
    A system that failed `failures` times in a row is left alone for `rest_s`, then one call tries it. It fails where a
    call raises TimeoutError or one of `faults`; any other end of a call says nothing against it.
    """

    def __init__(
        self,
        purpose: str,
        *faults: type[Exception],
        of_one: int = 4,
        of_all: int = 16,
        failures: int = 5,
        rest_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._purpose = purpose
        self._faults: tuple[type[Exception], ...] = (TimeoutError, *faults)
        self._of_one, self._of_all = of_one, of_all
        self._failures, self._rest_s = failures, rest_s
        self._clock = clock
        self._lock = Lock()
        self._systems: OrderedDict[str, _System] = OrderedDict()
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

    @contextmanager
    def calling(self, system: str) -> Iterator[None]:
        """Hold a place for one call of a system, and learn from its end how the system is. Raises: NotAsked.

        Shape: whoever uses this alone bounds the time itself, inside of the block.
        """
        known = self._begin(system)
        outcome = "left"
        try:
            yield
            outcome = "answered"
        except self._faults:
            outcome = "failed"
            raise
        except Exception:
            # an answer that says no is one
            outcome = "answered"
            raise
        finally:
            self._end(known, outcome)

    def _begin(self, system: str) -> _System:
        with self._lock:
            known = self._systems.pop(system, None) or _System()
            self._systems[system] = known
            # each one that is used becomes the last, so the first was not used for the longest time
            if len(self._systems) > _REMEMBERED:
                self._systems.popitem(last=False)
            if known.failed >= self._failures and (self._clock() < known.rests_until or known.running):
                self._counts["resting"] += 1
                raise NotAsked(f"{system} failed {known.failed} times in a row and is not asked for now")
            if known.running >= self._of_one or self._running >= self._of_all:
                self._counts["full"] += 1
                raise NotAsked(f"{known.running} calls of {system} and {self._running} in all run already")
            known.running += 1
            self._running += 1
            return known

    def _end(self, known: _System, outcome: str) -> None:
        with self._lock:
            known.running -= 1
            self._running -= 1
            self._counts[outcome] += 1
            if outcome == "answered":
                known.failed = 0
            elif outcome == "failed":
                known.failed += 1
                known.rests_until = self._clock() + self._rest_s

    def health(self) -> str:
        """Return "ok", or which systems are not asked for now: what needs nothing of them goes on."""
        resting = self._resting()
        if not resting:
            return OK
        more = f" and {len(resting) - _NAMED} more" if len(resting) > _NAMED else ""
        return f"{DEGRADED}: not asked for now, because they failed too often: {', '.join(resting[:_NAMED])}{more}"

    def _resting(self) -> list[str]:
        with self._lock:
            return [name for name, known in self._systems.items() if known.failed >= self._failures]

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics. Shape: labels are purposes and outcomes, never the names of systems."""
        calls = CounterMetricFamily(
            "factline_outside_calls",
            "Calls of other systems: answered, failed, left by who asked, or not made (resting, full)",
            labels=["purpose", "outcome"],
        )
        for outcome in ("answered", "failed", "left", "resting", "full"):
            calls.add_metric([self._purpose, outcome], self._counts[outcome])
        yield calls
        for name, said, value in (
            ("running", "Calls of other systems that run now", self._running),
            ("resting", "Other systems that are not asked for now", len(self._resting())),
        ):
            gauge = GaugeMetricFamily(f"factline_outside_{name}", said, labels=["purpose"])
            gauge.add_metric([self._purpose], value)
            yield gauge
