"""What an operator sees and does: the state of every projection, rebuilds, proofs and dead letters."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from projections.ports import Checkpoint, DeadLetter, ProjectionStatus, StoreUnavailable, View, ViewWriter
from projections.projection import Projection
from schemas.envelope import Entry, Position, TenantId, Topic
from streams.lag import Ends, ends_of, lags, total
from streams.local_runner import RoleRunner
from streams.ports import Clock, DeadLetters, LogReader, LogUnavailable
from streams.rebuild import Step, rebuild
from streams.run_projection import ProjectionRun
from streams.verify import Verdict, verify

OnStep = Callable[[Step], None]
Scratch = Callable[[Projection], AbstractContextManager[tuple[ViewWriter, DeadLetters]]]


class UnknownProjection(KeyError):  # noqa: N818
    """There is no projection of this name; a retry gives the same answer, `factline projections list` the names."""

    def __str__(self) -> str:
        return f"there is no projection {self.args[0]!r}; `factline projections list` shows them"


class Retried(NamedTuple):
    taken: int
    still_parked: int


class LocalOperations:
    """Operations and Progress of the embedded profile, and the jobs an operator starts."""

    def __init__(
        self,
        runners: Sequence[RoleRunner],
        *,
        log: LogReader,
        dead_letters: DeadLetters,
        clock: Clock,
        scratch: Scratch,
    ) -> None:
        self._runners = runners
        self._log = log
        self._dead_letters = dead_letters
        self._clock = clock
        self._scratch = scratch
        self._rebuilding: set[str] = set()

    # --- what is

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
        reached = list(run.reached.values())
        behind = lags(reached, ends, run.projection.topics, self._clock.now())
        lag_events, lag_s = total(behind)
        stopped = runner.stopped.get(name)
        state = "stopped" if stopped else "rebuilding" if name in self._rebuilding else runner.state
        return ProjectionStatus(
            name=name,
            role=runner.role,
            live=run.view,
            builds=runner.store.builds(name),
            state=state,
            reached=reached,
            lag_events=lag_events,
            lag_s=lag_s,
            lags=behind,
            parked=len(run.parked),
            error=stopped or runner.error,
        )

    def dead_letters(
        self, tenant_id: TenantId, *, view: str | None, after: tuple[str, Position] | None, limit: int
    ) -> Sequence[DeadLetter]:
        return self._dead_letters.page(tenant_id, view=view, after=after, limit=limit)

    def all_dead_letters(self) -> Iterator[DeadLetter]:
        for runner in self._runners:
            for run in list(runner.runs.values()):
                yield from self._dead_letters.letters(run.view.table)

    def health(self) -> Mapping[str, str]:
        parts: dict[str, str] = {}
        for runner in self._runners:
            parts |= {runner.role.value: runner.error or "ok"} | runner.stopped
        try:
            self._log.read(Topic.EVENTS, 0, after=max(0, self._log.end(Topic.EVENTS, 0) - 1), limit=1)
            parts["log"] = "ok"
        except LogUnavailable as error:
            parts["log"] = str(error)
        return parts

    # --- what an operator does

    def rebuild(self, name: str, on_step: OnStep) -> View:
        """Build a view anew and switch to it. Raises: UnknownProjection; what `rebuild` raises."""
        runner = self._runner(name)
        if name in self._rebuilding:
            raise StoreUnavailable(f"{name} is being rebuilt already")
        self._rebuilding.add(name)
        try:
            return rebuild(
                runner, name, log=self._log, dead_letters=self._dead_letters, clock=self._clock, on_step=on_step
            )
        finally:
            self._rebuilding.discard(name)

    def verify(self, name: str, on_step: OnStep) -> Verdict:
        """Compare a view with the log. Raises: UnknownProjection; what `verify` raises."""
        runner = self._runner(name)
        with self._scratch(runner.runs[name].projection) as (scratch, letters):
            return verify(
                runner,
                name,
                log=self._log,
                scratch=scratch,
                scratch_letters=letters,
                clock=self._clock,
                on_step=on_step,
            )

    def retry_dead_letters(self, name: str) -> Retried:
        """Try a view's parked records again, oldest first, never moving its checkpoint.

        Raises: UnknownProjection; StoreUnavailable, LogUnavailable: safe to retry.
        """
        runner = self._runner(name)
        with runner.lock:
            run = runner.runs[name]
            taken = still_parked = 0
            failed_streams: set[tuple[str, str]] = set()
            for letter in self._dead_letters.letters(run.view.table):
                entry = self._entry(letter)
                if (letter.tenant_id, letter.stream) in failed_streams or run.retry(entry):
                    still_parked += 1
                    if letter.topic is Topic.EVENTS:
                        failed_streams.add((letter.tenant_id, letter.stream))
                    self._dead_letters.park([letter._replace(attempts=1)])
                else:
                    taken += 1
                    self._dead_letters.remove([letter])
            runner.open(run.projection)
            return Retried(taken, still_parked)

    def discard_dead_letters(self, name: str) -> int:
        """Forget a view's parked records: they stay in the log, and this build goes on without them."""
        runner = self._runner(name)
        with runner.lock:
            run = runner.runs[name]
            discarded = 0
            for letter in self._dead_letters.letters(run.view.table):
                self._dead_letters.remove([letter])
                discarded += 1
            runner.open(run.projection)
            return discarded

    def _entry(self, letter: DeadLetter) -> Entry:
        return self._log.read(letter.topic, letter.partition, after=letter.position - 1, limit=1)[0]

    def _runner(self, name: str) -> RoleRunner:
        for runner in self._runners:
            if name in runner.runs:
                return runner
        raise UnknownProjection(name)

    def names(self) -> Iterator[str]:
        for runner in self._runners:
            yield from runner.runs
