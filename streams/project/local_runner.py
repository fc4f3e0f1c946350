"""In the embedded profile one thread for each store keeps its views up to date and waits out faults."""

import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Literal

from projections.projection import Projection
from projections.rows import Checkpoint, Role, View
from projections.stores import StoreUnavailable, ViewWriter
from schemas.envelope import Entry, Topic
from streams.newer import NeedsUpdate
from streams.ports import Clock, DeadLetters, LogUnavailable
from streams.project.parked import TooMuchPoison
from streams.project.run import ProjectionRun
from streams.project.same_log import extent_of
from streams.viewed_log import ViewedLog

_LOG = logging.getLogger(__name__)

BATCH_ENTRIES = 5_000
SOON_ENTRIES = 20_000
"""A log that is no longer is read into new views before the start is over: it takes a second or two."""

POLL_S = 0.5
MAX_BACKOFF_S = 15.0
PACE_S: Mapping[Role, float] = {Role.TIMELINE: 0.05, Role.DOCUMENTS: 0.05, Role.ANALYTICS: 0.25}
"""From one batch to the next while nobody waits: a batch costs its store about the same with one event or a hundred."""

MAX_GIVE_WAY_S = 2.0
GIVE_WAY_STEP_S = 0.02

State = Literal["live", "waiting", "stopped"]


