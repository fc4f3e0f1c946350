"""A view is built anew beside the live one: it reads the log, catches up, and is switched to."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from math import inf
from typing import Any, NamedTuple

from projections.projection import Projection
from projections.rows import View
from projections.stores import StoreUnavailable, TakesRows, ViewWriter
from schemas.envelope import Position, Topic
from streams.ports import Clock, DeadLetters
from streams.project.digesting import DigestedBuild
from streams.project.lag import Ends, ends_of, positions_of
from streams.project.local_runner import BATCH_ENTRIES
from streams.project.parked import forget
from streams.project.run import ProjectionRun
from streams.project.same_log import AnotherLog, extent_of
from streams.project.step import Step
from streams.viewed_log import ViewedLog

BATCH: Mapping[Topic, int] = {Topic.EVENTS: BATCH_ENTRIES, Topic.TELEMETRY: 10 * BATCH_ENTRIES}
"""Read at once of a partition: facts are small, and one insert costs some stores as much as thousands of them."""

NEAR = 1_000
"""What reads the log up to here has caught up. Units: positions of all partitions."""

PASS_S = 5.0
_IDLE_S = 0.05


class Site(NamedTuple):
    """Where a job on the builds of a view takes place, and who else is at work there.

    Shape: who follows the live build stands still within `hold`, if it can be held at all, and looks at the store again
    when `reopen` is called; in any case it has looked once more after `notice_s`.
    """

    projection: Projection
    views: ViewWriter
    dead_letters: DeadLetters
    hold: Callable[[], AbstractContextManager[Any]]
    reopen: Callable[[], Any]
    notice_s: float

    def run(self, view: View, clock: Clock, log: ViewedLog, store: TakesRows | None = None) -> ProjectionRun:
        """Shape: `store` hands rows to that of the views, and does something of its own beside it."""
        return ProjectionRun(
            self.projection, view, store or self.views, self.dead_letters, clock, logs=log.identities()
        )


def new_build(site: Site) -> View:
    """Make the empty table of a build that never was. Raises: StoreUnavailable, safe to retry."""
    name = site.projection.name
    view = View(name, max((view.build for view in site.views.builds(name)), default=0) + 1)
    # a worker that was late may have left rows or a checkpoint under a number that was dropped
    site.views.drop(view)
    site.views.create(view)
    forget(site.dead_letters, view.table)
    return view


def bring_live(
    site: Site,
    view: View,
    *,
    log: ViewedLog,
    clock: Clock,
    on_step: Callable[[Step], None],
    compare: Callable[[View], None],
    max_rate: float | None = None,
    digested: DigestedBuild | None = None,
) -> None:
    """Let a build read the log from its own checkpoint to the end, compare it with the log, then switch readers to it.

    Shape: the live build is kept up to date by others and answers until the switch. `max_rate` is records a second; a
    build that may read less than is recorded never catches up. `digested` is of a build that is new, so that `compare`
    need not read the log.
    Raises: StoreUnavailable, LogUnavailable, TooMuchPoison, NeedsUpdate: the live build is as it was, try again.
    AnotherLog; what `compare` raises, of a build that is not as the log says.
    """
    run = site.run(view, clock, log, digested)
    if why_not := extent_of(log).why_not(view, run.reached.values()):
        raise AnotherLog(why_not)
    run.take_over()
    follower = _Follower(site, run, log, on_step, max_rate, digested=digested)
    follower.catch_up()
    compare(view)
    # what came while it was compared
    follower.catch_up()
    # readers had better not see less than before, if the traffic lets the build pass the live one
    deadline = time.monotonic() + PASS_S
    while not follower.has_passed(site.views.live(view.name)) and time.monotonic() < deadline:
        if not follower.advance():
            break
    with site.hold():
        if site.notice_s == 0:
            # nothing moves the live build now: readers never see less than before
            while follower.advance():
                pass
        site.views.switch(view)
        site.reopen()
    follower.hand_over(site.notice_s)


class _Follower:
    def __init__(
        self,
        site: Site,
        run: ProjectionRun,
        log: ViewedLog,
        on_step: Callable[[Step], None],
        max_rate: float | None,
        *,
        digested: DigestedBuild | None,
    ) -> None:
        self._site = site
        self._run = run
        self._log = log
        self._on_step = on_step
        self._max_rate = max_rate
        self._digested = digested
        self._free_at = 0.0

    def catch_up(self) -> None:
        """Read what is there, then what came meanwhile, until that is little or no longer becomes less."""
        before: float = inf
        while True:
            ends = self._ends()
            # one partition after the other: a reader of Kafka has the next records of the one it reads
            for place, end in ends.items():
                while self._run.position(*place) < end and self._advance_in(*place):
                    self._on_step(self._progress())
            came = self._unread(self._ends())
            if came <= NEAR or came > before / 2:
                return
            before = came

    def has_passed(self, live: View | None) -> bool:
        reached = self._site.views.checkpoints(live) if live else ()
        return all(self._run.position(at.topic, at.partition) >= at.position for at in reached)

    def advance(self) -> int:
        """Apply a batch of each partition; return how many records that were."""
        topics, partitions = self._run.projection.topics, range(self._log.partitions)
        read = sum(self._advance_in(topic, partition) for topic in topics for partition in partitions)
        self._on_step(self._progress())
        return read

    def _advance_in(self, topic: Topic, partition: int) -> int:
        # several small reads a second rather than a large one and a long pause
        limit = max(1, min(BATCH[topic], int(self._max_rate / 4))) if self._max_rate else BATCH[topic]
        after = self._run.position(topic, partition)
        batch = self._log.read(topic, partition, after=after, limit=limit)
        if batch:
            self._check_there()
            if self._digested:
                self._digested.come_after(Position(topic, partition, after))
            with self._site.hold():
                self._run.run(batch)
            self._pace(len(batch))
        return len(batch)

    def hand_over(self, seconds: float) -> None:
        """Go on until whoever follows the live build has noticed which it is: what both write is there once."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.advance():
                time.sleep(_IDLE_S)

    def _check_there(self) -> None:
        """A table that was dropped meanwhile may come back with its next row, and would lack all before."""
        view = self._run.view
        kept = positions_of(self._site.views.checkpoints(view))
        if any(kept.get(place, 0) < at.position for place, at in self._run.reached.items()):
            raise StoreUnavailable(f"{view.table} was dropped while it was read; nothing was switched")

    def _pace(self, records: int) -> None:
        if self._max_rate:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + records / self._max_rate
            time.sleep(self._free_at - now)

    def _ends(self) -> Ends:
        return {place: end for place, end in ends_of(self._log).items() if place[0] in self._run.projection.topics}

    def _unread(self, ends: Ends) -> int:
        return sum(max(0, end - self._run.position(*place)) for place, end in ends.items())

    def _progress(self) -> Step:
        ends = self._ends()
        return Step(done=sum(self._run.position(*place) for place in ends), total=sum(ends.values()))
