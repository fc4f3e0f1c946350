"""In the embedded profile one thread shows the facts of the log to the watches, and waits out faults."""

import logging
import random
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta

from domain.fleet.liveness import SILENCE, Listening
from projections.stores import StoreUnavailable
from schemas.envelope import Topic
from streams.correlate.run import Correlation
from streams.correlate.sending import Send
from streams.newer import NeedsUpdate
from streams.ports import Clock, LogUnavailable, NewScorer, Overloaded, SystemClock, WatchStates
from streams.viewed_log import ViewedLog

_LOG = logging.getLogger(__name__)

BATCH_ENTRIES = 5_000
POLL_S = 0.5
PACE_S = 0.05
"""From one batch to the next: a batch costs about the same with one event or a hundred."""
MAX_BACKOFF_S = 15.0
GIVE_WAY_STEP_S = 0.02
MAX_GIVE_WAY_S = 2.0

STOPPED = "stopped: "
"""Before the error of one that does not go on by itself."""

_PARTITION = 0


class LocalCorrelator:
    """Shows the log's only partition to the watches.

    Shape: `error` says why it does not go on, if it does not; `read` up to which position of each topic it has looked,
    None before it has begun.
    """

    def __init__(
        self,
        log: ViewedLog,
        states: WatchStates,
        new_scorer: NewScorer,
        clock: Clock | None = None,
        *,
        silence: timedelta = SILENCE,
    ) -> None:
        self.error: str | None = None
        self.read: Mapping[Topic, int] | None = None
        self._log = log
        self._states = states
        self._new_scorer = new_scorer
        self._clock = clock or SystemClock()
        self._silence = silence
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, send: Send, *, give_way: Callable[[], bool] = lambda: False) -> None:
        """Follow the log in a thread, which waits up to MAX_GIVE_WAY_S before a batch while `give_way` says so."""
        self._thread = threading.Thread(target=self._follow, args=(send, give_way), name="correlate", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch at hand and stop."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def open(self, send: Send) -> Correlation:
        """Return what was kept. Raises: LogEndsEarly; StoreUnavailable, LogUnavailable, safe to retry."""
        listening = Listening(self._clock.now(), self._silence)
        correlation = Correlation(_PARTITION, self._states, send, self._new_scorer, listening=listening)
        correlation.check(self._log)
        return correlation

    def turn(self, correlation: Correlation) -> bool:
        """Read one batch of facts, and all events that were recorded before them; False where there was nothing.

        Raises: StoreUnavailable, LogUnavailable, Overloaded: safe to retry; NeedsUpdate, all before was settled.
        """
        try:
            read_any = self._read(correlation)
        except NeedsUpdate:
            correlation.settle()
            raise
        correlation.settle()
        return read_any

    def _read(self, correlation: Correlation) -> bool:
        now = self._clock.now()
        # the end of the facts first: whatever watch was defined before one of them is among the events read then
        end = self._log.end(Topic.TELEMETRY, _PARTITION)
        read_any = False
        while correlation.events < self._log.end(Topic.EVENTS, _PARTITION):
            events = self._log.read(Topic.EVENTS, _PARTITION, after=correlation.events, limit=BATCH_ENTRIES)
            correlation.read_events(events)
            read_any = True
        if not correlation.look_back(self._log):
            return True
        if not correlation.needs_facts:
            correlation.skip_facts(end)
        elif correlation.facts < end:
            facts = self._log.read(Topic.TELEMETRY, _PARTITION, after=correlation.facts, limit=BATCH_ENTRIES)
            correlation.read_facts([fact for fact in facts if fact.position <= end])
            read_any = True
        if correlation.facts >= end:
            correlation.tick(now)
        return read_any

    def _follow(self, send: Send, give_way: Callable[[], bool]) -> None:
        correlation: Correlation | None = None
        backoff_s = 0.1
        while not self._stopping.is_set():
            self._wait_for_callers(give_way)
            try:
                correlation = correlation or self.open(send)
                read_any = self.turn(correlation)
                self.read = {Topic.EVENTS: correlation.events, Topic.TELEMETRY: correlation.facts}
                if not read_any:
                    ends = {
                        (Topic.EVENTS, _PARTITION): correlation.events,
                        (Topic.TELEMETRY, _PARTITION): correlation.facts,
                    }
                    self._log.wait(ends, POLL_S)
                else:
                    self._stopping.wait(PACE_S)
            except (StoreUnavailable, LogUnavailable, Overloaded, NeedsUpdate) as error:
                self.error = str(error)
                _LOG.warning("correlation waits: %s", error)
                self._stopping.wait(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
                backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)
            except Exception as error:  # noqa: BLE001 - a fault nobody foresaw: going on could miss what must be told
                self.error = f"{STOPPED}{error}"
                _LOG.exception("correlation stopped")
                return
            else:
                self.error, backoff_s = None, 0.1

    def _wait_for_callers(self, give_way: Callable[[], bool]) -> None:
        for _ in range(int(MAX_GIVE_WAY_S / GIVE_WAY_STEP_S)):
            if not give_way() or self._stopping.wait(GIVE_WAY_STEP_S):
                return
