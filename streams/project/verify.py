"""This proves that a view equals the log: it folds the log into an empty store and compares the two."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date
from itertools import chain, islice
from typing import Any, NamedTuple

from projections.layout import Layout
from projections.projection import Projection
from projections.rows import StoredRow, View
from projections.stores import ViewWriter
from schemas.envelope import Position, TenantId, Topic
from streams.ports import Clock, DeadLetters, LogReader
from streams.project.digests import digests_of
from streams.project.lag import ends_of, positions_of
from streams.project.parked import names_of, places, record_at
from streams.project.rebuild import BATCH, Step
from streams.project.run import ProjectionRun

MAX_EXAMPLES = 10
MAX_DIFFERENCES = 100_000
"""A view with more of them is not looked at further."""

MAX_LOOKS = 10
PATIENCE_S = 15.0
_POLL_S = 0.05

_Places = Mapping[tuple[Topic, int], int]
_Group = tuple[TenantId, date | None]


class CannotCompare(Exception):  # noqa: N818
    """The view is not where it can be compared with the log; the message says what to do before it is tried again."""


class Difference(NamedTuple):
    """A row that is not as the log says. Shape: `expected` None is a row too many, `found` None a missing one."""

    tenant_id: TenantId
    key: tuple[Any, ...]
    expected: StoredRow | None
    found: StoredRow | None


class Verdict(NamedTuple):
    """What comparing one view gave.

    Shape: `view` is the table that was compared, `rows` is how many it has. `differences` counts all up to
    MAX_DIFFERENCES, with the rows that readers do not find where they look; `examples` holds the first of them.
    `dead_letters` counts the records that the view has parked, and `discarded` those that an operator told it to go on
    without: neither is in it. `moving` rows were written each time they were looked at, and never were as the log said
    just then.
    """

    view: str
    rows: int
    differences: int
    examples: Sequence[Difference]
    dead_letters: int
    moving: int
    discarded: int


class Compared(NamedTuple):
    """A build, and what there is of it to compare: its table and its letters."""

    projection: Projection
    view: View
    store: ViewWriter
    letters: DeadLetters


class Scratch(NamedTuple):
    """An empty store that keeps the rows of the projection that is compared, and its dead letters."""

    store: ViewWriter
    letters: DeadLetters


def verify(of: Compared, *, log: LogReader, scratch: Scratch, clock: Clock, on_step: Callable[[Step], None]) -> Verdict:
    """Compare the live build of a view with what the log says it must hold, as of now or later.

    Shape: days of a tenant are compared by digest, then the rows of those that differ. The view may be written
    meanwhile: a row differs if it is the same in two looks, although before the second one the view has read all that
    was in the log when the first one ended.
    Raises: CannotCompare; StoreUnavailable, LogUnavailable, verify again.
    """
    sides = _Sides(of, log, scratch, clock, on_step)
    sides.fold(_passed(of, log))
    rows, groups = sides.differing_groups()
    pending: Mapping[_Key, Difference] = {}
    certain: dict[_Key, Difference] = {}
    for look in range(MAX_LOOKS if groups else 0):
        sides.fold(_passed(of, log))
        seen = dict(islice(sides.differences(groups), MAX_DIFFERENCES))
        certain |= {key: one for key, one in seen.items() if key in pending and pending[key].found == one.found}
        pending = {key: one for key, one in seen.items() if (key in pending or not look) and key not in certain}
        if not pending:
            break
    misplaced = sides.misplaced()
    if misplaced:
        # what was only being written is in its place by the next look
        sides.fold(_passed(of, log))
        misplaced &= sides.misplaced()
    return sides.verdict(rows, _all(certain, misplaced), pending.values())


def compare(
    of: Compared, *, log: LogReader, scratch: Scratch, clock: Clock, on_step: Callable[[Step], None]
) -> Verdict:
    """Compare a build that nobody else writes with what the log says up to where the build has read it.

    Raises: StoreUnavailable, LogUnavailable, safe to retry.
    """
    sides = _Sides(of, log, scratch, clock, on_step)
    sides.fold(positions_of(of.store.checkpoints(of.view)))
    rows, groups = sides.differing_groups()
    differing = dict(islice(sides.differences(groups), MAX_DIFFERENCES))
    return sides.verdict(rows, _all(differing, sides.misplaced()), ())


class _Sides:
    """A build, and beside it the log folded into a scratch store."""

    def __init__(
        self, of: Compared, log: LogReader, scratch: Scratch, clock: Clock, on_step: Callable[[Step], None]
    ) -> None:
        self._of = of
        self._log = log
        self._scratch = scratch.store
        self._on_step = on_step
        self._layout = of.projection.layout
        self._view = View(of.projection.name, 1)
        self._scratch.create(self._view)
        self._scratch.switch(self._view)
        self._run = ProjectionRun(of.projection, self._view, *scratch, clock)
        self._parked: frozenset[Position] = frozenset()
        self._discarded: frozenset[Position] = frozenset()

    def fold(self, until: "_Places") -> None:
        """Read exactly as far as the build has read, but for what it has parked and what was discarded."""
        before = self._parked
        self._parked, self._discarded = (places(self._of.letters, name) for name in names_of(self._of.view.table))
        left_out = self._parked | self._discarded
        for place in sorted(before - left_out):
            # retried meanwhile, and taken
            if (entry := record_at(self._log, place)) is not None:
                self._run.retry(entry)
        total = sum(until.values())
        for (topic, partition), end in until.items():
            while (after := self._run.position(topic, partition)) < end:
                batch = self._log.read(topic, partition, after=after, limit=min(BATCH[topic], end - after))
                due = [entry for entry in batch if entry.position <= end]
                if not due:
                    # facts that were old are gone
                    break
                self._run.run(due, left_out=left_out)
                self._on_step(Step(sum(self._run.position(*place) for place in until), total))

    def differing_groups(self) -> tuple[int, set["_Group"]]:
        """Return how many rows the build has, and which days of which tenants are not as expected."""
        rows, groups = 0, set[_Group]()
        for tenant_id in sorted({*self._of.store.tenants(self._of.view), *self._scratch.tenants(self._view)}):
            found = digests_of(self._of.store, self._of.view, tenant_id, self._layout)
            wanted = digests_of(self._scratch, self._view, tenant_id, self._layout)
            rows += sum(count for count, _ in found.values())
            groups |= {(tenant_id, day) for day in found.keys() | wanted.keys() if found.get(day) != wanted.get(day)}
        return rows, groups

    def differences(self, groups: set["_Group"]) -> "Iterator[tuple[_Key, Difference]]":
        for tenant_id in sorted({tenant_id for tenant_id, _ in groups}):
            days = {day for other, day in groups if other == tenant_id}
            wanted = (row for row in self._scratch.scan(self._view, tenant_id) if _day(row, self._layout) in days)
            there = (row for row in self._of.store.scan(self._of.view, tenant_id) if _day(row, self._layout) in days)
            for expected, found in _side_by_side(wanted, there, self._layout):
                if expected != found:
                    key = _key(expected or found, self._layout)
                    yield (tenant_id, key), Difference(tenant_id, key, expected, found)

    def misplaced(self) -> set["_Key"]:
        """Return the rows that lists, sorts and questions about a series do not find, though they are there."""
        store, view = self._of.store, self._of.view
        found = ((tenant_id, key) for tenant_id in store.tenants(view) for key in store.misplaced(view, tenant_id))
        return set(islice(found, MAX_DIFFERENCES))

    def verdict(self, rows: int, certain: Collection[Difference], moving: Collection[Difference]) -> Verdict:
        return Verdict(
            self._of.view.table,
            rows,
            len(certain),
            list(islice(chain(certain, moving), MAX_EXAMPLES)),
            len(self._parked),
            len(moving),
            len(self._discarded),
        )


def _passed(of: Compared, log: LogReader) -> _Places:
    """Wait until the view has read all that is in the log now; return how far it is then."""
    ends = {place: end for place, end in ends_of(log).items() if place[0] in of.projection.topics}
    before: _Places = {}
    deadline = time.monotonic() + PATIENCE_S
    while True:
        reached = positions_of(of.store.checkpoints(of.view))
        behind = sum(max(0, end - reached.get(place, 0)) for place, end in ends.items())
        if not behind:
            break
        if reached != before:
            before, deadline = reached, time.monotonic() + PATIENCE_S
        if time.monotonic() > deadline:
            raise CannotCompare(
                f"{of.view.table} is {behind:,} records behind the log and does not come nearer:"
                " `factline projections list` says how it is; its worker must run, then verify again"
            )
        time.sleep(_POLL_S)
    return reached


def _day(row: StoredRow, layout: Layout) -> date | None:
    # a row that nothing of ours wrote may lack it
    instant = getattr(row, layout.day) if layout.day else None
    return instant.date() if instant else None


_Key = tuple[TenantId, tuple[Any, ...]]


def _all(differing: Mapping[_Key, Difference], misplaced: set[_Key]) -> Sequence[Difference]:
    """Return each row that is wrong once, whatever is wrong with it."""
    expected, found = ("found by its filters, sorts and place",), ("not where readers look",)
    others = [Difference(*place, expected, found) for place in sorted(misplaced - differing.keys())]
    return [*differing.values(), *others]


def _side_by_side(
    left: Iterator[StoredRow], right: Iterator[StoredRow], layout: Layout
) -> Iterator[tuple[StoredRow | None, StoredRow | None]]:
    """Pair the rows of two scans, both in key order, by key."""
    a, b = next(left, None), next(right, None)
    while a is not None and b is not None:
        if _key(a, layout) == _key(b, layout):
            yield a, b
            a, b = next(left, None), next(right, None)
        elif _key(a, layout) < _key(b, layout):
            yield a, None
            a = next(left, None)
        else:
            yield None, b
            b = next(right, None)
    yield from ((row, None) for row in chain([a] if a else [], left))
    yield from ((None, row) for row in chain([b] if b else [], right))


def _key(row: StoredRow | None, layout: Layout) -> tuple[Any, ...]:
    return tuple(getattr(row, field) for field in layout.key)
