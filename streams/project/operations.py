"""An operator sees the embedded profile as the projectors of this process tell it."""

from collections.abc import Mapping, Sequence

from projections.operations import DeadLetter, ProjectionStatus
from projections.rows import Checkpoint
from schemas.envelope import Position, TenantId, Topic
from streams.correlate.local import LocalCorrelator
from streams.ports import Clock, DeadLetters, LogDamaged, LogReader, LogUnavailable
from streams.project.lag import Ends, ends_of, status_of
from streams.project.local_runner import RoleRunner
from streams.project.parked import parked_page
from streams.project.rebuild import Site
from streams.project.run import ProjectionRun
from streams.project.view_jobs import OpenScratch, UnknownProjection, ViewJobs


class LocalOperations(ViewJobs):
    """Operations and Progress of the embedded profile, and the jobs an operator starts."""

    def __init__(
        self,
        runners: Sequence[RoleRunner],
        *,
        log: LogReader,
        dead_letters: DeadLetters,
        clock: Clock,
        scratch: OpenScratch,
        correlator: LocalCorrelator | None = None,
    ) -> None:
        super().__init__(log, clock, scratch)
        self._runners = runners
        self._correlator = correlator
        self._dead_letters = dead_letters

    def reached(self, view: str) -> Sequence[Checkpoint]:
        return self._runner(view).reached(view)

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

    def _past(self, name: str, position: Position) -> bool:
        return self._runner(name).runs[name].position(position.topic, position.partition) >= position.position

    def projections(self) -> Sequence[ProjectionStatus]:
        ends = ends_of(self._log)
        return [self._status(runner, run, ends) for runner in self._runners for run in list(runner.runs.values())]

    def _status(self, runner: RoleRunner, run: ProjectionRun, ends: Ends) -> ProjectionStatus:
        name = run.projection.name
        stopped = runner.stopped.get(name)
        return status_of(
            run.projection,
            run.view,
            runner.store.builds(name),
            reached=list(run.reached.values()),
            ends=ends,
            now=self._clock.now(),
            state="stopped" if stopped else "rebuilding" if name in self._rebuilding else runner.state,
            parked_streams=len(run.parked.streams),
            error=stopped or runner.error,
        )

    def dead_letters(
        self, tenant_id: TenantId, *, table: str | None, after: tuple[str, Position] | None, limit: int
    ) -> Sequence[DeadLetter]:
        return parked_page(self._dead_letters, tenant_id, table=table, after=after, limit=limit)

    def health(self) -> Mapping[str, str]:
        parts: dict[str, str] = {}
        for runner in self._runners:
            parts |= {runner.role.value: runner.error or "ok"} | runner.stopped
        if self._correlator is not None:
            parts["correlation"] = self._correlator.error or "ok"
        try:
            self._log.read(Topic.EVENTS, 0, after=max(0, self._log.end(Topic.EVENTS, 0) - 1), limit=1)
            parts["log"] = "ok"
        except (LogUnavailable, LogDamaged) as error:
            parts["log"] = str(error)
        return parts

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
