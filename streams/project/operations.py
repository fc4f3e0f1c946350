"""An operator sees the embedded profile as the projectors of this process tell it."""

from collections.abc import Mapping, Sequence
from functools import partial

from projections.operations import DeadLetter, PartitionLag, ProjectionStatus, State, WorkerStatus, sums
from projections.rows import Checkpoint, View
from schemas.envelope import Position, TenantId, Topic
from streams.correlate.local import STOPPED, LocalCorrelator
from streams.ports import NOTHING_PARKED, Clock, DeadLetters, LogUnavailable
from streams.project.asking import Askers, Unanswered
from streams.project.lag import Ends, Oldest, ends_of, lags_of, places, status_of
from streams.project.local_runner import RoleRunner
from streams.project.parked import letter_at, parked_page
from streams.project.rebuild import Site
from streams.project.run import ProjectionRun
from streams.project.view_jobs import OpenScratch, UnknownProjection, ViewJobs
from streams.viewed_log import ViewedLog

LOG = "log"

ANSWER_S = 1.2
"""How long a part is waited for: nothing else is asked after it."""

LEARN_S = 0.5
"""Time to read when the oldest unread records were recorded."""


class LocalOperations(ViewJobs):
    """Operations and Progress of the embedded profile, and the jobs an operator starts."""

    waits = False

    def __init__(
        self,
        runners: Sequence[RoleRunner],
        *,
        log: ViewedLog,
        dead_letters: DeadLetters,
        clock: Clock,
        scratch: OpenScratch,
        correlator: LocalCorrelator | None = None,
    ) -> None:
        super().__init__(log, clock, scratch)
        self._runners = runners
        self._correlator = correlator
        self._dead_letters = dead_letters
        self._askers = Askers([*(runner.role.value for runner in runners), LOG], ANSWER_S)
        self._oldest = Oldest(log)

    def reached(self, view: str) -> Sequence[Checkpoint] | None:
        runner = self._runner(view)
        return None if view in runner.building else runner.reached(view)

    def wait_for(self, views: Sequence[str], position: Position, timeout_s: float) -> bool:
        deadline = self._clock.now().timestamp() + timeout_s
        for name in views:
            runner = self._runner(name)
            run = runner.runs[name]
            if position.topic not in run.projection.topics:
                continue
            left = max(0.0, deadline - self._clock.now().timestamp())
            if not runner.wait_until(lambda: self._past(name, position), left):  # noqa: B023 - called before the next
                return False
        return True

    def missing(self, view: str, tenant_id: TenantId, position: Position) -> DeadLetter | None:
        table = self._runner(view).runs[view].view.table
        return letter_at(self._dead_letters, table, tenant_id, position)

    def _past(self, name: str, position: Position) -> bool:
        return self._runner(name).runs[name].position(position.topic, position.partition) >= position.position

    def projections(self) -> Sequence[ProjectionStatus]:
        known = self._askers.ask({runner.role.value: partial(self._look, runner) for runner in self._runners})
        ends, problem = self._ends()
        runs = [(runner, run) for runner in self._runners for run in list(runner.runs.values())]
        for _, run in runs:
            self._oldest.learn(places(_reached(run), ends, run.projection.topics), ends, LEARN_S / len(runs))
        return [self._status(runner, run, known[runner.role.value], ends, problem) for runner, run in runs]

    def _look(self, runner: RoleRunner) -> Mapping[str, tuple[Sequence[View], int]]:
        """Return what only the store knows of each view: its builds, and how much is parked."""
        builds, parked = sorted(runner.store.overview().builds), self._dead_letters.parked()
        return {
            name: ([view for view in builds if view.name == name], parked.get(run.view.table, NOTHING_PARKED).records)
            for name, run in list(runner.runs.items())
        }

    def _ends(self) -> tuple[Ends, str | None]:
        try:
            return ends_of(self._log), None
        except LogUnavailable as error:
            return {}, str(error)

    def _status(
        self,
        runner: RoleRunner,
        run: ProjectionRun,
        known: Mapping[str, tuple[Sequence[View], int]] | Unanswered,
        ends: Ends,
        problem: str | None,
    ) -> ProjectionStatus:
        name = run.projection.name
        away = str(known) if isinstance(known, Exception) else problem
        builds, letters = ((), None) if isinstance(known, Exception) else known.get(name, ((), None))
        stopped, new = runner.stopped.get(name), name in runner.building
        state: State = "waiting" if away and runner.state == "live" else runner.state
        return status_of(
            run.projection,
            None if new else run.view,
            builds,
            reached=_reached(run),
            ends=ends,
            now=self._clock.now(),
            recorded_at=self._oldest.recorded_at,
            state="stopped" if stopped else "rebuilding" if new or name in self._rebuilding else state,
            parked=None if letters is None else (len(run.parked.streams), letters),
            error=stopped or runner.error or away,
        )

    def workers(self) -> Sequence[WorkerStatus]:
        if self._correlator is None:
            return ()
        ends, problem = self._ends()
        read: Mapping[Topic, int] | None = self._correlator.read
        behind: Sequence[PartitionLag] = ()
        if read is not None:
            at = {place: read[place[0]] for place in ends}
            self._oldest.learn([Position(*place, position) for place, position in at.items()], ends, LEARN_S)
            behind = lags_of(at, ends, self._clock.now(), self._oldest.recorded_at)
        error = self._correlator.error or problem or (None if read else "it has not begun yet")
        running = int(not (self._correlator.error or "").startswith(STOPPED))
        return (WorkerStatus("correlate", running, *sums(behind), behind, error),)

    def dead_letters(
        self, tenant_id: TenantId, *, table: str | None, after: tuple[str, Position] | None, limit: int
    ) -> Sequence[DeadLetter]:
        return parked_page(self._dead_letters, tenant_id, table=table, after=after, limit=limit)

    def health(self) -> Mapping[str, str]:
        parts: dict[str, str] = {}
        known = self._askers.ask(
            {runner.role.value: partial(self._look, runner) for runner in self._runners} | {LOG: self._read_last}
        )
        for runner in self._runners:
            role = runner.role.value
            new = dict.fromkeys(runner.building, "new: it is being built from the log")
            parts |= {role: runner.error or _said(known[role])} | new | runner.stopped
        if self._correlator is not None:
            parts["correlation"] = self._correlator.error or "ok"
        parts["log"] = _said(known[LOG])
        return parts

    def _read_last(self) -> None:
        self._log.read(Topic.EVENTS, 0, after=max(0, self._log.end(Topic.EVENTS, 0) - 1), limit=1)

    def names(self) -> Sequence[str]:
        return [name for runner in self._runners for name in runner.runs]

    def _site(self, name: str) -> Site:
        runner = self._runner(name)
        projection = runner.runs[name].projection
        return Site(
            projection,
            runner.store,
            self._dead_letters,
            hold=lambda: runner.lock,
            reopen=lambda: runner.open(projection),
            notice_s=0.0,
        )

    def _runner(self, name: str) -> RoleRunner:
        for runner in self._runners:
            if name in runner.runs:
                return runner
        raise UnknownProjection(name)


def _reached(run: ProjectionRun) -> Sequence[Checkpoint]:
    """Return how far a view has read each partition; one of which it has read nothing is left out."""
    return list(run.reached.values())


def _said(answer: object) -> str:
    return str(answer) if isinstance(answer, Exception) else "ok"
