"""What the log says of a view: all of its documents, or the digests of its rows and those rows that have to be seen."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import compress
from typing import Any, NamedTuple

from projections.columns import Columns
from projections.instants import DAY, from_microseconds
from projections.layout import Layout
from projections.rows import Checkpoint, Row, StoredRow, View
from projections.stores import Part, ScansColumns, TakesRows, ViewWriter
from schemas.envelope import Position, TenantId
from streams.ports import Clock, DeadLetters, LogReader
from streams.project.digesting import Digesting
from streams.project.digests import Digest, Group, Piece, day_of, digests_of
from streams.project.fold import Compared, Fold, Places
from streams.project.remembered import Remembered, Said
from streams.project.run import ProjectionRun
from streams.project.step import Step

_BEFORE_ALL = -(1 << 62)
_ALL = Piece(0, 0)


class Scratch(NamedTuple):
    """What a comparison needs beside the log.

    Shape: `store` keeps rows of the projection that is compared; it is empty, or if they are documents has those of
    the comparison before. `letters` are none, `remembered` is what earlier comparisons kept.
    """

    store: ViewWriter
    letters: DeadLetters
    remembered: Remembered


class Job(NamedTuple):
    """A comparison. Shape: what is remembered is used where it is of `origin`: the same log, read by the same code."""

    of: Compared
    log: LogReader
    scratch: Scratch
    clock: Clock
    on_step: Callable[[Step], None]
    origin: str


class Look(NamedTuple):
    """What a look at the whole store gave.

    Shape: `groups` are not as expected. Of the `rows`, `counted` were only counted: they are of groups of which nothing
    was recorded since they were read, at `counted_since` or later.
    """

    rows: int
    groups: set[Group]
    counted: int = 0
    counted_since: datetime | None = None


class Expected(ABC):
    """What the log says of a view, as far as it was read."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._view = job.of.view
        self._layout = job.of.projection.layout
        self._remembered = job.scratch.remembered

    @abstractmethod
    def look(self, until: Places) -> Look:
        """Read the log so far, and compare all that the store has with it. Raises: ReadTooMuch."""

    @abstractmethod
    def look_again(self, until: Places, groups: set[Group]) -> set[Group]:
        """Read on, and return which of the groups are not as expected still. Raises: ReadTooMuch."""

    @abstractmethod
    def read_rows(self, until: Places, groups: set[Group]) -> None:
        """Read on, and have the rows of these groups, which are always the same ones. Raises: ReadTooMuch."""

    @abstractmethod
    def settle(self, until: Places, groups: set[Group]) -> None:
        """Remember that these groups were as their rows, which were read so far, say."""

    @abstractmethod
    def end(self) -> None:
        """Keep what is good for the next comparison."""

    @property
    @abstractmethod
    def passed_over(self) -> tuple[int, int]:
        """Return how many records the view has parked, and how many were discarded."""

    def rows(self, tenant_id: TenantId, days: Collection[int]) -> Iterator[StoredRow]:
        """Yield the rows that `read_rows` has of some days of a tenant, in the order of their key."""
        return rows_of(self._job.scratch.store, self._view, tenant_id, self._layout, days)

    def _run(self, store: TakesRows) -> ProjectionRun:
        return ProjectionRun(self._job.of.projection, self._view, store, self._job.scratch.letters, self._job.clock)

    def _fold(self, run: ProjectionRun, left_out: Collection[Position], **more: Any) -> Fold:
        return Fold(self._job.of, self._job.log, run, self._job.on_step, left_out=left_out, **more)


