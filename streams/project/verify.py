"""This proves that a view equals the log: it folds the log into an empty store and compares the two."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from hashlib import blake2b
from itertools import chain, islice
from typing import Any, NamedTuple

import orjson

from projections.layout import Layout
from projections.projection import Projection
from projections.rows import Document, StoredRow, View
from projections.stores import ViewWriter
from schemas.envelope import TenantId, Topic
from streams.ports import Clock, DeadLetters, LogReader
from streams.project.lag import ends_of
from streams.project.local_runner import BATCH_ENTRIES
from streams.project.rebuild import Step
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
    MAX_DIFFERENCES, `examples` holds the first of them. `dead_letters` counts the records that the projection cannot
    take, and those that follow them. `moving` rows were written each time they were looked at, and never were as the
    log said just then.
    """

    view: str
    rows: int
    differences: int
    examples: Sequence[Difference]
    dead_letters: int
    moving: int


def verify(
    store: ViewWriter,
    projection: Projection,
    *,
    log: LogReader,
    scratch: ViewWriter,
    scratch_letters: DeadLetters,
    clock: Clock,
    on_step: Callable[[Step], None],
) -> Verdict:
    """Compare the live build of a view with what the log says it must hold, as of now or later.

    Shape: `scratch` is an empty store that keeps the projection's rows. Days of a tenant are compared by digest, then
    the rows of those that differ. The view may be written meanwhile: a row differs if it is the same in two looks,
    although before the second one the view has read all that was in the log when the first one ended.
    Raises: CannotCompare; StoreUnavailable, LogUnavailable, verify again.
    """
    live = store.live(projection.name)
    if live is None:
        raise CannotCompare(f"no build of {projection.name} is live yet: run factline migrate")
    view = View(projection.name, 1)
    scratch.create(view)
    scratch.switch(view)
    run = ProjectionRun(projection, view, scratch, scratch_letters, clock)

    def fold() -> None:
        _fold(run, log, _passed(store, live, projection, log), on_step)

    fold()
    rows, groups = _differing_groups(store, live, scratch, view, projection.layout)
    pending: Mapping[_Key, Difference] = {}
    certain: dict[_Key, Difference] = {}
    for look in range(MAX_LOOKS if groups else 0):
        fold()
        seen = dict(islice(_differences(store, live, scratch, view, groups, layout=projection.layout), MAX_DIFFERENCES))
        certain |= {key: one for key, one in seen.items() if key in pending and pending[key].found == one.found}
        pending = {key: one for key, one in seen.items() if (key in pending or not look) and key not in certain}
        if not pending:
            break
    dead_letters = sum(1 for _ in scratch_letters.letters(view.table))
    examples = list(islice(chain(certain.values(), pending.values()), MAX_EXAMPLES))
    return Verdict(live.table, rows, len(certain), examples, dead_letters, len(pending))


def _passed(store: ViewWriter, view: View, projection: Projection, log: LogReader) -> _Places:
    """Wait until the view has read all that is in the log now; return how far it is then."""
    ends = {place: end for place, end in ends_of(log).items() if place[0] in projection.topics}
    before: _Places = {}
    deadline = time.monotonic() + PATIENCE_S
    while True:
        reached = {(at.topic, at.partition): at.position for at in store.checkpoints(view)}
        behind = sum(max(0, end - reached.get(place, 0)) for place, end in ends.items())
        if not behind:
            break
        if reached != before:
            before, deadline = reached, time.monotonic() + PATIENCE_S
        if time.monotonic() > deadline:
            raise CannotCompare(
                f"{view.table} is {behind:,} records behind the log and does not come nearer:"
                " `factline projections list` says how it is; its worker must run, then verify again"
            )
        time.sleep(_POLL_S)
    for place, position in reached.items():
        if position > ends.get(place, 0) and position > (end := log.end(*place)):
            raise CannotCompare(
                f"{view.table} has read {place[0].value}/{place[1]} up to {position}, the log ends at {end}:"
                " an older log was restored below it; rebuild the view"
            )
    return reached


def _fold(run: ProjectionRun, log: LogReader, until: _Places, on_step: Callable[[Step], None]) -> None:
    """Read exactly as far as the view has read."""
    total = sum(until.values())
    for (topic, partition), end in until.items():
        while (after := run.position(topic, partition)) < end:
            batch = log.read(topic, partition, after=after, limit=min(BATCH_ENTRIES, end - after))
            due = [entry for entry in batch if entry.position <= end]
            if not due:
                # facts that were old are gone
                break
            run.run(due)
            on_step(Step(sum(run.position(*place) for place in until), total))


def _differing_groups(
    store: ViewWriter, view: View, scratch: ViewWriter, expected: View, layout: Layout
) -> tuple[int, set[_Group]]:
    """Return how many rows the view has, and which days of which tenants are not as expected."""
    rows, groups = 0, set[_Group]()
    for tenant_id in _tenants(store, view, scratch, expected):
        found, wanted = (
            _digests(store.scan(view, tenant_id), layout),
            _digests(scratch.scan(expected, tenant_id), layout),
        )
        rows += sum(count for count, _ in found.values())
        groups |= {(tenant_id, day) for day in found.keys() | wanted.keys() if found.get(day) != wanted.get(day)}
    return rows, groups


def _digests(rows: Iterator[StoredRow], layout: Layout) -> Mapping[date | None, tuple[int, int]]:
    """Return the number of rows of each day and the sum of their digests, in which their order does not matter."""
    counts, sums = Counter[date | None](), Counter[date | None]()
    for row in rows:
        day = _day(row, layout)
        counts[day] += 1
        sums[day] += _digest(row)
    return {day: (count, sums[day]) for day, count in counts.items()}


def _day(row: StoredRow, layout: Layout) -> date | None:
    # a row that nothing of ours wrote may lack it
    instant = getattr(row, layout.day) if layout.day else None
    return instant.date() if instant else None


def _digest(row: StoredRow) -> int:
    """Two rows that are equal may differ in it (1 and 1.0), not the other way round: their rows are compared then."""
    if isinstance(row, Document):
        text = orjson.dumps((row.id, row.version, dict(row.fields)), option=orjson.OPT_SORT_KEYS)
    else:
        text = repr([_plain(value) for value in row]).encode()
    return int.from_bytes(blake2b(text, digest_size=16).digest(), "big")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value.normalize()) if isinstance(value, Decimal) else value


_Key = tuple[TenantId, tuple[Any, ...]]


def _differences(
    store: ViewWriter, view: View, scratch: ViewWriter, expected_view: View, groups: set[_Group], *, layout: Layout
) -> Iterator[tuple[_Key, Difference]]:
    for tenant_id in sorted({tenant_id for tenant_id, _ in groups}):
        days = {day for other, day in groups if other == tenant_id}
        wanted = (row for row in scratch.scan(expected_view, tenant_id) if _day(row, layout) in days)
        there = (row for row in store.scan(view, tenant_id) if _day(row, layout) in days)
        for expected, found in _side_by_side(wanted, there, layout):
            if expected != found:
                key = _key(expected or found, layout)
                yield (tenant_id, key), Difference(tenant_id, key, expected, found)


def _tenants(store: ViewWriter, view: View, scratch: ViewWriter, expected: View) -> Sequence[TenantId]:
    return sorted({*store.tenants(view), *scratch.tenants(expected)})


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
