"""An operator sees the distributed profile as its stores and its log tell it, from any process."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import TypeVar

from projections.catalog import PROJECTIONS
from projections.operations import DeadLetter, ProjectionStatus
from projections.projection import Projection
from projections.rows import Checkpoint, Role, View
from projections.stores import StoreUnavailable
from schemas.envelope import Position, TenantId, Topic
from streams.ports import Clock, LogReader, LogUnavailable, Stores
from streams.project.lag import Ends, ends_of, status_of
from streams.project.parked import parked_page
from streams.project.rebuild import Site
from streams.project.view_jobs import OpenScratch, UnknownProjection, ViewJobs

FIRST_PAUSE_S = 0.005
MAX_PAUSE_S = 0.05
NOTICE_S = 3.0
"""Workers look about once a second which build is live and which streams are parked."""

T = TypeVar("T")


class DistributedOperations(ViewJobs):
    """Operations and Progress of the distributed profile, and its jobs; any thread may call any method.

    Shape: nothing is known but what the stores and the log say, so that a view whose worker stopped is one whose lag
    grows. What a worker says of itself is at its own `/ready`.
    """

    def __init__(
        self,
        stores: Mapping[Role, Stores],
        *,
        log: LogReader,
        clock: Clock,
        scratch: OpenScratch,
        projections: Sequence[Projection] = PROJECTIONS,
    ) -> None:
        super().__init__(log, clock, scratch)
        self._stores = stores
        self._projections = {projection.name: projection for projection in projections}
        # the builds beside the live one, as they were when somebody last looked: one that moves is being rebuilt
        self._seen: dict[View, frozenset[Checkpoint]] = {}

    # --- Progress

    def reached(self, view: str) -> Sequence[Checkpoint]:
        store = self._stores[self._projection(view).role].views
        live = store.live(view)
        return store.checkpoints(live) if live else ()

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

    def _past(self, name: str, position: Position) -> bool:
        topic, partition, wanted = position
        return any(at.position >= wanted for at in self.reached(name) if at[:2] == (topic, partition))

    # --- Operations

    def projections(self) -> Sequence[ProjectionStatus]:
        now = self._clock.now()
        try:
            ends, problem = ends_of(self._log), None
        except LogUnavailable as error:
            ends, problem = {}, str(error)

        def of_role(role: Role) -> list[ProjectionStatus]:
            return self._statuses(role, ends, problem, now)

        found = {status.name: status for statuses in self._by_role(of_role).values() for status in statuses}
        return [found[name] for name in self._projections]

    def _statuses(self, role: Role, ends: Ends, problem: str | None, now: datetime) -> list[ProjectionStatus]:
        statuses: list[ProjectionStatus] = []
        outage: str | None = None
        for projection in self._projections.values():
            if projection.role is role:
                # a store that did not answer once is not asked for each of its views
                if outage is None:
                    try:
                        statuses.append(self._status(projection, ends, problem, now))
                        continue
                    except StoreUnavailable as error:
                        outage = str(error)
                statuses.append(
                    status_of(projection, None, (), reached=(), ends={}, now=now, state="waiting", error=outage)
                )
        return statuses

    def _status(self, projection: Projection, ends: Ends, problem: str | None, now: datetime) -> ProjectionStatus:
        views, dead_letters = self._stores[projection.role]
        live = views.live(projection.name)
        builds = views.builds(projection.name)
        reached = views.checkpoints(live) if live else ()
        rebuilding = self._moves([view for view in builds if live is None or view.build > live.build], projection)
        return status_of(
            projection,
            live,
            builds,
            reached=reached,
            ends=ends,
            now=now,
            state="waiting" if problem else "rebuilding" if rebuilding else "live",
            parked_streams=len(dead_letters.parked_streams(live.table)) if live else 0,
            error=problem,
        )

    def _moves(self, builds: Sequence[View], projection: Projection) -> bool:
        """Tell whether any of the builds was written since it was last looked at."""
        moved = False
        for build in builds:
            reached = frozenset(self._stores[projection.role].views.checkpoints(build))
            moved |= self._seen.get(build, reached) != reached
            self._seen[build] = reached
        return moved

    def dead_letters(
        self, tenant_id: TenantId, *, table: str | None, after: tuple[str, Position] | None, limit: int
    ) -> Sequence[DeadLetter]:
        pages = [
            parked_page(store.dead_letters, tenant_id, table=table, after=after, limit=limit)
            for store in self._stores.values()
        ]
        return list(islice(merge(*pages, key=_place), limit))

    def health(self) -> Mapping[str, str]:
        parts = {role.value: said for role, said in self._by_role(self._role_health).items()}
        try:
            self._log.end(Topic.EVENTS, 0)
            parts["log"] = "ok"
        except LogUnavailable as error:
            parts["log"] = str(error)
        return parts

    def _role_health(self, role: Role) -> str:
        try:
            views = self._stores[role].views
            missing = [name for name, of in self._projections.items() if of.role is role and views.live(name) is None]
        except StoreUnavailable as error:
            return str(error)
        return f"no build is live of {', '.join(missing)}: run factline migrate" if missing else "ok"

    def _by_role(self, ask: Callable[[Role], T]) -> Mapping[Role, T]:
        """Ask all stores at once: one that is down takes its time to be so."""
        with ThreadPoolExecutor(len(self._stores), "ask") as threads:
            return dict(zip(self._stores, threads.map(ask, self._stores), strict=True))

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
