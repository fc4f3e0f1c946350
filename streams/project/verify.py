"""This proves that a view equals the log: what the log says is compared with what the store of the view has."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any, NamedTuple

from projections.layout import Layout
from projections.rows import StoredRow
from projections.stores import ScansColumns
from schemas.envelope import TenantId
from streams.ports import LogReader
from streams.project.digests import Group, day_of
from streams.project.expected import Expected, ExpectedColumns, ExpectedDocuments, Job, rows_of
from streams.project.fold import Compared, Places, ReadTooMuch
from streams.project.lag import ends_of, positions_of
from streams.project.parked import forget

MAX_EXAMPLES = 10
MAX_DIFFERENCES = 100_000
"""A view with more of them is not looked at further."""

MAX_LOOKS = 10
PATIENCE_S = 15.0
_POLL_S = 0.05


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
    just then. `counted` of the rows were only counted: their days were compared at `counted_since` or later, and
    nothing was recorded of them since.
    """

    view: str
    rows: int
    differences: int
    examples: Sequence[Difference]
    dead_letters: int
    moving: int
    discarded: int
    counted: int = 0
    counted_since: datetime | None = None


def verify(job: Job, passed: Callable[[], Places]) -> Verdict:
    """Compare a build of a view with what the log says it must hold, as of now or later.

    Shape: `passed` says how far the log is to be read. Days of a tenant are compared by digest, then the rows of those
    that differ. The view may be written meanwhile: a row differs if it is the same in two looks, although before the
    second one the view has read all that was in the log when the first one ended.
    Raises: CannotCompare; StoreUnavailable, LogUnavailable, verify again.
    """
    try:
        return _Comparison(job, passed).verdict()
    except ReadTooMuch:
        # of what is remembered, or of this comparison
        job.scratch.remembered.begin(job.of.view.table, "")
        forget(job.scratch.letters, job.of.view.table)
    try:
        return _Comparison(job, passed).verdict()
    except ReadTooMuch as error:
        raise CannotCompare(f"the letters of {job.of.view.table} were changed meanwhile; verify again") from error


class _Comparison:
    def __init__(self, job: Job, passed: Callable[[], Places]) -> None:
        self._job = job
        self._of = job.of
        self._layout = job.of.projection.layout
        self._passed = passed
        self._expected: Expected = (
            ExpectedColumns(job) if isinstance(job.of.store, ScansColumns) else ExpectedDocuments(job)
        )

    def verdict(self) -> Verdict:
        until = self._passed()
        seen = self._expected.look(until)
        groups = seen.groups
        if groups:
            # what was only being written is as expected by the next look
            groups = self._expected.look_again(self._passed(), groups)
        certain, pending = self._differing(groups)
        misplaced = self._misplaced()
        if misplaced:
            # in its place by the next look, likewise
            self._expected.look_again(self._passed(), set())
            misplaced &= self._misplaced()
        self._expected.end()
        parked, discarded = self._expected.passed_over
        differing = _all(certain, misplaced)
        examples = list(islice(chain(differing, pending.values()), MAX_EXAMPLES))
        counted = seen.counted, seen.counted_since
        table = self._of.view.table
        return Verdict(table, seen.rows, len(differing), examples, parked, len(pending), discarded, *counted)

    def _differing(self, groups: set[Group]) -> tuple[Mapping["_Key", Difference], Mapping["_Key", Difference]]:
        """Return the rows of these groups that differ, and those that were written whenever they were looked at."""
        pending: Mapping[_Key, Difference] = {}
        certain: dict[_Key, Difference] = {}
        for look in range(MAX_LOOKS if groups else 0):
            until = self._passed()
            self._expected.read_rows(until, groups)
            seen = dict(islice(self._differences(groups), MAX_DIFFERENCES))
            certain |= {key: one for key, one in seen.items() if key in pending and pending[key].found == one.found}
            pending = {key: one for key, one in seen.items() if (key in pending or not look) and key not in certain}
            if not pending:
                wrong = {day for one in seen.values() for day in _days_of(one, self._layout)}
                if len(seen) < MAX_DIFFERENCES:
                    right = {group for group in groups if (group[0], group[1].day) not in wrong}
                    self._expected.settle(until, right)
                break
        return certain, pending

    def _differences(self, groups: set[Group]) -> "Iterator[tuple[_Key, Difference]]":
        for tenant_id in sorted({tenant_id for tenant_id, _ in groups}):
            days = {piece.day for other, piece in groups if other == tenant_id}
            wanted = self._expected.rows(tenant_id, days)
            there = rows_of(self._of.store, self._of.view, tenant_id, self._layout, days)
            for expected, found in _side_by_side(wanted, there, self._layout):
                if expected != found:
                    key = _key(expected or found, self._layout)
                    yield (tenant_id, key), Difference(tenant_id, key, expected, found)

    def _misplaced(self) -> set["_Key"]:
        """Return the rows that lists, sorts and questions about a series do not find, though they are there."""
        store, view = self._of.store, self._of.view
        found = ((tenant_id, key) for tenant_id in store.tenants(view) for key in store.misplaced(view, tenant_id))
        return set(islice(found, MAX_DIFFERENCES))


def passed(of: Compared, log: LogReader) -> Places:
    """Wait until the view has read all that is in the log now; return how far it is then."""
    ends = {place: end for place, end in ends_of(log).items() if place[0] in of.projection.topics}
    before: Places = {}
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


def _days_of(difference: Difference, layout: Layout) -> Iterator[tuple[TenantId, int]]:
    for row in (difference.expected, difference.found):
        if row is not None:
            yield difference.tenant_id, day_of(row, layout)


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