class ExpectedDocuments(Expected):
    """All documents; they stay in the scratch store from one comparison to the next."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        store, table = job.scratch.store, self._view.table
        if not self._remembered.is_of(table, job.origin):
            for build in store.builds(self._view.name):
                store.drop(build)
            self._remembered.begin(table, job.origin)
        store.create(self._view)
        self._reading = self._fold(self._run(store), self._remembered.left_out(table))

    def look(self, until: Places) -> Look:
        self._read(until)
        rows, groups = 0, set[Group]()
        of = self._job.of
        for tenant_id in sorted({*of.store.tenants(of.view), *self._job.scratch.store.tenants(self._view)}):
            found = digests_of(of.store, of.view, tenant_id, self._layout)
            wanted = digests_of(self._job.scratch.store, self._view, tenant_id, self._layout)
            rows += sum(digest.rows for digest in found.values())
            if found != wanted:
                groups.add((tenant_id, _ALL))
        return Look(rows, groups)

    def look_again(self, until: Places, groups: set[Group]) -> set[Group]:
        # the rows are there already
        del until
        return groups

    def read_rows(self, until: Places, groups: set[Group]) -> None:
        del groups
        self._read(until)

    def settle(self, until: Places, groups: set[Group]) -> None:
        """Do nothing: all that is remembered are the documents."""

    def end(self) -> None:
        """Do nothing, likewise."""

    @property
    def passed_over(self) -> tuple[int, int]:
        return self._reading.parked, self._reading.discarded

    def _read(self, until: Places) -> None:
        self._reading.read(until)
        self._remembered.leave_out(self._view.table, self._reading.left_out)


class ExpectedColumns(Expected):
    """Digests of all rows by tenant, day and segment of the log; rows of the days that differ."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        table = self._view.table
        if not self._remembered.is_of(table, job.origin):
            self._remembered.begin(table, job.origin)
        self._cuts = self._remembered.cuts(table)
        digesting = Digesting(self._layout, self._remembered, job.clock, self._cuts)
        left_out = self._remembered.left_out(table)
        self._summing = self._fold(self._run(digesting), left_out, before_batch=digesting.come_after)
        self._reading: Fold | None = None

    def look(self, until: Places) -> Look:
        self._sum(until)
        rows, counted, groups = 0, 0, set[Group]()
        times: list[datetime] = []
        of = self._job.of
        for tenant_id in sorted({*of.store.tenants(of.view), *self._remembered.tenants(self._view.table)}):
            said = self._remembered.said(self._view.table, tenant_id)
            part = self._part_to_read(tenant_id, said)
            found, differing = self._compare(tenant_id, said, part)
            groups |= differing
            unread = [one for piece, one in said.items() if part and not self._is_in(part, piece)]
            counted += sum(one.digest.rows for one in unread)
            times += [one.found_at for one in unread if one.found_at is not None]
            rows += found
        return Look(rows + counted, groups, counted, min(times, default=None))

    def look_again(self, until: Places, groups: set[Group]) -> set[Group]:
        self._sum(until)
        left: set[Group] = set()
        for tenant_id, pieces in _by_tenant(groups).items():
            said = self._remembered.said(self._view.table, tenant_id)
            left |= self._compare(tenant_id, said, self._part_of(pieces))[1]
        return left

    def read_rows(self, until: Places, groups: set[Group]) -> None:
        if self._reading is None:
            self._reading = self._begin_rows(groups)
        self._reading.read(until)

    def settle(self, until: Places, groups: set[Group]) -> None:
        if self._reading is None:
            return
        self._sum(until)
        for tenant_id, pieces in _by_tenant(groups).items():
            part = self._part_of(pieces)
            wanted = digests_of(
                self._job.scratch.store, self._view, tenant_id, self._layout, cuts=self._cuts, part=part
            )
            digests = {piece: wanted.get(piece, Digest()) for piece in pieces}
            self._remembered.found(self._view.table, tenant_id, digests, self._job.clock.now())

    def end(self) -> None:
        self._remembered.cut(self._view.table)

    @property
    def passed_over(self) -> tuple[int, int]:
        return self._summing.parked, self._summing.discarded

    def _sum(self, until: Places) -> None:
        before = self._summing.left_out
        self._summing.read(until)
        if self._summing.left_out != before:
            self._remembered.leave_out(self._view.table, self._summing.left_out)

    def _part_to_read(self, tenant_id: TenantId, said: Mapping[Piece, Said]) -> Part | None:
        """Return what must be read of a tenant's rows, of which the store has as many as it should; None for all."""
        old = {piece for piece, one in said.items() if one.found_at is not None}
        if not old:
            return None
        part = self._part_of(said.keys() - old)
        store = self._job.of.store
        assert isinstance(store, ScansColumns)  # noqa: S101 - asked of such stores only
        count = store.count(self._view, tenant_id, without=part)
        expected = sum(one.digest.rows for piece, one in said.items() if not self._is_in(part, piece))
        return part if count == expected else None

    def _part_of(self, pieces: Collection[Piece]) -> Part:
        return Part({piece.day for piece in pieces}, min(map(self._above, pieces), default=_BEFORE_ALL))

    def _is_in(self, part: Part, piece: Piece) -> bool:
        return piece.day in part.days and self._above(piece) >= part.above

    def _above(self, piece: Piece) -> int:
        return self._cuts[piece.segment - 1] if piece.segment else _BEFORE_ALL

    def _compare(self, tenant_id: TenantId, said: Mapping[Piece, Said], part: Part | None) -> tuple[int, set[Group]]:
        """Return how many rows were read of a part of a tenant's, and what is not as expected of it."""
        if part and not part.days:
            return 0, set()
        of = self._job.of
        there = digests_of(of.store, of.view, tenant_id, self._layout, cuts=self._cuts, part=part)
        found = {piece: digest for piece, digest in there.items() if part is None or self._is_in(part, piece)}
        wanted = {piece: one.digest for piece, one in said.items() if part is None or self._is_in(part, piece)}
        nothing, pieces = Digest(), found.keys() | wanted.keys()
        differing = {piece for piece in pieces if found.get(piece, nothing) != wanted.get(piece, nothing)}
        same = {piece: digest for piece, digest in wanted.items() if piece not in differing}
        self._remembered.found(self._view.table, tenant_id, same, self._job.clock.now())
        return sum(digest.rows for digest in found.values()), {(tenant_id, piece) for piece in differing}

    def _begin_rows(self, groups: set[Group]) -> Fold:
        """Let the log be read from the first record that has to do with one of the groups."""
        table, now = self._view.table, self._job.clock.now()
        starts = dict(self._remembered.reached(table))
        for tenant_id, pieces in _by_tenant(groups).items():
            days = {piece.day for piece in pieces}
            said = [one for piece, one in self._remembered.said(table, tenant_id).items() if piece.day in days]
            for topic, partition, after in (start for one in said for start in one.starts):
                starts[topic, partition] = min(starts[topic, partition], after)
        store = self._job.scratch.store
        # of a comparison that was begun anew
        store.drop(self._view)
        store.create(self._view)
        store.apply(self._view, (), *(Checkpoint(*place, after, now) for place, after in starts.items()))
        return self._fold(self._run(_Only(store, self._layout, groups)), self._summing.left_out)


