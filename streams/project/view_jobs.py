"""An operator's jobs on the views are the same in both profiles: rebuild, switch, drop, verify, dead letters."""

import os
import socket
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from threading import Lock

from projections.operations import DeadLetter, ProjectionStatus
from projections.projection import Projection
from projections.rows import View
from projections.stores import Holder, ScansColumns, StoreUnavailable, ViewWriter
from streams.identifiers import new_id
from streams.ports import Clock, DeadLetters
from streams.project.digesting import DigestedBuild
from streams.project.digests import FORMAT
from streams.project.expected import Job, Scratch
from streams.project.fold import Compared, Places
from streams.project.lag import positions_of
from streams.project.parked import Retried, discard, forget, retry
from streams.project.rebuild import Site, bring_live, new_build
from streams.project.remembered import Remembered
from streams.project.same_log import extent_of
from streams.project.step import Step
from streams.project.verify import CannotCompare, Verdict, passed, verify
from streams.viewed_log import ViewedLog
from streams.write.snapshots import code

LEASE = timedelta(minutes=10)
"""A job that was killed keeps others from the builds of its view for no longer; one that works on holds them on."""

_NOBODY_SAID = "a log without a name"

OnStep = Callable[[Step], None]
OpenScratch = Callable[[Projection], AbstractContextManager[tuple[ViewWriter, DeadLetters, Remembered]]]


def _reached(of: Compared) -> Places:
    return positions_of(of.store.checkpoints(of.view))


def _code() -> str:
    """Return a hash of the code that makes rows of records: digests of other code are of no use."""
    return code(("domain", "schemas", "projections"))


class UnknownProjection(KeyError):  # noqa: N818
    """There is no projection of this name; a retry gives the same answer, `factline projections list` the names."""

    def __str__(self) -> str:
        return f"there is no projection {self.args[0]!r}; `factline projections list` shows them"


class WrongBuild(ValueError):  # noqa: N818
    """What was asked for cannot be done with this build of the view; a retry gives the same answer."""


class BuildDiffers(Exception):  # noqa: N818
    """A build does not hold what the log says, so it was not switched to; the message says what to do."""

    def __init__(self, verdict: Verdict) -> None:
        of_tenants = sorted({example.tenant_id for example in verdict.examples})
        super().__init__(
            f"{verdict.view} has {verdict.differences:,} rows that are not as the log says, the first of them of"
            f" {', '.join(of_tenants)}; nothing was switched: see that its store keeps what it is sent, drop this build"
            " and rebuild the view"
        )


