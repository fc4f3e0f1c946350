"""What the stores of views promise to those who read them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple, Protocol

from projections.layout import Of
from projections.rows import Document
from schemas.envelope import TenantId


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


class RevenueRow(NamedTuple):
    group: str
    revenue: Decimal
    quantity: Decimal
    lines: int
    invoices: int


class CountRow(NamedTuple):
    group: str
    rows: int


RevenueBy = Literal["day", "month", "country", "product"]


class AnalyticsReader(Protocol):
    """Answers over many rows at once."""

    def revenue(
        self, tenant_id: TenantId, *, by: RevenueBy, start: datetime | None, end: datetime | None, limit: int
    ) -> Sequence[RevenueRow]:
        """Return sum(quantity times unit price) of outgoing invoices and credit notes.

        Shape: day (`2010-12-01`) and month (`2010-12`) in order; country and product by revenue, greatest first.
        Units: exact decimals; `invoices` counts documents. `start` ≤ invoiced_at < `end`.
        Raises: StoreUnavailable, safe to retry.
        Source: invoice.received.
        """

    def event_counts(self, tenant_id: TenantId, *, start: datetime | None, end: datetime | None) -> Sequence[CountRow]:
        """Return the number of decided events by type, greatest first.

        Raises: StoreUnavailable, safe to retry.
        """

    def metrics(
        self, tenant_id: TenantId, device_id: str, metric: str, *, start: datetime, end: datetime, aggregate: Aggregate
    ) -> Sequence[MetricPoint]:
        """Return five-minute points of a metric, oldest first; the promises of `TimelineReader.points` hold.

        Raises: StoreUnavailable, safe to retry.
        """


class DocumentsReader(Protocol):
    """Answers about the current state of things."""

    def get(self, view: str, tenant_id: TenantId, id: str) -> Document | None:  # noqa: A002
        """Return one document of a tenant, or None.

        Raises: StoreUnavailable, safe to retry.
        """

    def find(
        self,
        view: str,
        tenant_id: TenantId,
        *,
        filters: Mapping[str, str],
        sort: str,
        descending: bool,
        after: tuple[str, str] | None,
        limit: int,
    ) -> Sequence[Document]:
        """Return a tenant's documents whose fields equal the filters, ordered by (sort field, id).

        Shape: at most `limit`; `after` is (sort value, id) of the last document already seen; a document without the
        sort field sorts as "". Values compare as text (`as_text`).
        Raises: StoreUnavailable, safe to retry; ValueError, the view has no such filter or sort field.
        """

    def facets(self, view: str, tenant_id: TenantId, field: str) -> Sequence[CountRow]:
        """Return the values of a filter field with the number of documents that have each, greatest first.

        Raises: StoreUnavailable, safe to retry; ValueError, the view has no such filter field.
        """

    def find_api_keys(self, key_id: str) -> Sequence[Document]:
        """Return the API keys of this id, by tenant: the one look-up that gives a tenant rather than needing it.

        Shape: callers choose ids, so two tenants may have the same one; only the secret tells whose it is.
        Raises: StoreUnavailable, safe to retry.
        Source: api_key.issued, api_key.rotated, api_key.revoked.
        """
