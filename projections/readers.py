"""These ports are what the stores of views promise to those who read them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from projections.layout import Of
from projections.question import Question
from projections.rows import Document
from schemas.envelope import TenantId

R = TypeVar("R")


class MetricPoint(NamedTuple):
    at: datetime
    value: float
    readings: int


Aggregate = Literal["avg", "min", "max", "sum", "count", "last"]


class TimelineReader(Protocol):
    """Answers from the views of the timeline; what may be asked of one of them is in its `Series`."""

    def rows(
        self,
        view: str,
        tenant_id: TenantId,
        *,
        of: Of,
        start: datetime | None = None,
        end: datetime | None = None,
        contains: str | None = None,
        after: Sequence[Any] | None = None,
        limit: int,
    ) -> Sequence[Any]:
        """Return rows of one series in the order of the view; a view that nothing is live of, and no match, give ().

        Shape: at most `limit` rows of the class that the layout names. `of` has one text for each column of the
        layout's `series` and may have some of its `filters`. `start` and `end` bound the instant `day`: `start` ≤ day <
        `end`. `contains` is a part of the text `search`, without regard to case. `after` is what the last row already
        seen has in the columns of `order`: rows that come behind it are given.
        Raises: StoreUnavailable, safe to retry; ValueError, there is no such view or its layout has no such column.
        """

    def series(self, view: str, tenant_id: TenantId, *, of: Of) -> Sequence[str]:
        """Return what there is in the last column of `series` where the others are as in `of`, each once, in order.

        Raises: StoreUnavailable, safe to retry; ValueError, there is no such view, it has not two such columns, or `of`
        is not about all but the last of them.
        """

    def span(self, view: str, tenant_id: TenantId, *, of: Of) -> tuple[datetime, datetime] | None:
        """Return the first and the last instant that rows of one series have, or None where there are none.

        Shape: `of` as for `rows`.
        Raises: StoreUnavailable, safe to retry; ValueError, there is no such view, or `day` does not order its rows.
        """

    def points(
        self,
        view: str,
        tenant_id: TenantId,
        *,
        of: Of,
        start: datetime,
        end: datetime,
        step_s: int,
        aggregate: Aggregate,
    ) -> Sequence[MetricPoint]:
        """Return the values of one series in `start` ≤ `day` < `end`, oldest first; no match gives ().

        Shape: `of` as for `rows`. `step_s` 0 gives each value with `readings` 1; else one point for each step that has
        a value, at the step's beginning (a multiple of `step_s` since the Unix epoch).
        Raises: StoreUnavailable, safe to retry; ValueError, there is no such view or it has no `value`.
        """


class AnalyticsReader(Protocol):
    """Answers over many rows at once: what there is to ask is declared beside each view, in its layout."""

    def ask(self, question: Question[R], tenant_id: TenantId, **parameters: Any) -> Sequence[R]:
        """Return the answer to a question about one tenant's rows, in the order that the question says.

        Shape: `parameters` are exactly those that the question declares; the value of a Choice is one of its own. None
        as `start` or `end` leaves the time open on that side, and as a text asks for all. Rows of another tenant are
        never counted, and a row that was written more than once counts once, as it was written last. A view without
        rows gives what the SQL gives for none, which is () where it groups.
        Units: `start` ≤ instant < `end`, in UTC and to the microsecond; amounts are exact decimals.
        Raises: StoreUnavailable, the store did not answer or no build of the view is live yet; safe to retry.
        ValueError, the question takes other parameters, or is about a view that the store does not keep.
        Source: the events of the view that the question reads.
        """


class CountRow(NamedTuple):
    group: str
    rows: int


class Bounds(NamedTuple):
    """A range of a field as `sort_text` has it: `first` ≤ text < `end`, "" where it is open.

    Shape: a field without a value is in no range.
    """

    first: str = ""
    end: str = ""


NO_FILTERS: Of = MappingProxyType({})
NO_RANGES: Mapping[str, Bounds] = MappingProxyType({})


class DocumentsReader(Protocol):
    """Answers about the current state of things; what lists may use is declared in the layout of each view.

    Shape: a view that is not live yet has no documents.
    """

    def get(self, view: str, tenant_id: TenantId, id: str) -> Document | None:  # noqa: A002
        """Return one document of a tenant, or None.

        Shape: `version` is that of the stream's last event in the document, 0 where there was none yet.
        Units: instants are RFC 3339 texts in UTC, amounts are decimal texts.
        Raises: StoreUnavailable, the store did not answer; safe to retry.
        Source: the events of the view.
        """

    def find(
        self,
        view: str,
        tenant_id: TenantId,
        *,
        filters: Of,
        ranges: Mapping[str, Bounds] = NO_RANGES,
        words: Sequence[str] = (),
        sort: str,
        descending: bool,
        after: tuple[str, str] | None,
        limit: int,
    ) -> Sequence[Document]:
        """Return a tenant's documents that all filters, ranges and words hold for, ordered by (sort field, id).

        Shape: at most `limit`. Filters compare as text (`as_text`), with one value or with any of several; the sort
        field and ranges as text or, where the layout says so, as numbers (`sort_text`), and a document without the sort
        field comes before all others. A document has all `words` (`words_of`) among those of its id and of the layout's
        `search`. `after` is (`sort_text`, id) of the last document already seen; those that come behind it are given.
        Units: as in `get`.
        Raises: StoreUnavailable, the store did not answer; safe to retry. ValueError, the view has no such filter,
        range, search or sort field. OlderBuild, the live build does not have it yet.
        Source: the events of the view.
        """

    def facets(
        self,
        view: str,
        tenant_id: TenantId,
        field: str,
        *,
        filters: Of = NO_FILTERS,
        ranges: Mapping[str, Bounds] = NO_RANGES,
        words: Sequence[str] = (),
    ) -> Sequence[CountRow]:
        """Return the values of a filter field as `find` takes them, greatest number of documents first, then by value.

        Shape: every value that a document of the tenant has for which the other filters, ranges and words hold;
        documents without the field are not counted.
        Units: `rows` counts documents, from 1.
        Raises: as `find`.
        Source: the events of the view.
        """
