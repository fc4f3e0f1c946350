"""In the embedded profile one thread for each store keeps its views up to date and waits out faults."""

import logging
import random
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Literal

from projections.projection import Projection
from projections.rows import Checkpoint, Role, View
from projections.stores import StoreUnavailable, ViewWriter
from schemas.envelope import Entry, StreamKey, Topic
from streams.newer import NeedsUpdate
from streams.ports import Clock, DeadLetters, LogReader, LogUnavailable
from streams.project.parked import TooMuchPoison
from streams.project.run import ProjectionRun
from streams.shared_log import until_step

_LOG = logging.getLogger(__name__)

BATCH_ENTRIES = 5_000
POLL_S = 0.5
MAX_BACKOFF_S = 15.0
MAX_GIVE_WAY_S = 2.0
GIVE_WAY_STEP_S = 0.02

State = Literal["live", "waiting", "stopped"]


class RoleRunner:
    """Keeps the live views of one store up to date.

    `lock` is held while a batch is applied: whoever changes views from another thread (rebuild, retry) holds it too.
    """

    def __init__(
        self,
        role: Role,
        projections: Sequence[Projection],
        *,
        log: LogReader,
        store: ViewWriter,
        dead_letters: DeadLetters,
        clock: Clock,
    ) -> None:
        self.role = role
        self.store = store
        self.state: State = "live"
        self.error: str | None = None
        self.stopped: dict[str, str] = {}
        self.lock = threading.RLock()
        self._log = log
        self._dead_letters = dead_letters
        self._clock = clock
        self._stopping = threading.Event()
        self._moved = threading.Condition()
        self._thread: threading.Thread | None = None
        self._give_way: Callable[[], bool] = lambda: False
        self.runs: dict[str, ProjectionRun] = {}
        for projection in projections:
            self.open(projection)

    def open(self, projection: Projection) -> ProjectionRun:
        """Follow the live build of a view from its checkpoint, making the first build where there is none."""
        live = self.store.live(projection.name)
        view = live or View(projection.name, 1)
        # also where there is a table: one of an earlier version may lack columns
        if live is None or live in self.store.builds(projection.name):
            self.store.create(view)
        if live is None:
            self.store.switch(view)
        run = ProjectionRun(projection, view, self.store, self._dead_letters, self._clock)
        with self.lock:
            self.runs[projection.name] = run
            self.stopped.pop(projection.name, None)
            if ahead := [place for place in run.reached if run.position(*place) > self._log.end(*place)]:
                topic, partition = ahead[0]
                self.stopped[projection.name] = (
                    f"{view.table} has read {topic.value}/{partition} up to {run.position(topic, partition)},"
                    f" the log ends at {self._log.end(topic, partition)}: an older log was restored below it;"
                    " rebuild the view"
                )
        return run

    def start(self, *, give_way: Callable[[], bool] = lambda: False) -> None:
        """Follow the log in a thread, which waits up to MAX_GIVE_WAY_S before a batch while `give_way` says so.

        Callers of the log wait for an answer and views do not: what is written in a burst is shown after it.
        """
        self._give_way = give_way
        self._thread = threading.Thread(target=self._follow, name=f"project-{self.role.value}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch at hand and stop."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def catch_up(self) -> None:
        """Read to the end of the log in this thread. Raises: StoreUnavailable, LogUnavailable, TooMuchPoison."""
        while self._turn():
            pass

    def reached(self, name: str) -> Sequence[Checkpoint]:
        return list(self.runs[name].reached.values())

    def doubt(self, views: Sequence[str], streams: Collection[StreamKey]) -> str | None:
        """Return why the views may lack what the log has of some streams, though it is long there; None where not."""
        if self.state == "stopped":
            return self.error
        for name in views:
            if name in self.stopped:
                return self.stopped[name]
            for _, stream in self.runs[name].parked.streams.intersection(streams):
                return f"{name} has parked a record of {stream}: retry it, or discard it"
        return None

    def wait_until(self, reached: Callable[[], bool], timeout_s: float) -> bool:
        with self._moved:
            return self._moved.wait_for(reached, timeout_s)

    def _follow(self) -> None:
        backoff_s = 0.1
        while not self._stopping.is_set():
            self._wait_for_callers()
            try:
                if not self._turn():
                    self._log.wait(self._ends(), POLL_S)
            except (StoreUnavailable, LogUnavailable) as error:
                self.state, self.error = "waiting", str(error)
                _LOG.warning("%s views wait: %s", self.role.value, error)
                self._stopping.wait(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
                backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)
            except Exception as error:  # noqa: BLE001 - a fault nobody foresaw: going on could lose records
                self.state, self.error = "stopped", str(error)
                _LOG.exception("%s views stopped", self.role.value)
                return
            else:
                self.state, self.error, backoff_s = "live", None, 0.1

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
                    runs = self._runs(topic)
                    if not runs:
                        continue
                    after = min(run.position(topic, partition) for run in runs)
                    batch = self._log.read(topic, partition, after=after, limit=until_step(after, BATCH_ENTRIES))
                    if batch:
                        self._apply(runs, batch)
                        read_any = True
        return read_any

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
        return [run for name, run in self.runs.items() if topic in run.projection.topics and name not in self.stopped]

    def _ends(self) -> dict[tuple[Topic, int], int]:
        with self.lock:
            return {
                (topic, partition): min(run.position(topic, partition) for run in runs)
                for topic in Topic
                if (runs := self._runs(topic))
                for partition in range(self._log.partitions)
            }