class ViewJobs(ABC):
    """The jobs; a subclass knows who else writes the views."""

    def __init__(self, log: ViewedLog, clock: Clock, scratch: OpenScratch) -> None:
        self._log = log
        self._clock = clock
        self._scratch = scratch
        self._rebuilding: set[str] = set()
        # of one view, one comparison at a time remembers
        self._comparing: defaultdict[str, Lock] = defaultdict(Lock)

    @abstractmethod
    def _site(self, name: str) -> Site:
        """Return where the jobs on a view take place. Raises: UnknownProjection."""

    @abstractmethod
    def projections(self) -> Sequence[ProjectionStatus]:
        """Return the status of every projection: see Operations."""

    @abstractmethod
    def names(self) -> Sequence[str]:
        """Return the names of the projections."""

    def all_dead_letters(self) -> Iterator[DeadLetter]:
        """Yield the dead letters of the live builds, of all tenants. Raises: StoreUnavailable, start again."""
        for name in self.names():
            site = self._site(name)
            if live := site.views.live(name):
                yield from site.dead_letters.letters(live.table)

    def rebuild(self, name: str, on_step: OnStep, *, max_rate: float | None = None) -> View:
        """Build a view anew from the whole log and switch readers to it; the build before stays until it is dropped.

        Shape: the new build has dead letters of its own. Units: `max_rate` is records of the log a second.
        Raises: UnknownProjection; BuildDiffers; what `bring_live` raises.
        """
        site = self._site(name)
        with self._alone(site) as go_on:
            with site.hold():
                view = new_build(site)
            with self._digested(site, view) as digested:
                self._bring_live(site, view, on_step, go_on, max_rate=max_rate, digested=digested)
            return view

    def switch(self, name: str, build: int, on_step: OnStep) -> View:
        """Let a build that is there catch up with the log, then switch readers to it.

        Raises: UnknownProjection; WrongBuild, it is not there; BuildDiffers; what `bring_live` raises.
        """
        site, view = self._site(name), self._build(name, build)
        with self._alone(site) as go_on:
            self._bring_live(site, view, on_step, go_on)
            return view

    def drop(self, name: str, build: int) -> View:
        """Remove a build and its dead letters for good.

        Raises: UnknownProjection; WrongBuild, it is live or not there; StoreUnavailable, safe to retry.
        """
        site, view = self._site(name), self._build(name, build)
        with self._alone(site), site.hold():
            if site.views.live(name) == view:
                raise WrongBuild(f"{view.table} is live: switch to another build first")
            site.views.drop(view)
            # a worker that still held the build has let go of it by then
            time.sleep(site.notice_s)
            if view in site.views.builds(name):
                site.views.drop(view)
            forget(site.dead_letters, view.table)
            with self._comparing[name], self._scratch(site.projection) as parts:
                Scratch(*parts).remembered.begin(view.table, "")
            return view

    def verify(self, name: str, on_step: OnStep, *, full: bool = False) -> Verdict:
        """Compare a view with the log, and what is remembered of the log since the last time only where not `full`.

        Raises: UnknownProjection; what `verify` raises.
        """
        site = self._site(name)
        live = site.views.live(name)
        if live is None:
            raise CannotCompare(f"no build of {name} is live yet: wait until it is built, or run factline migrate")
        reached = site.views.checkpoints(live)
        if why_not := extent_of(self._log).why_not(live, reached):
            raise CannotCompare(why_not)
        return self._compared(site, live, on_step, lambda of: passed(of, self._log), anew=full)

    @contextmanager
    def _digested(self, site: Site, view: View) -> Iterator[DigestedBuild | None]:
        """Let what is written to a new build be remembered, if its rows have digests and its log has a name."""
        layout, store = site.projection.layout, site.views
        if not isinstance(store, ScansColumns) or (origin := self._origin(site.projection)) is None:
            yield None
            return
        with self._scratch(site.projection) as parts:
            remembered = Scratch(*parts).remembered
            remembered.begin(view.table, origin)
            yield DigestedBuild(view, store, layout, remembered, self._clock)

    def _bring_live(
        self,
        site: Site,
        view: View,
        on_step: OnStep,
        go_on: Callable[[], None],
        *,
        max_rate: float | None = None,
        digested: DigestedBuild | None = None,
    ) -> None:
        def stepped(step: Step) -> None:
            go_on()
            on_step(step)

        def check(build: View) -> None:
            if digested:
                digested.end(site.dead_letters)
            # nobody else writes it
            anew = digested is None or not digested.is_known
            verdict = self._compared(site, build, stepped, _reached, anew=anew)
            if verdict.differences:
                raise BuildDiffers(verdict)

        bring_live(
            site,
            view,
            log=self._log,
            clock=self._clock,
            on_step=stepped,
            compare=check,
            max_rate=max_rate,
            digested=digested,
        )

    def _compared(
        self, site: Site, view: View, on_step: OnStep, until: Callable[[Compared], Places], *, anew: bool
    ) -> Verdict:
        of = Compared(site.projection, view, site.views, site.dead_letters)
        origin = self._origin(site.projection)
        with self._comparing[view.name], self._scratch(site.projection) as parts:
            scratch = Scratch(*parts)
            if anew or origin is None:
                scratch.remembered.begin(view.table, "")
            job = Job(of, self._log, scratch, self._clock, on_step, origin or _NOBODY_SAID)
            return verify(job, lambda: until(of))

    def _origin(self, projection: Projection) -> str | None:
        """Return of which log, and read by which code, digests of a view are; None where nobody named the log."""
        logs = self._log.identities()
        if not all(logs.get(topic) for topic in projection.topics):
            return None
        return " ".join((*(f"{topic.value}={logs[topic]}" for topic in projection.topics), _code(), FORMAT))

    def retry_dead_letters(self, name: str) -> Retried:
        """Try the dead letters of a view's live build again, oldest first, never moving its checkpoint.

        Raises: UnknownProjection; StoreUnavailable, LogUnavailable: safe to retry.
        """
        site = self._site(name)
        with site.hold():
            retried = self._retry(site, self._live(site))
            site.reopen()
            return retried

    def discard_dead_letters(self, name: str) -> int:
        """Let a view's live build go on without its dead letters: their records stay in the log, `verify` counts them.

        Raises: UnknownProjection; StoreUnavailable, LogUnavailable: safe to retry.
        """
        site = self._site(name)
        with site.hold():
            live = self._live(site)
            discarded = discard(site.dead_letters, live.table)
            if discarded and site.notice_s:
                # what follows is not discarded, though it was parked until the worker knew
                time.sleep(site.notice_s)
                self._retry(site, live)
            site.reopen()
            return discarded

    def _retry(self, site: Site, view: View) -> Retried:
        apply = site.run(view, self._clock, self._log).retry
        return retry(site.dead_letters, view.table, self._log, apply, notice_s=site.notice_s)

    def _build(self, name: str, build: int) -> View:
        view = View(name, build)
        if view not in self._site(name).views.builds(name):
            raise WrongBuild(f"there is no {view.table}; `factline projections list` shows the builds")
        return view

    def _live(self, site: Site) -> View:
        live = site.views.live(site.projection.name)
        if live is None:
            name = site.projection.name
            raise StoreUnavailable(f"no build of {name} is live yet: wait until it is built, or run factline migrate")
        return live

    @contextmanager
    def _alone(self, site: Site) -> Iterator[Callable[[], None]]:
        """Let nobody else change the builds of a view, whatever process or machine it is in; yield how to go on so.

        Raises: StoreUnavailable, somebody else changes them; the message says who.
        """
        name = site.projection.name
        who = f"process {os.getpid()} on {socket.gethostname()}, job {new_id()}"
        due = 0.0

        def go_on() -> None:
            nonlocal due
            if time.monotonic() < due:
                return
            now = self._clock.now()
            held = site.views.hold(name, Holder(who, now + LEASE), now=now)
            if held.who != who:
                raise StoreUnavailable(
                    f"the builds of {name} are being changed by {held.who}, until {held.until:%H:%M:%S} UTC at the"
                    " latest if it was killed; wait for that to end"
                )
            due = time.monotonic() + LEASE.total_seconds() / 10

        go_on()
        self._rebuilding.add(name)
        try:
            yield go_on
        finally:
            self._rebuilding.discard(name)
            with suppress(StoreUnavailable):
                now = self._clock.now()
                site.views.hold(name, Holder(who, now - LEASE), now=now)
