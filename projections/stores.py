"""This port is what the stores of views promise to those who write them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, runtime_checkable

from projections.rows import Checkpoint, Row, StoredRow, View
from schemas.envelope import TenantId


class StoreUnavailable(Exception):  # noqa: N818
    """The store did not answer or could not keep the write; nothing is known to be wrong with it: retry."""


class TooMuchAsked(StoreUnavailable):
    """The store gave up on this one question, and answers others: ask about less; the same again is no use to retry."""


class OlderBuild(Exception):  # noqa: N818
    """The live build is of an earlier version and lacks what is asked for; a retry helps once the view was rebuilt.

    Shape: `part` is what is missing, like filter_status.
    """

    def __init__(self, detail: str, part: str) -> None:
        super().__init__(detail)
        self.part = part


class WriteRefused(Exception):  # noqa: N818
    """The store answered that these rows can never be kept; a retry gives the same answer."""


class Holder(NamedTuple):
    """Who changes the builds of a view, and until when at the latest."""

    who: str
    until: datetime


class Overview(NamedTuple):
    """What a store has of all its views.

    Shape: `live` has the build that readers see, by the view's name; `builds` has all that have a table, with how far
    each has read.
    """

    live: Mapping[str, View]
    builds: Mapping[View, Sequence[Checkpoint]]


class TakesRows(Protocol):
    """Keeps rows, and how far the log was read for them."""

    def checkpoints(self, view: View) -> Sequence[Checkpoint]:
        """Return how far the view has read, one for each topic and partition it has begun.

        Raises: StoreUnavailable, safe to retry.
        """

    def apply(self, view: View, rows: Sequence[Row], *checkpoints: Checkpoint) -> None:
        """Write rows, then the checkpoints; after a return both survive `kill -9`.

        Shape: rows in log order; the effect of a row that was applied before is nothing. A checkpoint for each topic
        and partition that the rows come from; none means that they are a replay of parked events, which moves nothing.
        One that is no further than what is kept changes nothing but this: a log that nobody said is noted.
        What the store says that it wrote is compared with what was sent.
        Raises: StoreUnavailable, also where it wrote less than was sent, safe to retry with the same arguments;
        WriteRefused, at least one row can never be kept, and none of them was.
        """


class ViewWriter(TakesRows, Protocol):
    """Keeps the views of one role. One writer at a time; every method may be called again with the same arguments."""

    def create(self, view: View) -> None:
        """Make the view's empty table; a table that is there stays as it is.

        Raises: StoreUnavailable, safe to retry.
        """

    def drop(self, view: View) -> None:
        """Remove the view's table and its checkpoints; a view that is not there is no error.

        Raises: StoreUnavailable, safe to retry; ValueError, the view is live.
        """

    def live(self, name: str) -> View | None:
        """Return the build that readers see, or None where none was switched to yet.

        Raises: StoreUnavailable, safe to retry.
        """

    def builds(self, name: str) -> Sequence[View]:
        """Return the builds that have a table, oldest first.

        Raises: StoreUnavailable, safe to retry.
        """

    def overview(self) -> Overview:
        """Return what `live`, `builds` and `checkpoints` say of all views, in few questions however many there are.

        Raises: StoreUnavailable, safe to retry.
        """

    def hold(self, name: str, holder: Holder, *, now: datetime) -> Holder:
        """Let one holder alone change the builds of a view; return who may: the one that asks, or the one before it.

        Shape: the same `who` may hold for longer, and lets go with `until` in the past. Whose time is over at `now`
        holds nothing any more. Of two that ask at once, from any process, one gets it.
        Raises: StoreUnavailable, safe to retry.
        """

    def switch(self, view: View) -> None:
        """Let readers see this build from the next query on, atomically.

        Raises: StoreUnavailable, safe to retry.
        """

    def scan(self, view: View, tenant_id: TenantId) -> Iterator[StoredRow]:
        """Yield every row of a tenant once, in the order of its key, as a reader would see it.

        Raises: StoreUnavailable, start again.
        """

    def misplaced(self, view: View, tenant_id: TenantId) -> Iterator[tuple[Any, ...]]:
        """Yield the keys of a tenant's rows that a reader does not find where it looks for them.

        Shape: what a reader goes by beside the row itself, what a list is filtered and sorted by or the part in which a
        series lies, is not what follows from the row. The columns are those of the layout's key.
        Raises: StoreUnavailable, start again.
        """

    def tenants(self, view: View) -> Sequence[TenantId]:
        """Return the tenants that have a row in the view, in order.

        Raises: StoreUnavailable, safe to retry.
        """


class Part(NamedTuple):
    """The rows of some days whose position is greater than `above`.

    Units: days since 1970, of the instant that the layout calls `day`; all rows are of the days of a layout without.
    """

    days: Collection[int]
    above: int


@runtime_checkable
class ScansColumns(Protocol):
    """Reads rows back as their columns: the stores of all views but documents do."""

    def scan_columns(
        self, view: View, tenant_id: TenantId, part: Part | None = None
    ) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield what `scan` yields, some thousand rows at a time, as the values of each column.

        Shape: as in `Columns`; None where a value is missing, which no writer of ours left out. Where only a `part` is
        asked for, other rows may be there too.
        Raises: StoreUnavailable, start again.
        """

    def count(self, view: View, tenant_id: TenantId, *, without: Part) -> int | None:
        """Return how many rows a tenant has but for a part; None where to count them is as much as to read them.

        Raises: StoreUnavailable, safe to retry.
        """
