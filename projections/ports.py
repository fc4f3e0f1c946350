"""What a view is made of, and what the stores promise: row types, the writer of views and the three readers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Protocol

from schemas.envelope import Envelope, Position, StreamId, TenantId, Topic


class StoreUnavailable(Exception):  # noqa: N818
    """The store did not answer or could not keep the write; nothing is known to be wrong with it: retry."""


class WriteRefused(Exception):  # noqa: N818
    """The store answered that these rows can never be kept; a retry gives the same answer."""


class Role(StrEnum):
    """The three kinds of store, each with its own worker."""

    TIMELINE = "timeline"
    ANALYTICS = "analytics"
    DOCUMENTS = "documents"


@dataclass(frozen=True, slots=True)
class View:
    """One table of a projection: `devices_v2` is the second build of `devices`."""

    name: str
    build: int

    @property
    def table(self) -> str:
        return f"{self.name}_v{self.build}"


class Checkpoint(NamedTuple):
    """How far a view has read a partition; kept in the store itself, with the rows."""

    topic: Topic
    partition: int
    position: int
    recorded_at: datetime


# --- rows -----------------------------------------------------------------------------------------------------------
# A row class is one table's shape.


class MetricRow(NamedTuple):
    """device_metrics, and metrics_5m: one reading. Source: device.metrics.reported."""

    tenant_id: TenantId
    device_id: str
    metric: str
    happened_at: datetime
    value: float
    unit: str
    position: int


class LogRow(NamedTuple):
    """device_logs: one log line. Source: log.recorded."""

    tenant_id: TenantId
    happened_at: datetime
    fact_id: str
    device_id: str
    severity: str
    event_type: str
    hostname: str
    summary: str
    details: str
    position: int


class EventRow(NamedTuple):
    """audit_trail, stream_history and events: one decided event, its payload as canonical JSON."""

    tenant_id: TenantId
    stream: StreamId
    version: int
    partition: int
    position: int
    event_id: str
    type: str
    schema_version: int
    happened_at: datetime
    recorded_at: datetime
    actor_type: str
    actor_id: str
    correlation_id: str
    causation_id: str
    data: str


class InvoiceLineRow(NamedTuple):
    """invoice_facts: one line of an invoice or credit note. Source: invoice.received."""

    tenant_id: TenantId
    stream: StreamId
    line: int
    invoiced_at: datetime
    number: str
    kind: str
    direction: str
    party: str
    country: str
    product: str
    description: str
    quantity: Decimal
    unit_price: Decimal
    currency: str
    position: int


class Patch(NamedTuple):
    """devices, alerts, invoices, …: set some fields of one document.

    Shape: `fields` replace those of the document, others stay. Two lanes set disjoint fields: "events" in the order of
    the stream's version, "telemetry" in the order of the log's position; a patch whose `order` is not past the
    document's order in that lane changes nothing.
    """

    tenant_id: TenantId
    id: str
    lane: Literal["events", "telemetry"]
    order: int
    fields: Mapping[str, Any]


class Document(NamedTuple):
    """A stored document as it is read back; `fields` is JSON-like, amounts are decimal strings, instants RFC 3339."""

    tenant_id: TenantId
    id: str
    version: int
    fields: Mapping[str, Any]


def as_text(value: Any) -> str | None:
    """Return how a document's field compares and filters; None for a field without a value."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


Row = MetricRow | LogRow | EventRow | InvoiceLineRow | Patch
StoredRow = MetricRow | LogRow | EventRow | InvoiceLineRow | Document

KEY: Mapping[type, tuple[str, ...]] = {
    MetricRow: ("tenant_id", "device_id", "metric", "happened_at"),
    LogRow: ("tenant_id", "happened_at", "fact_id"),
    EventRow: ("tenant_id", "stream", "version"),
    InvoiceLineRow: ("tenant_id", "stream", "line"),
    Patch: ("tenant_id", "id"),
    Document: ("tenant_id", "id"),
}
"""A row's identity. The same key written again replaces the row if its `position`
is greater, so a repeat changes nothing. Of two different rows with one key and one position, which a pure projection
never makes, each store keeps another: docs/adr/0013."""

DAY: Mapping[type, str] = {
    MetricRow: "happened_at",
    LogRow: "happened_at",
    EventRow: "recorded_at",
    InvoiceLineRow: "invoiced_at",
}
"""The instant that places a row in a day; a document has none."""


# --- ports ----------------------------------------------------------------------------------------------------------


