"""What the stores of views promise to those who read them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple, Protocol

from projections.rows import Document, EventRow, LogRow
from schemas.envelope import StreamId, TenantId


class MetricPoint(NamedTuple):
    at: datetime
    value: float
    readings: int


Aggregate = Literal["avg", "min", "max", "sum", "count", "last"]


class TimelineReader(Protocol):
    """Answers from the time series: ranges, and the history of one thing."""

    def metric_names(self, tenant_id: TenantId, device_id: str) -> Sequence[str]:
        """Return the metrics a device has ever reported, in order; an unknown device gives ().

        Raises: StoreUnavailable, safe to retry.
        Source: device.metrics.reported.
        """

    def metrics(
        self,
        tenant_id: TenantId,
        device_id: str,
        metric: str,
        *,
        start: datetime,
        end: datetime,
        step_s: int,
        aggregate: Aggregate,
    ) -> Sequence[MetricPoint]:
        """Return a metric's readings in `start` ≤ at < `end`, oldest first; an unknown device or metric gives ().

        Shape: `step_s` 0 gives each reading with `readings` 1; else one point for each step that has a reading, at the
        step's beginning (a multiple of `step_s` since the Unix epoch).
        Raises: StoreUnavailable, safe to retry.
        Source: device.metrics.reported.
        """

    def logs(
        self,
        tenant_id: TenantId,
        *,
        device_id: str | None,
        severity: str | None,
        contains: str | None,
        start: datetime | None,
        end: datetime | None,
        before: tuple[datetime, str] | None,
        limit: int,
    ) -> Sequence[LogRow]:
        """Return log lines, newest first, then by fact id descending.

        Shape: at most `limit` rows; `contains` matches the summary without regard to case; `before` is (happened_at,
        fact_id) of the last row already seen.
        Raises: StoreUnavailable, safe to retry.
        Source: log.recorded.
        """

    def audit(
        self,
        tenant_id: TenantId,
        *,
        types: Sequence[str],
        start: datetime | None,
        end: datetime | None,
        before: int | None,
        limit: int,
    ) -> Sequence[EventRow]:
        """Return a tenant's decided events, newest position first; no `types` means all.

        Shape: at most `limit` rows with a position less than `before`. Units: `start` and `end` bound `recorded_at`.
        Raises: StoreUnavailable, safe to retry.
        """

    def history(self, tenant_id: TenantId, stream: StreamId, *, after: int, limit: int) -> Sequence[EventRow]:
        """Return one stream's events with a version greater than `after`, in order; an unknown stream gives ().

        Raises: StoreUnavailable, safe to retry.
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
        """Return five-minute points of a metric, oldest first; the promises of `TimelineReader.metrics` hold.

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