class RoleRunner:
    """Keeps the live views of one store up to date.

    `lock` is held while a batch is applied: whoever changes views from another thread (rebuild, retry) holds it too.
    `building` names the views that are new: they are read from the beginning in another thread, and nobody sees one
    before it has caught up. Each view has a checkpoint of its own, and none is read again because of another.
    """

    def __init__(
        self,
        role: Role,
        projections: Sequence[Projection],
        *,
        log: ViewedLog,
        store: ViewWriter,
        dead_letters: DeadLetters,
        clock: Clock,
    ) -> None:
        self.role = role
        self.store = store
        self.state: State = "live"
        self.error: str | None = None
        self.stopped: dict[str, str] = {}
        self.building: set[str] = set()
        self.lock = threading.RLock()
        self._log = log
        self._dead_letters = dead_letters
        self._clock = clock
        self._stopping = threading.Event()
        self._moved = threading.Condition()
        self._waiters = 0
        self._threads: list[threading.Thread] = []
        self._give_way: Callable[[], bool] = lambda: False
        self.runs: dict[str, ProjectionRun] = {}
        for projection in projections:
            self.open(projection)

    def open(self, projection: Projection) -> ProjectionRun:
        """Follow the live build of a view from its checkpoint; where there is none, begin to build the first one."""
        live = self.store.live(projection.name)
        view = live or View(projection.name, 1)
        # also where there is a table: one of an earlier version may lack columns
        if live is None or live in self.store.builds(projection.name):
            self.store.create(view)
        run = ProjectionRun(projection, view, self.store, self._dead_letters, self._clock, logs=self._log.identities())
        why_not = extent_of(self._log).why_not(view, run.reached.values())
        if why_not is None:
            run.take_over()
        with self.lock:
            self.runs[projection.name] = run
            self.stopped.pop(projection.name, None)
            (self.building.discard if live else self.building.add)(projection.name)
            if why_not is not None:
                self.stopped[projection.name] = why_not
            elif not live and self._unread(run) == 0:
                self._bring_live(run)
        return run

    def start(self, *, give_way: Callable[[], bool] = lambda: False) -> None:
        """Follow the log in a thread, which waits up to MAX_GIVE_WAY_S before a batch while `give_way` says so.

        Callers of the log wait for an answer and views do not: what is written in a burst is shown after it.
        """
        self._give_way = give_way
        # whoever starts after an import, or with a new view over a short log, has all from the first answer on
        with suppress(StoreUnavailable, LogUnavailable):
            while self.building and self._most_unread() <= SOON_ENTRIES and self._build_turn():
                pass
        works = [(self._turn, "project"), *([(self._build_turn, "build")] if self.building else [])]
        for work, name in works:
            thread = threading.Thread(target=self._work, args=(work,), name=f"{name}-{self.role.value}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Finish the batch at hand and stop."""
        self._stopping.set()
        with self._moved:
            self._moved.notify_all()
        for thread in self._threads:
            thread.join()

    def catch_up(self) -> None:
        """Read to the end of the log in this thread. Raises: StoreUnavailable, LogUnavailable."""
        while self._build_turn():
            pass
        while self._turn():
            pass

    def reached(self, name: str) -> Sequence[Checkpoint]:
        return list(self.runs[name].reached.values())

    def wait_until(self, reached: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until the views have reached what is asked for, and let them hurry; False where they did not in time."""
        with self._moved:
            self._waiters += 1
            self._moved.notify_all()
            try:
                return self._moved.wait_for(reached, timeout_s)
            finally:
                self._waiters -= 1

    def _work(self, turn: Callable[[], bool]) -> None:
        """Take one turn after the other; the thread that builds new views ends when all are live."""
        builds, backoff_s = turn == self._build_turn, 0.1
        while not self._stopping.is_set():
            self._wait_for_callers()
            try:
                if not turn():
                    if builds:
                        return
                    self._log.wait(self._ends(), POLL_S)
                elif not builds:
                    self._pause()
            except (StoreUnavailable, LogUnavailable) as error:
                self.state, self.error = "waiting", str(error)
                _LOG.warning("%s views wait: %s", self.role.value, error)
                self._stopping.wait(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
                backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)
            except Exception as error:  # noqa: BLE001 - a fault nobody foresaw: going on could lose records
                _LOG.exception("%s views stopped", self.role.value)
                if builds:
                    # the views that are live go on, and would say that all is well
                    for name in self.building - self.stopped.keys():
                        self.stopped[name] = f"{name} is not built any more: {type(error).__name__}: {error}"
                else:
                    self.state, self.error = "stopped", str(error)
                return
            else:
                self.state, self.error, backoff_s = "live", None, 0.1

    def _pause(self) -> None:
        """Let more come together, unless somebody waits for what is there or there is a whole batch of it."""
        behind = max((self._log.end(*place) - position for place, position in self._ends().items()), default=0)
        if behind < BATCH_ENTRIES:
            with self._moved:
                self._moved.wait_for(lambda: self._waiters or self._stopping.is_set(), PACE_S[self.role])

    def _wait_for_callers(self) -> None:
        for _ in range(int(MAX_GIVE_WAY_S / GIVE_WAY_STEP_S)):
            if not self._give_way() or self._stopping.wait(GIVE_WAY_STEP_S):
                return

    def _turn(self) -> bool:
        """Apply one batch of each topic; False where there was nothing to read."""
        read_any = False
        for topic in Topic:
            for partition in range(self._log.partitions):
                with self.lock:
                    read_any |= self._read(self._runs(topic), topic, partition)
        return read_any

    def _build_turn(self) -> bool:
        """Apply one batch of each topic to each new view, or bring it live; False where there is none to be built."""
        with self.lock:
            new = [self.runs[name] for name in sorted(self.building - self.stopped.keys())]
        for run in new:
            if not self._read_all_topics(run):
                self._bring_live(run)
        return bool(new)

    def _bring_live(self, run: ProjectionRun) -> None:
        """Let readers see a new view, which nobody else reads the log into from here on but who follows the others."""
        with self.lock:
            if self.runs.get(run.projection.name) is not run:
                # somebody switched to another build meanwhile
                return
            while self._read_all_topics(run):
                pass
            if run.projection.name not in self.stopped:
                self.store.switch(run.view)
                self.building.discard(run.projection.name)

    def _read_all_topics(self, run: ProjectionRun) -> bool:
        read_any = False
        for topic in run.projection.topics:
            for partition in range(self._log.partitions):
                read_any |= self._read([run], topic, partition)
        return read_any

    def _read(self, runs: Sequence[ProjectionRun], topic: Topic, partition: int) -> bool:
        """Apply the next batch to each view, from where that view is; those that are level read once."""
        read_any = False
        for after in sorted({run.position(topic, partition) for run in runs}):
            batch = self._log.read(topic, partition, after=after, limit=BATCH_ENTRIES)
            if batch:
                self._apply([run for run in runs if run.position(topic, partition) == after], batch)
                read_any = True
        return read_any

    def _unread(self, run: ProjectionRun) -> int | None:
        """Return how many records a view has not read, None while the log does not answer."""
        try:
            return sum(
                max(0, self._log.end(topic, partition) - run.position(topic, partition))
                for topic in run.projection.topics
                for partition in range(self._log.partitions)
            )
        except LogUnavailable:
            return None

    def _most_unread(self) -> float:
        unread = [self._unread(self.runs[name]) for name in self.building]
        return max((inf if count is None else count for count in unread), default=0)

    def _apply(self, runs: Sequence[ProjectionRun], batch: Sequence[Entry]) -> None:
        for run in runs:
            try:
                run.run(batch)
            except (TooMuchPoison, NeedsUpdate) as error:
                self.stopped[run.projection.name] = str(error)
                _LOG.error("%s stopped: %s", run.projection.name, error)
        with self._moved:
            self._moved.notify_all()

    def _runs(self, topic: Topic) -> list[ProjectionRun]:
        aside = self.stopped.keys() | self.building
        return [run for name, run in self.runs.items() if topic in run.projection.topics and name not in aside]

    def _ends(self) -> dict[tuple[Topic, int], int]:
        with self.lock:
            return {
                (topic, partition): min(run.position(topic, partition) for run in runs)
                for topic in Topic
                if (runs := self._runs(topic))
                for partition in range(self._log.partitions)
            }
