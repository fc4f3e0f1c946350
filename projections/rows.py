"""What a view is made of: its table, its rows, and how far it has read the log."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from schemas.envelope import StreamId, TenantId, Topic


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
