"""The proof that a view equals the log: fold the log into a scratch store and compare row by row."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from projections.ports import KEY, StoredRow, View, ViewWriter
from schemas.envelope import TenantId
from streams.local_runner import BATCH_ENTRIES, RoleRunner
from streams.ports import Clock, DeadLetters, LogReader
from streams.rebuild import Step, progress
from streams.run_projection import ProjectionRun

MAX_EXAMPLES = 10


class Difference(NamedTuple):
    """A row that is not as the log says. Shape: `expected` None is a row too many, `found` None a missing one."""

    tenant_id: TenantId
    key: tuple[Any, ...]
    expected: StoredRow | None
    found: StoredRow | None


class Verdict(NamedTuple):
    """What comparing one view gave; `differences` counts all, `examples` holds the first of them."""

    view: str
    rows: int
    differences: int
    examples: Sequence[Difference]
    parked: int


def verify(
    runner: RoleRunner,
    name: str,
    *,
    log: LogReader,
    scratch: ViewWriter,
    scratch_letters: DeadLetters,
    clock: Clock,
    on_step: Callable[[Step], None],
) -> Verdict:
    """Compare the live build of a view with what the log says it must hold.

    Shape: `scratch` is an empty store that keeps the projection's rows. The view stands still while rows are compared;
    the log goes on.
    Raises: StoreUnavailable, LogUnavailable, verify again.
    """
    live = runner.runs[name]
    view = View(name, 1)
    scratch.create(view)
    scratch.switch(view)
    run = ProjectionRun(live.projection, view, scratch, scratch_letters, clock)
    _fold(run, live, log, on_step)
    with runner.lock:
        _fold(run, live, log, on_step)
        return _compare(runner.store, live.view, scratch, view, sum(1 for _ in scratch_letters.letters(view.table)))


def _fold(run: ProjectionRun, live: ProjectionRun, log: LogReader, on_step: Callable[[Step], None]) -> None:
    """Read exactly as far as the live build has read."""
    for topic in run.projection.topics:
        for partition in range(log.partitions):
            while (after := run.position(topic, partition)) < (until := live.position(topic, partition)):
                batch = log.read(topic, partition, after=after, limit=min(BATCH_ENTRIES, until - after))
                run.run([entry for entry in batch if entry.position <= until])
                on_step(progress(run, log))


def _compare(store: ViewWriter, view: View, scratch: ViewWriter, expected_view: View, parked: int) -> Verdict:
    tenants = sorted({*store.tenants(view), *scratch.tenants(expected_view)})
    differences = rows = 0
    examples: list[Difference] = []
    for tenant_id in tenants:
        for expected, found in _side_by_side(scratch.scan(expected_view, tenant_id), store.scan(view, tenant_id)):
            rows += 1
            if expected != found:
                differences += 1
                if len(examples) < MAX_EXAMPLES:
                    examples.append(Difference(tenant_id, _key(expected or found), expected, found))
    return Verdict(view.table, rows, differences, examples, parked)


def _side_by_side(
    left: Iterator[StoredRow], right: Iterator[StoredRow]
) -> Iterator[tuple[StoredRow | None, StoredRow | None]]:
    """Pair the rows of two scans, both in key order, by key."""
    a, b = next(left, None), next(right, None)
    while a is not None and b is not None:
        if _key(a) == _key(b):
            yield a, b
            a, b = next(left, None), next(right, None)
        elif _key(a) < _key(b):
            yield a, None
            a = next(left, None)
        else:
            yield None, b
            b = next(right, None)
    yield from ((row, None) for row in chain([a] if a else [], left))
    yield from ((None, row) for row in chain([b] if b else [], right))


def _key(row: StoredRow | None) -> tuple[Any, ...]:
    return tuple(getattr(row, field) for field in KEY[type(row)])
