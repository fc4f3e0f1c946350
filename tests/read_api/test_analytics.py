"""Revenue, counts and five-minute points."""

from decimal import Decimal
from typing import Any

import pytest

from projections.finance.invoice_balances import BalanceRow
from projections.finance.invoice_facts import InvoiceLineRow
from projections.fleet.log_counts import LogCountRow
from projections.fleet.metric_rows import MetricRow
from projections.history.event_rows import EventRow
from schemas.envelope import StreamId, TenantId
from tests.read_api.world import ACME, BOLT, Caller, Stores, at, problem


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


# --- devices by a metric, statements, log lines


def test_devices_by_a_metric_are_a_tenants_own_and_above_a_value(stores: Stores, acme: Caller, bolt: Caller) -> None:
    rows = [MetricRow(ACME, f"top-{n}", "heat", at(n), value, "C", n + 1) for n, value in enumerate((5.0, 9.0, 9.0))]
    rows += [MetricRow(ACME, "top-0", "heat", at(60), -1.0, "C", 9), MetricRow(BOLT, "b", "heat", at(0), 99.0, "C", 1)]
    stores.write("metrics_5m", rows)
    found = acme.rows("/v1/metrics/top", metric="heat")
    assert [(row["device_id"], row["value"], row["last"], row["readings"]) for row in found] == [
        ("top-1", 9.0, 9.0, 1),
        ("top-2", 9.0, 9.0, 1),
        ("top-0", 5.0, -1.0, 2),
    ]
    assert [row["device_id"] for row in acme.rows("/v1/metrics/top", metric="heat", above=5)] == ["top-1", "top-2"]
    assert acme.rows("/v1/metrics/top", metric="heat", aggregate="last", above=5, limit=1)[0]["device_id"] == "top-1"
    assert [row["value"] for row in bolt.rows("/v1/metrics/top", metric="heat")] == [99.0]
    problem(acme.get("/v1/metrics/top", metric="heat", above="nan"), 422)
    problem(acme.get("/v1/metrics/top"), 422)


def test_a_default_window_without_readings_says_where_they_are(stores: Stores, acme: Caller) -> None:
    old = [MetricRow(ACME, "old", "wear", at(-60 * 24 * day), 1.0, "", 1) for day in (9, 3)]
    for view in ("metrics_5m", "device_metrics"):
        stores.write(view, old)
    wanted = {"first": "2026-01-22T02:00:00Z", "last": "2026-01-28T02:00:00Z"}
    for path, query in (
        ("/v1/metrics/top", {}),
        ("/v1/devices/old/metrics", {}),
        ("/v1/analytics/timeseries", {"device_id": "old"}),
    ):
        answer = acme.table(path, metric="wear", **query)
        assert (answer["rows"], answer["data"]) == ([], wanted)
        assert answer["window"] == {"start": "2026-01-30T12:00:00Z", "end": "2026-01-31T12:00:00Z"}
        said = acme.table(path, metric="wear", start="2026-01-01", end="2026-01-02", **query)
        assert "data" not in said


def balance(stream: str, version: int, minute: float, says: str, **more: Any) -> BalanceRow:
    texts = {"number": stream, "kind": "invoice", "direction": "out", "party": "ann", "currency": "EUR"}
    content = texts if says == "content" else dict.fromkeys(texts, "")
    fields = {**content, "status": "RECEIVED", "total": "", "paid_total": "", "issued_at": at(minute), **more}
    return BalanceRow(
        ACME, StreamId(f"invoice-{stream}"), version, at(minute), says, due_at=at(0), position=version, **fields
    )


def test_a_statement_has_documents_and_payments_in_order_with_the_balance(stores: Stores, acme: Caller) -> None:
    stores.write(
        "invoice_balances",
        [
            balance("1", 1, 0, "content", total="90"),
            balance("1", 2, 10, "payment", paid_total="40"),
            # said again by a correction: only the last content counts
            balance("1", 3, 11, "content", total="100", issued_at=at(0)),
            balance("1", 4, 12, "payment", paid_total="0"),
            balance("2", 1, 5, "content", total="25.5", kind="credit_note"),
            balance("3", 1, 6, "content", total="7", status="CANCELLED"),
            balance("4", 1, 7, "content", total="7", direction="in"),
            balance("5", 1, 8, "content", total="7", currency="GBP"),
            balance("6", 1, 9, "content", total="7", party="bob"),
        ],
    )
    rows = acme.rows("/v1/analytics/statement", party="ann", currency="EUR")
    assert [(row["what"], row["invoice"], row["amount"], row["balance"]) for row in rows] == [
        ("invoice", "1", "100.0000", "100.0000"),
        ("credit_note", "2", "-25.5000", "74.5000"),
        ("payment", "1", "-40.0000", "34.5000"),
        ("refund", "1", "40.0000", "74.5000"),
    ]
    assert acme.rows("/v1/analytics/statement", party="ann", currency="EUR", start="2026-01-31T02:10:00Z") == rows[2:]
    assert [row["currency"] for row in acme.rows("/v1/analytics/statement", party="ann")][-1] == "GBP"
    assert "party" in problem(acme.get("/v1/analytics/statement"), 422)["detail"]


def test_log_lines_are_counted_by_what_they_say(stores: Stores, acme: Caller) -> None:
    def log(n: int, tenant: TenantId = ACME, **more: str) -> LogCountRow:
        fields = {"device_id": "gate", "severity": "info", "program": "sshd", "user": "", "ip": "", "hostname": "h"}
        return LogCountRow(tenant, at(n), f"f{n}", **{**fields, "summary": "Failed password", **more}, position=n)

    stores.write(
        "log_counts",
        [
            log(1, ip="192.0.2.1", user="root"),
            log(2, ip="192.0.2.1"),
            log(3, ip="192.0.2.2", summary="Accepted"),
            log(4, BOLT, ip="192.0.2.1"),
            log(60 * 22, ip="192.0.2.2"),
        ],
    )
    rows = acme.rows("/v1/analytics/logs", by="ip", contains="failed PASS")
    assert [(row["ip"], row["lines"]) for row in rows] == [("192.0.2.1", 2), ("192.0.2.2", 1)]
    assert rows[0]["first_at"] == "2026-01-31T02:01:00Z"
    days = acme.rows("/v1/analytics/logs", by="day", timezone="Europe/Berlin")
    assert [(row["day"], row["lines"]) for row in days] == [("2026-01-31", 3), ("2026-02-01", 1)]
    assert acme.rows("/v1/analytics/logs", by="user", user="root")[0]["lines"] == 1
    text = acme.get("/v1/analytics/logs", {"Accept": "text/csv"}, by="program").text
    assert text.splitlines()[0] == "program,lines,first_at,last_at,other"
