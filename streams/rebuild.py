"""A view built anew beside the live one: replay, catch up, switch, and only then drop the old build."""

from collections.abc import Callable
from typing import NamedTuple

from projections.ports import View
from streams.local_runner import BATCH_ENTRIES, RoleRunner
from streams.ports import Clock, DeadLetters, LogReader
from streams.run_projection import ProjectionRun


class Step(NamedTuple):
    """How far a long job is. Units: records of the log."""

    done: int
    total: int


def rebuild(
    runner: RoleRunner,
    name: str,
    *,
    log: LogReader,
    dead_letters: DeadLetters,
    clock: Clock,
    on_step: Callable[[Step], None],
) -> View:
    """Build the next build of a view from the whole log and switch readers to it; return it.

    Shape: the live build is kept up to date and answers until the switch; a build left over by an interrupted rebuild
    is begun again. The new build has dead letters of its own; those of the old one go with it.
    Raises: KeyError, there is no such projection; StoreUnavailable, LogUnavailable, TooMuchPoison: the live build is as
    it was, rebuild again.
    """
    projection, old = runner.runs[name].projection, runner.runs[name].view
    new = View(name, max(view.build for view in runner.store.builds(name)) + 1)
    with runner.lock:
        for left_over in runner.store.builds(name):
            if left_over != old:
                runner.store.drop(left_over)
        runner.store.create(new)
    run = ProjectionRun(projection, new, runner.store, dead_letters, clock)
    while _advance(run, log, runner, on_step):
        pass
    with runner.lock:
        # the live build stands still now, so what is left to read is little
        while _advance(run, log, runner, on_step):
            pass
        runner.store.switch(new)
        runner.open(projection)
        runner.store.drop(old)
        for letter in dead_letters.letters(old.table):
            dead_letters.remove([letter])
    return new


def _advance(run: ProjectionRun, log: LogReader, runner: RoleRunner, on_step: Callable[[Step], None]) -> bool:
    read_any = False
    for topic in run.projection.topics:
        for partition in range(log.partitions):
            batch = log.read(topic, partition, after=run.position(topic, partition), limit=BATCH_ENTRIES)
            if batch:
                with runner.lock:
                    run.run(batch)
                read_any = True
    on_step(progress(run, log))
    return read_any


def progress(run: ProjectionRun, log: LogReader) -> Step:
    places = [(topic, partition) for topic in run.projection.topics for partition in range(log.partitions)]
    return Step(done=sum(run.position(*place) for place in places), total=sum(log.end(*place) for place in places))