class ViewWriter(Protocol):
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

    def switch(self, view: View) -> None:
        """Let readers see this build from the next query on, atomically.

        Raises: StoreUnavailable, safe to retry.
        """

    def checkpoints(self, view: View) -> Sequence[Checkpoint]:
        """Return how far the view has read, one for each topic and partition it has begun.

        Raises: StoreUnavailable, safe to retry.
        """

    def apply(self, view: View, rows: Sequence[Row], *checkpoints: Checkpoint) -> None:
        """Write rows, then the checkpoints; after a return both survive `kill -9`.

        Shape: rows in log order; the effect of a row that was applied before is nothing. A checkpoint for each topic
        and partition that the rows come from; none means that they are a replay of parked events, which moves nothing.
        Raises: StoreUnavailable, safe to retry with the same arguments; WriteRefused, at least one row can never
        be kept, and none of them was.
        """

    def scan(self, view: View, tenant_id: TenantId) -> Iterator[StoredRow]:
        """Yield every row of a tenant once, in the order of its key, as a reader would see it.

        Raises: StoreUnavailable, start again.
        """

    def tenants(self, view: View) -> Sequence[TenantId]:
        """Return the tenants that have a row in the view, in order.

        Raises: StoreUnavailable, safe to retry.
        """


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


class Progress(Protocol):
    """How far the live views are: what a read with a consistency token waits for."""

    def reached(self, view: str) -> Sequence[Checkpoint]:
        """Return how far the live build of a view has read each topic and partition.

        Raises: StoreUnavailable, safe to retry.
        """

    def wait_for(self, views: Sequence[str], position: Position, timeout_s: float) -> bool:
        """Wait until each of the views has read the position; False when the time ran out.

        Shape: a view that does not read the position's topic has nothing to wait for.
        Raises: StoreUnavailable, safe to retry.
        """


class DeadLetter(NamedTuple):
    """A record that one build of a view (`devices_v1`) could not take, or that follows one that it could not.

    Shape: `attempts` is 0 for a record that was never tried because an earlier one of its stream is parked.
    """

    view: str
    topic: Topic
    partition: int
    position: int
    tenant_id: TenantId
    stream: StreamId
    type: str
    reason: str
    attempts: int
    parked_at: datetime


class PartitionLag(NamedTuple):
    """How far a projection is behind in one partition of a topic. Units: as in ProjectionStatus."""

    topic: Topic
    partition: int
    lag_events: int
    lag_s: float


class ProjectionStatus(NamedTuple):
    """How a projection is doing.

    Shape: `state` is "live", "waiting" (its store or the log does not answer; `error` says why, it goes on by itself),
    "stopped" (it gave up; `error` says why) or "rebuilding". `live` is None where nothing is live yet, or the store
    does not answer. `lags` has every partition of the topics it reads, or none where they cannot be told; `lag_events`
    is their sum, of records not yet read; `lag_s` is the age in seconds of the last record read, 0 where nothing is
    left to read.
    """

    name: str
    role: Role
    live: View | None
    builds: Sequence[View]
    state: Literal["live", "waiting", "stopped", "rebuilding"]
    reached: Sequence[Checkpoint]
    lag_events: int
    lag_s: float
    lags: Sequence[PartitionLag]
    parked: int
    error: str | None


class Operations(Protocol):
    """What an operator asks of the running system, without changing it."""

    def projections(self) -> Sequence[ProjectionStatus]:
        """Return the status of every projection, in the catalog's order."""

    def dead_letters(
        self, tenant_id: TenantId, *, view: str | None, after: tuple[str, Position] | None, limit: int
    ) -> Sequence[DeadLetter]:
        """Return a tenant's dead letters in (view, topic, partition, position) order, at most `limit`.

        Shape: `view` is a build (`devices_v1`); `after` is (view, position) of the last letter already seen.

        Raises: StoreUnavailable, safe to retry.
        """

    def health(self) -> Mapping[str, str]:
        """Return each part's name with "ok" or what is wrong with it; only "ok" everywhere is ready to serve."""


class Feed(Protocol):
    """The newest records of a tenant, as they are written: what live answers are made of."""

    def ends(self, tenant_id: TenantId) -> Sequence[Position]:
        """Return the last position of each topic in the tenant's partition.

        Raises: StoreUnavailable, safe to retry.
        """

    def since(self, tenant_id: TenantId, after: Position, *, limit: int) -> tuple[Sequence[Envelope], Position]:
        """Return the tenant's own records after a position, and the position up to which all were looked at.

        Shape: at most about `limit` records are looked at, so the answer may be empty and the position still move on.
        Raises: StoreUnavailable, safe to retry.
        """

    def wait(self, after: Sequence[Position], timeout_s: float) -> bool:
        """Wait until the log goes past any of the positions; False when the time ran out.

        Raises: StoreUnavailable, safe to retry.
        """
