"""An operator sees the distributed profile as its stores and its log tell it, from any process."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from projections.catalog import PROJECTIONS
from projections.operations import DeadLetter, ProjectionStatus, State, WorkerStatus, sums
from projections.projection import Projection
from projections.rows import Checkpoint, Role, View
from schemas.envelope import Position, TenantId, Topic
from streams.ports import Clock, Stores, WorkerGroup
from streams.project.asking import ANSWER_S, Askers
from streams.project.lag import Ends, Oldest, ends_of, lags_of, places, status_of
from streams.project.operations import LEARN_S
from streams.project.parked import letter_at, parked_page
from streams.project.rebuild import Site
from streams.project.same_log import Extent, extent_of
from streams.project.view_jobs import OpenScratch, UnknownProjection, ViewJobs
from streams.viewed_log import ViewedLog

VIEWS_AT_ONCE = 4
FIRST_PAUSE_S = 0.005
MAX_PAUSE_S = 0.05
LOG, WORKERS = "log", "workers"
WORKER_KINDS = ("commands", "correlate")
NOTICE_S = 3.0
"""Workers look about once a second which build is live and which streams are parked."""


class _Read(NamedTuple):
    """What a store says of a view that readers see."""

    live: View | None
    reached: Sequence[Checkpoint]


class _Looked(NamedTuple):
    """What a store says of a view."""

    live: View | None
    reached: Sequence[Checkpoint]
    builds: Sequence[View]
    rebuilding: bool
    parked: tuple[int, int]


R = TypeVar("R", _Read, _Looked)


class DistributedOperations(ViewJobs):
    """Operations and Progress of the distributed profile, and its jobs; any thread may call any method.

    Shape: nothing is known but what the stores and the log say, so that a view whose worker stopped is one whose lag
    grows, or one that was not made from this log. What a worker says of itself is at its own `/ready`.
    """

    def __init__(
        self,
        stores: Mapping[Role, Stores],
        *,
        log: ViewedLog,
        clock: Clock,
        scratch: OpenScratch,
        groups: Callable[[], Sequence[WorkerGroup]] = tuple,
        answer_s: float = ANSWER_S,
        projections: Sequence[Projection] = PROJECTIONS,
    ) -> None:
        """Shape: `groups` says how the workers are who keep no view; `answer_s` is how long a part is waited for."""
        super().__init__(log, clock, scratch)
        self._groups = groups
        self._askers = Askers([*(role.value for role in stores), LOG, WORKERS], answer_s)
        self._oldest = Oldest(log)
        self._stores = stores
        # threads of its own for each store: one that hangs must not keep the others from being asked
        self._at_once = {role: ThreadPoolExecutor(VIEWS_AT_ONCE, f"look-{role.value}") for role in stores}
        self._projections = {projection.name: projection for projection in projections}
        # the builds beside the live one, as they were when somebody last looked: one that moves is being rebuilt
        self._seen: dict[View, frozenset[Checkpoint]] = {}

    # --- Progress

    def reached(self, view: str) -> Sequence[Checkpoint] | None:
        store = self._stores[self._projection(view).role].views
        live = store.live(view)
        return store.checkpoints(live) if live else None

    def wait_for(self, views: Sequence[str], position: Position, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        pause_s = FIRST_PAUSE_S
        for name in views:
            if position.topic not in self._projection(name).topics:
                continue
            while not self._past(name, position):
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                time.sleep(min(pause_s, left_s))
                pause_s = min(pause_s * 1.5, MAX_PAUSE_S)
        return True

    def missing(self, view: str, tenant_id: TenantId, position: Position) -> DeadLetter | None:
        views, dead_letters = self._stores[self._projection(view).role]
        live = views.live(view)
        return letter_at(dead_letters, live.table, tenant_id, position) if live else None

    def _past(self, name: str, position: Position) -> bool:
        topic, partition, wanted = position
        return any(at.position >= wanted for at in self.reached(name) or () if at[:2] == (topic, partition))

    # --- Operations

    def projections(self) -> Sequence[ProjectionStatus]:
        now = self._clock.now()
        looked, known, extent = self._ask_all(self._look)
        ends: Ends = {} if isinstance(extent, Exception) else extent.ends
        problem = str(extent) if isinstance(extent, Exception) else None
        reached = [
            place for name, of in known.items() for place in places(of.reached, ends, self._projections[name].topics)
        ]
        self._learn(reached, ends)
        statuses: list[ProjectionStatus] = []
        for name, projection in self._projections.items():
            answer, of_view = looked[projection.role.value], known.get(name)
            error = str(answer) if isinstance(answer, Exception) else problem
            stopped = _why_not(of_view, extent)
            statuses.append(
                status_of(
                    projection,
                    of_view.live if of_view else None,
                    of_view.builds if of_view else (),
                    reached=of_view.reached if of_view else None,
                    ends=ends,
                    now=now,
                    recorded_at=self._oldest.recorded_at,
                    state="waiting" if error else "stopped" if stopped else _state(of_view),
                    parked=of_view.parked if of_view else None,
                    error=error or stopped,
                )
            )
        return statuses

    def _ask_all(self, of_role: Callable[[Role], Mapping[str, R]]) -> tuple[Mapping[str, Any], Mapping[str, R], Any]:
        """Ask stores and log at once; return the answers, what is known of each view, and the log's extent or fault."""
        questions: dict[str, Callable[[], Any]] = {role.value: partial(of_role, role) for role in self._stores}
        looked = self._askers.ask(questions | {LOG: partial(extent_of, self._log)})
        known: dict[str, R] = {}
        for role in self._stores:
            found = looked[role.value]
            known |= {} if isinstance(found, Exception) else found
        extent = looked[LOG]
        if isinstance(extent, Extent) and any(_is_past(at, extent.ends) for of in known.values() for at in of.reached):
            # a view may have read what came after the log was asked
            extent = self._askers.ask({LOG: partial(extent_of, self._log)})[LOG]
        return looked, known, extent

    def _learn(self, reached: Sequence[Position], ends: Ends) -> None:
        if ends:
            self._askers.ask({LOG: partial(self._oldest.learn, reached, ends, LEARN_S)}, LEARN_S)

    def _look(self, role: Role) -> Mapping[str, "_Looked"]:
        """Return what a store says of its views. Raises: StoreUnavailable."""
        views, dead_letters = self._stores[role]

        def look(name: str) -> _Looked:
            live = views.live(name)
            builds = views.builds(name)
            return _Looked(
                live,
                views.checkpoints(live) if live else (),
                builds,
                self._moves([view for view in builds if live is None or view.build > live.build], role),
                (len(dead_letters.parked_streams(live.table)), dead_letters.count(live.table)) if live else (0, 0),
            )

        return self._of_each(role, look)

    def _of_each(self, role: Role, of_view: Callable[[str], R]) -> Mapping[str, R]:
        """Return what is asked of each view of a store, several at once: there are many, and the time is short."""
        names = [name for name, of in self._projections.items() if of.role is role]
        return dict(zip(names, self._at_once[role].map(of_view, names), strict=True))

    def _moves(self, builds: Sequence[View], role: Role) -> bool:
        """Tell whether any of the builds was written since it was last looked at."""
        moved = False
        for build in builds:
            reached = frozenset(self._stores[role].views.checkpoints(build))
            moved |= self._seen.get(build, reached) != reached
            self._seen[build] = reached
        return moved

    def workers(self) -> Sequence[WorkerStatus]:
        now = self._clock.now()
        questions: dict[str, Callable[[], Any]] = {WORKERS: self._groups, LOG: partial(ends_of, self._log)}
        found = self._askers.ask(questions)
        ends, problem = _ends(found[LOG])
        groups = found[WORKERS]
        if isinstance(groups, Exception):
            return [WorkerStatus(kind, None, None, None, (), str(groups)) for kind in WORKER_KINDS]
        readers = [group.read for group in groups if group.waiting is None]
        self._learn([Position(*place, read.get(place, 0)) for read in readers for place in ends], ends)
        return [self._worker(group, ends, problem, now) for group in groups]

    def _worker(self, group: WorkerGroup, ends: Ends, problem: str | None, now: datetime) -> WorkerStatus:
        error = problem if group.running else f"no process runs; start one with factline worker {group.kind}"
        if group.waiting is not None:
            return WorkerStatus(group.kind, group.running, group.waiting, None if group.waiting else 0.0, (), error)
        behind = lags_of(group.read, ends, now, self._oldest.recorded_at)
        return WorkerStatus(group.kind, group.running, *sums(behind), behind, error)

    def dead_letters(
        self, tenant_id: TenantId, *, table: str | None, after: tuple[str, Position] | None, limit: int
    ) -> Sequence[DeadLetter]:
        asked = self._askers.ask(
            {
                role.value: partial(parked_page, store.dead_letters, tenant_id, table=table, after=after, limit=limit)
                for role, store in self._stores.items()
            }
        )
        pages: list[Sequence[DeadLetter]] = []
        for page in asked.values():
            if isinstance(page, Exception):
                raise page
            pages.append(page)
        return list(islice(merge(*pages, key=_place), limit))

    def health(self) -> Mapping[str, str]:
        looked, _, extent = self._ask_all(self._read)
        said = {role.value: _said(looked[role.value], extent) for role in self._stores}
        return said | {LOG: str(extent) if isinstance(extent, Exception) else "ok"}

    def _read(self, role: Role) -> Mapping[str, _Read]:
        """Return how far the views are that readers see. Raises: StoreUnavailable."""
        views = self._stores[role].views

        def read(name: str) -> _Read:
            live = views.live(name)
            return _Read(live, views.checkpoints(live) if live else ())

        return self._of_each(role, read)

    # --- ViewJobs

    def names(self) -> Sequence[str]:
        return list(self._projections)

    def _site(self, name: str) -> Site:
        projection = self._projection(name)
        views, dead_letters = self._stores[projection.role]
        return Site(projection, views, dead_letters, hold=nullcontext, reopen=lambda: None, notice_s=NOTICE_S)

    def _projection(self, name: str) -> Projection:
        try:
            return self._projections[name]
        except KeyError:
            raise UnknownProjection(name) from None


def _place(letter: DeadLetter) -> tuple[str, Topic, int, int]:
    return letter[:4]


def _is_past(at: Checkpoint, ends: Ends) -> bool:
    return at.position > ends.get((at.topic, at.partition), at.position)


def _why_not(of_view: _Read | _Looked | None, extent: Any) -> str | None:
    """Return why a view's worker does not go on over this log, None where it does or nobody knows."""
    if of_view is None or of_view.live is None or not isinstance(extent, Extent):
        return None
    return extent.why_not(of_view.live, of_view.reached)


def _said(answer: Any, extent: Any) -> str:
    """Return how the views of a role are."""
    if isinstance(answer, Exception):
        return str(answer)
    missing = [name for name, of_view in answer.items() if of_view.live is None]
    if missing:
        return f"not live yet: {', '.join(missing)}; wait for their worker, or run factline migrate"
    return "; ".join(why for of_view in answer.values() if (why := _why_not(of_view, extent))) or "ok"


def _state(of_view: _Looked | None) -> State:
    return "rebuilding" if of_view and of_view.rebuilding else "live"


def _ends(answer: Any) -> tuple[Ends, str | None]:
    return ({}, str(answer)) if isinstance(answer, Exception) else (answer, None)
