"""An operator sees the distributed profile as its stores and its log tell it, from any process."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from projections.catalog import PROJECTIONS
from projections.operations import DeadLetter, ProjectionStatus, State, WorkerStatus, sums
from projections.projection import Projection
from projections.rows import Checkpoint, Role, View
from schemas.envelope import Position, TenantId, Topic
from streams.ports import NOTHING_PARKED, Clock, Parked, Stores, WorkerGroup
from streams.project.asking import ANSWER_S, Askers
from streams.project.lag import Ends, Oldest, ends_of, lags_of, places, status_of
from streams.project.operations import LEARN_S
from streams.project.parked import letter_at, parked_page
from streams.project.rebuild import Site
from streams.project.same_log import Extent, extent_of
from streams.project.view_jobs import OpenScratch, UnknownProjection, ViewJobs
from streams.viewed_log import ViewedLog

FIRST_PAUSE_S = 0.005
MAX_PAUSE_S = 0.05
LOG, WORKERS = "log", "workers"
WORKER_KINDS = ("commands", "correlate")
NOTICE_S = 3.0
"""Workers look about once a second which build is live and which streams are parked."""


class _Looked(NamedTuple):
    """What a store says of a view; `builds` has how far each of them is, oldest first."""

    live: View | None
    reached: Sequence[Checkpoint]
    builds: Mapping[View, Sequence[Checkpoint]]
    parked: Parked


class DistributedOperations(ViewJobs):
    """Operations and Progress of the distributed profile, and its jobs; any thread may call any method.

    Shape: nothing is known but what the stores and the log say, so that a view whose worker stopped is one whose lag
    grows, or one that was not made from this log. What a worker says of itself is at its own `/ready`.
    """

    waits = True

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
        looked, known, extent = self._ask_all(parked=True)
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
                    list(of_view.builds) if of_view else (),
                    reached=of_view.reached if of_view else None,
                    ends=ends,
                    now=now,
                    recorded_at=self._oldest.recorded_at,
                    state="waiting" if error else "stopped" if stopped else self._state(of_view),
                    parked=of_view.parked if of_view else None,
                    error=error or stopped,
                )
            )
        return statuses

    def _ask_all(self, *, parked: bool) -> tuple[Mapping[str, Any], Mapping[str, _Looked], Any]:
        """Ask stores and log at once; return the answers, what is known of each view, and the log's extent or fault."""
        questions: dict[str, Callable[[], Any]] = {
            role.value: partial(self._look, role, parked=parked) for role in self._stores
        }
        looked = self._askers.ask(questions | {LOG: partial(extent_of, self._log)})
        known: dict[str, _Looked] = {}
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

    def _look(self, role: Role, *, parked: bool) -> Mapping[str, _Looked]:
        """Return what a store says of its views; to count what is parked may take long. Raises: StoreUnavailable."""
        views, dead_letters = self._stores[role]
        found, counts = views.overview(), dead_letters.parked() if parked else {}
        looked: dict[str, _Looked] = {}
        for name in (name for name, of in self._projections.items() if of.role is role):
            live = found.live.get(name)
            looked[name] = _Looked(
                live,
                found.builds.get(live, ()) if live else (),
                {view: found.builds[view] for view in sorted(found.builds) if view.name == name},
                counts.get(live.table, NOTHING_PARKED) if live else NOTHING_PARKED,
            )
        return looked

    def _state(self, of_view: _Looked | None) -> State:
        """Tell whether any newer build was written since it was last looked at."""
        moved = False
        for build, reached in of_view.builds.items() if of_view else ():
            if of_view and (of_view.live is None or build.build > of_view.live.build):
                at = frozenset(reached)
                moved |= self._seen.get(build, at) != at
                self._seen[build] = at
        return "rebuilding" if moved else "live"

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
        looked, _, extent = self._ask_all(parked=False)
        said = {role.value: _said(looked[role.value], extent) for role in self._stores}
        return said | {LOG: str(extent) if isinstance(extent, Exception) else "ok"}

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


def _why_not(of_view: _Looked | None, extent: Any) -> str | None:
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


def _ends(answer: Any) -> tuple[Ends, str | None]:
    return ({}, str(answer)) if isinstance(answer, Exception) else (answer, None)
