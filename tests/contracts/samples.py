"""Rows for the contract suites: the n-th row of a class, as it was written at a position, and as it is read back."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from projections.catalog import PROJECTIONS
from projections.finance.invoice_balances import BalanceRow
from projections.finance.invoice_facts import InvoiceLineRow
from projections.fleet.device_logs import LogRow
from projections.fleet.metric_rows import MetricRow
from projections.history.event_rows import EventRow
from projections.identity.api_usage import UsageRow
from projections.layout import Documents, Facts, Layout
from projections.projection import Projection
from projections.rows import Checkpoint, Document, Patch, Role, Row, StoredRow
from projections.sales.lead_funnel import StepRow
from schemas.envelope import StreamId, TenantId, Topic

ACME = TenantId("acme")
BOLT = TenantId("bolt")
BEGIN = datetime(2026, 1, 31, 23, 59, 59, 999_999, UTC)
NOT_AN_INT64 = 2**70


def instant(n: int) -> datetime:
    return BEGIN + timedelta(seconds=n, microseconds=n)


def sample(row: type, n: int, *, position: int | None = None, tenant: TenantId = ACME, mark: str = "first") -> Row:
    """Return the n-th row of a class; rows of one `n` have one key, `mark` tells one writing of it from another."""
    at = n if position is None else position
    text = f"{mark} 'quoted' \"{n}\"\n\\ {{}} % ü 漢 🚀"
    if row in (MetricRow, UsageRow):
        return _of_numbers(row, n, tenant, mark, at)
    if row is LogRow:
        return LogRow(tenant, instant(n), f"fact-{n:06}", "device-1", "error", "disk", "host-1", text, "{}", at)
    if row is EventRow:
        times = (instant(n), instant(n + 1))
        who = ("user", "ann", "correlation-1", "causation-1", text)
        return EventRow(
            tenant, StreamId(f"device-{n:06}"), 1, 3, at, f"event-{n}", "device.registered", 1, *times, *who
        )
    if row is InvoiceLineRow:
        words = (f"no-{n}", "invoice", "out", "Ann & Co", "DE", "product-1", text)
        amounts = (Decimal("-3.25"), Decimal("12345678901234.5678"), "EUR", at)
        return InvoiceLineRow(tenant, StreamId(f"invoice-{n:06}"), n % 3, instant(n), *words, *amounts)
    if row is Patch:
        fields = {"name": text, "count": n, "share": 0.1, "on": True, "none": None, "list": [1, {"a": "b"}]}
        return Patch(tenant, f"device-{n:06}", "events", at, fields)
    return _sample_of_facts(row, n, at, tenant, mark)


def _sample_of_facts(row: type, n: int, at: int, tenant: TenantId, mark: str) -> Row:
    if row is BalanceRow:
        words = ("content", "RECEIVED", f"no-{n}", "invoice", "out", "Ann & Co", "EUR")
        return BalanceRow(
            tenant, StreamId(f"invoice-{n:06}"), 1, instant(n), *words, instant(n), instant(n), "12.5000", mark, at
        )
    if row is StepRow:
        step = ("captured", "issued")[n % 2]
        return StepRow(tenant, StreamId(f"lead-{n:06}"), 1, "lead", step, instant(n), mark, "EUR", "12.5", at)
    return _of_columns(row, n, at, tenant, mark)


def _of_columns(row: Any, n: int, at: int, tenant: TenantId, mark: str) -> Row:
    """Return a row of a class that needs no values of its own: its key is told by `n`, its other texts are the mark."""
    layout = LAYOUTS[row]
    of_type: Mapping[type, Any] = {int: n, float: n + 0.1, Decimal: Decimal(n), datetime: instant(n)}
    values = {
        name: of_type.get(type_, f"{name}-{n:06}" if name in layout.key else mark)
        for name, type_ in layout.columns.items()
    }
    return row(**values | {"tenant_id": tenant, "position": at})  # type: ignore[no-any-return]


def _of_numbers(row: type, n: int, tenant: TenantId, mark: str, at: int) -> Row:
    if row is MetricRow:
        return MetricRow(tenant, "device-1", f"metric-{n:06}", instant(n), n + 0.1 + len(mark), "°C", at)
    return UsageRow(tenant, "gateway-1", instant(n), f"key-{n:06}", "GET /v1/devices", 200, n, len(mark), at)


def samples(row: type, count: int, *, after: int = 0, tenant: TenantId = ACME) -> list[Row]:
    return [sample(row, n, tenant=tenant) for n in range(after + 1, after + count + 1)]


def unkeepable(row: type) -> Row:
    """Return a row with an integer that no store can hold."""
    bad: Any = sample(row, 999)
    return (
        bad._replace(fields={"count": NOT_AN_INT64}) if isinstance(bad, Patch) else bad._replace(position=NOT_AN_INT64)
    )


def stored(rows: Iterable[Row]) -> list[StoredRow]:
    """Return what a scan gives after these rows were written, each key once."""
    found = [
        Document(row.tenant_id, row.id, row.order if row.lane == "events" else 0, row.fields)
        if isinstance(row, Patch)
        else row
        for row in rows
    ]
    return sorted(
        found,
        key=lambda row: tuple(
            getattr(row, name) for name in LAYOUTS[Patch if isinstance(row, Document) else type(row)].key
        ),
    )


def checkpoint(position: int, *, topic: Topic = Topic.EVENTS, partition: int = 3) -> Checkpoint:
    return Checkpoint(topic, partition, position, instant(position))


# of the views of one row, one that keeps it in the order of its key
LAYOUTS: Mapping[type, Layout] = {
    view.layout.row: view.layout for view in sorted(PROJECTIONS, key=lambda view: view.role is Role.TIMELINE)
}


def projection(
    name: str, row: type, *, role: Role | None = None, filters: tuple[str, ...] = (), sorts: tuple[str, ...] = ()
) -> Projection:
    """Return a projection that nothing is projected by: a store looks at its name and its layout only."""
    layout = LAYOUTS[row]
    if row is Patch:
        layout = Documents(filters=filters, sorts=sorts)
    elif role is Role.ANALYTICS:
        layout = Facts(row=row, key=layout.key, day=layout.day)
    return Projection(name, layout, (Topic.EVENTS,), None, lambda _envelope, _event: ())
