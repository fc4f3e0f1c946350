"""Revenue, counts and five-minute points."""

from decimal import Decimal

import pytest

from projections.finance.invoice_facts import InvoiceLineRow
from projections.fleet.metric_rows import MetricRow
from projections.history.event_rows import EventRow
from schemas.envelope import StreamId, TenantId
from tests.read_api.world import ACME, BOLT, Caller, Stores, at


def line(
    tenant_id: TenantId, number: int, country: str, quantity: str, price: str, *, direction: str = "out"
) -> InvoiceLineRow:
    return InvoiceLineRow(
        tenant_id=tenant_id,
        stream=StreamId(f"invoice-{number}"),
        line=number,
        invoiced_at=at(number),
        number=str(number),
        kind="invoice",
        direction=direction,
        party="ann",
        country=country,
        product=f"p{number % 2}",
        description="",
        quantity=Decimal(quantity),
        unit_price=Decimal(price),
        currency="GBP",
        position=number,
    )


@pytest.fixture(scope="module", autouse=True)
def facts(stores: Stores) -> None:
    stores.write(
        "invoice_facts",
        [
            line(ACME, 1, "France", "2", "6.17"),
            line(ACME, 2, "Japan", "3", "0.1"),
            line(ACME, 3, "France", "-1", "0.1234"),
            line(ACME, 4, "France", "1", "1000", direction="in"),
            line(BOLT, 5, "France", "1", "5000"),
        ],
    )
    stores.write(
        "events",
        [
            EventRow(
                tenant_id=tenant_id,
                stream=StreamId(f"device-{n}"),
                version=1,
                partition=0,
                position=n,
                event_id=f"e{n}",
                type="device.registered" if n % 3 else "alert.raised",
                schema_version=1,
                happened_at=at(n),
                recorded_at=at(n),
                actor_type="user",
                actor_id="ann",
                correlation_id="",
                causation_id="",
                data="{}",
            )
            for tenant_id, numbers in ((ACME, range(1, 6)), (BOLT, range(6, 9)))
            for n in numbers
        ],
    )
    stores.write(
        "metrics_5m",
        [MetricRow(ACME, "web-1", "cpu", at(minute), float(minute), "%", minute + 1) for minute in range(10)],
    )


def test_revenue_by_country_is_exact_and_greatest_first(acme: Caller) -> None:
    assert acme.rows("/v1/analytics/revenue", by="country") == [
        {"country": "France", "currency": "GBP", "revenue": "12.2166", "quantity": "1", "lines": 2, "invoices": 2},
        {"country": "Japan", "currency": "GBP", "revenue": "0.3000", "quantity": "3", "lines": 1, "invoices": 1},
    ]


def test_revenue_names_its_group_after_the_question(acme: Caller) -> None:
    assert [row["month"] for row in acme.rows("/v1/analytics/revenue")] == ["2026-01"]
    assert [row["day"] for row in acme.rows("/v1/analytics/revenue", by="day")] == ["2026-01-31"]
    assert {row["product"] for row in acme.rows("/v1/analytics/revenue", by="product")} == {"p0", "p1"}


def test_revenue_of_a_time_leaves_out_the_rest(acme: Caller) -> None:
    rows = acme.rows("/v1/analytics/revenue", by="country", start="2026-01-31T02:02:00Z", end="2026-01-31T02:03:00Z")
    assert [row["country"] for row in rows] == ["Japan"]


def test_an_unknown_grouping_is_refused(acme: Caller) -> None:
    assert acme.get("/v1/analytics/revenue", by="colour").status_code == 422


def test_another_tenants_revenue_is_not_seen(bolt: Caller) -> None:
    assert [row["revenue"] for row in bolt.rows("/v1/analytics/revenue")] == ["5000.0000"]


def test_events_are_counted_by_type(acme: Caller) -> None:
    assert acme.rows("/v1/analytics/events") == [
        {"type": "device.registered", "events": 4},
        {"type": "alert.raised", "events": 1},
    ]


def test_a_time_series_has_five_minute_points(acme: Caller, bolt: Caller) -> None:
    rows = acme.rows("/v1/analytics/timeseries", device_id="web-1", metric="cpu")
    assert rows == [
        {"at": "2026-01-31T02:00:00Z", "value": 2.0, "readings": 5},
        {"at": "2026-01-31T02:05:00Z", "value": 7.0, "readings": 5},
    ]
    assert bolt.rows("/v1/analytics/timeseries", device_id="web-1", metric="cpu") == []


def test_revenue_of_an_unknown_time_zone_is_refused_with_a_hint(acme: Caller) -> None:
    answer = acme.get("/v1/analytics/revenue", timezone="Europe/Berln")
    assert (answer.status_code, answer.json()["detail"]) == (
        400,
        "timezone Europe/Berln is not known; it is an IANA name, like Europe/Berlin",
    )


def test_revenue_of_another_currency_or_customer_is_left_out(acme: Caller) -> None:
    assert acme.rows("/v1/analytics/revenue", currency="EUR") == []
    assert acme.rows("/v1/analytics/revenue", party="bob") == []
    assert [row["revenue"] for row in acme.rows("/v1/analytics/revenue", direction="in")] == ["1000.0000"]
    assert [row["customer"] for row in acme.rows("/v1/analytics/revenue", by="customer", party="ann")] == ["ann"]


def test_receivables_of_nothing_are_no_rows(acme: Caller) -> None:
    for by in ("customer", "age", "invoice"):
        assert acme.rows("/v1/analytics/receivables", by=by, as_of="2026-01-31T00:00:00Z", timezone="Asia/Tokyo") == []
    assert acme.get("/v1/analytics/receivables", state="late").status_code == 422