class _Only:
    """Hands on the rows of the days of some groups, and whatever may replace one of these."""

    def __init__(self, store: ViewWriter, layout: Layout, groups: set[Group]) -> None:
        self._store = store
        self._row = layout.row
        names = list(layout.columns)
        self._tenant, self._day = names.index(layout.key[0]), names.index(layout.day) if layout.day else 0
        self._days = {(tenant_id, piece.day) for tenant_id, piece in groups}
        # a later row of the same key may be of another day
        self._tenants = None if layout.day in layout.key else {tenant_id for tenant_id, _ in groups}

    def checkpoints(self, view: View) -> Sequence[Checkpoint]:
        return self._store.checkpoints(view)

    def apply(self, view: View, rows: Sequence[Row], *checkpoints: Checkpoint) -> None:
        self._store.apply(view, self._chosen(rows) if rows else (), *checkpoints)

    def _chosen(self, rows: Sequence[Row]) -> Sequence[Row]:
        columns = Columns.of(self._row, rows).values
        tenants = columns[self._tenant]
        if self._tenants is not None:
            chosen = [tenant in self._tenants for tenant in tenants]
        else:
            days = (instant // DAY for instant in columns[self._day])
            chosen = [pair in self._days for pair in zip(tenants, days, strict=True)]
        return Columns(self._row, [list(compress(column, chosen)) for column in columns])


def rows_of(
    store: ViewWriter, view: View, tenant_id: TenantId, layout: Layout, days: Collection[int]
) -> Iterator[StoredRow]:
    """Yield the rows of some days of a tenant, in the order of their key. Raises: StoreUnavailable, start again."""
    if not isinstance(store, ScansColumns):
        yield from store.scan(view, tenant_id)
        return
    row: Any = layout.row
    instants = [at for at, type_ in enumerate(layout.columns.values()) if type_ is datetime]
    for block in store.scan_columns(view, tenant_id, Part(days, _BEFORE_ALL)):
        columns = list(block)
        for at in instants:
            # a row that nothing of ours wrote may lack it
            columns[at] = [None if value is None else from_microseconds(value) for value in columns[at]]
        for stored in map(row._make, zip(*columns, strict=True)):
            if day_of(stored, layout) in days:
                yield stored


def _by_tenant(groups: set[Group]) -> Mapping[TenantId, set[Piece]]:
    found: dict[TenantId, set[Piece]] = defaultdict(set)
    for tenant_id, piece in sorted(groups):
        found[tenant_id].add(piece)
    return found
