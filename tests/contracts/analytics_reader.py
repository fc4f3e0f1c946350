"""What every AnalyticsReader promises, as a suite: subclass AnalyticsReaderContract and say how the store is opened."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, localcontext
from itertools import count
from typing import Any, NamedTuple, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from projections.finance.invoice_balances import BalanceRow
from projections.finance.invoice_facts import REVENUE, InvoiceLineRow, RevenueRow
from projections.fleet.metric_rows import MetricRow
from projections.fleet.metrics_5m import POINTS
from projections.history.event_rows import EventRow
from projections.history.events import COUNTS, EventCount
from projections.identity.api_usage import USAGE, Usage, UsageRow
from projections.layout import Facts
from projections.projection import Projection
from projections.question import Choice, Question
from projections.readers import Aggregate, AnalyticsReader, MetricPoint
from projections.rows import View
from projections.stores import StoreUnavailable, ViewWriter
from schemas.envelope import StreamId, TenantId, Topic
from tests.contracts.samples import ACME, BOLT, checkpoint, projection

FACTS, EVENTS, METRICS = View("invoice_facts", 1), View("events", 1), View("metrics_5m", 1)
BALANCES, USED = View("invoice_balances", 1), View("api_usage", 1)
NOON = datetime(2010, 12, 1, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
GREATEST = Decimal("99999999999999.9999")
# the same property is asked of every store, so its test belongs to a class for each
_SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
AMOUNT = some.decimals(-GREATEST, GREATEST, places=4)
NUMBERS = count()


class Traded(NamedTuple):
    party: str
    amount: Decimal
    last_at: datetime


# a view and a question that the product does not have: with another key, parameters of other types, and no time
DEALS = View("deals", 1)
TRADED = Question(
    name="traded",
    summary="What each party traded",
    view="deals",
    sql="""
        SELECT party, {what}, max(invoiced_at) FROM deals
        WHERE product = {product:String} AND quantity > {least:Float64} OR {what:String} = 'lines'
        GROUP BY party ORDER BY party
    """,
    parameters={
        "what": Choice("amount", {"amount": "sum(quantity)", "lines": "toDecimal64(count(), 0)"}),
        "product": str,
        "least": float,
    },
    row=Traded,
    example={},
)


class Analytics(ViewWriter, AnalyticsReader, Protocol):
    def close(self) -> None: ...


def analytics_projections() -> Sequence[Projection]:
    rows = {
        "invoice_facts": InvoiceLineRow,
        "events": EventRow,
        "metrics_5m": MetricRow,
        "invoice_balances": BalanceRow,
        "api_usage": UsageRow,
    }
    deals = Facts(row=InvoiceLineRow, key=("tenant_id", "party", "stream", "line"), questions=(TRADED,))
    return (
        *(projection(name, row) for name, row in rows.items()),
        Projection("deals", deals, (Topic.EVENTS,), None, lambda _envelope, _event: ()),
    )


def line(
    invoice: str = "1",
    number: int = 1,
    *,
    at: datetime = NOON,
    quantity: str | Decimal = "1",
    unit_price: str | Decimal = "1",
    country: str = "DE",
    product: str = "tea",
    kind: str = "invoice",
    direction: str = "out",
    tenant: TenantId = ACME,
    position: int = 1,
    exact_price: str = "",
) -> InvoiceLineRow:
    words = (invoice, kind, direction, "Ann & Co", country, product, "a line")
    amounts = (Decimal(quantity), Decimal(unit_price), "EUR", position)
    return InvoiceLineRow(tenant, StreamId(f"invoice-{invoice}"), number, at, *words, *amounts, exact_price)


def event(
    stream: str, type_: str, *, at: datetime = NOON, tenant: TenantId = ACME, version: int = 1, position: int = 1
) -> EventRow:
    times = (at - timedelta(days=400), at)
    who = ("user", "ann", "correlation-1", "causation-1", "{}")
    return EventRow(tenant, StreamId(stream), version, 0, position, f"id-{stream}-{version}", type_, 1, *times, *who)


def reading(
    value: float,
    at: datetime = NOON,
    *,
    device: str = "device-1",
    metric: str = "cpu",
    tenant: TenantId = ACME,
    position: int = 1,
) -> MetricRow:
    return MetricRow(tenant, device, metric, at, value, "%", position)


def served(
    key: str,
    status: int,
    requests: int,
    ms: int,
    *,
    at: datetime = NOON,
    route: str = "GET /v1/devices",
    tenant: TenantId = ACME,
) -> UsageRow:
    return UsageRow(tenant, "gateway-1", at, key, route, status, requests, ms, 1)


class AnalyticsReaderContract:
    """Inherit it in a class named Test… and override `empty`: a fresh store, opened with `analytics_projections()`."""

    @pytest.fixture
    def empty(self) -> Analytics:
        raise NotImplementedError

    @pytest.fixture
    def store(self, empty: Analytics) -> Analytics:
        for view in (FACTS, EVENTS, METRICS, BALANCES, DEALS, USED):
            empty.create(view)
            empty.switch(view)
        return empty

    # --- revenue ----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("by", ["day", "month", "country", "product"])
    def test_no_invoices_give_no_revenue(self, store: Analytics, by: str) -> None:
        assert list(revenue(store, by)) == []

    def test_revenue_by_day_is_in_order_of_the_day_in_utc(self, store: Analytics) -> None:
        midnight = datetime(2010, 12, 2, tzinfo=UTC)
        put(store, line("3", at=midnight, quantity="3"), line("1", at=midnight - MICROSECOND), line("2", quantity="2"))
        assert list(revenue(store, "day")) == [
            RevenueRow("2010-12-01", "EUR", Decimal(3), Decimal(3), 2, 2),
            RevenueRow("2010-12-02", "EUR", Decimal(3), Decimal(3), 1, 1),
        ]

    def test_revenue_by_month_is_in_order_of_the_month(self, store: Analytics) -> None:
        put(
            store,
            line("2", at=datetime(2011, 1, 1, tzinfo=UTC)),
            line("1"),
            line("0", at=datetime(2009, 2, 3, tzinfo=UTC)),
        )
        assert [row.group for row in revenue(store, "month")] == ["2009-02", "2010-12", "2011-01"]

    @pytest.mark.parametrize("by", ["country", "product"])
    def test_revenue_by_country_or_product_is_greatest_first_then_by_name(self, store: Analytics, by: str) -> None:
        amounts = {"b": "10", "a": "10", "z": "9.5", "": "100", "ü": "-1"}
        rows = [line(name, quantity=amount, country=name, product=name) for name, amount in amounts.items()]
        put(store, *rows)
        assert [row.group for row in revenue(store, by)] == ["", "a", "b", "z", "ü"]

    def test_a_limit_gives_the_first_groups(self, store: Analytics) -> None:
        put(store, *[line(str(n), quantity=str(n), country=f"C{n}") for n in range(1, 6)])
        assert [row.group for row in revenue(store, "country", limit=2)] == ["C5", "C4"]

    def test_only_outgoing_documents_are_revenue_and_credit_notes_reduce_it(self, store: Analytics) -> None:
        put(
            store,
            line("1", quantity="10", unit_price="2.5"),
            line("2", quantity="-4", unit_price="2.5", kind="credit_note"),
            line("3", quantity="7", direction="in"),
        )
        assert list(revenue(store, "month")) == [RevenueRow("2010-12", "EUR", Decimal(15), Decimal(6), 2, 2)]

    def test_lines_are_counted_each_and_documents_once(self, store: Analytics) -> None:
        put(store, line("1", 1), line("1", 2), line("2", 1))
        assert list(revenue(store, "month")) == [RevenueRow("2010-12", "EUR", Decimal(3), Decimal(3), 3, 2)]

    def test_a_repeated_line_counts_once_and_a_corrected_one_as_corrected(self, store: Analytics) -> None:
        for _ in range(3):
            put(store, line("1", quantity="10", position=1), line("2", position=2))
        put(store, line("1", quantity="4", country="FR", position=3))
        put(store, line("1", quantity="10", position=1))
        found = [(row.group, row.revenue) for row in revenue(store, "country")]
        assert found == [("FR", Decimal(4)), ("DE", Decimal(1))]

    def test_revenue_is_bounded_by_start_inclusive_and_end_exclusive(self, store: Analytics) -> None:
        for n, at in enumerate((NOON - MICROSECOND, NOON, NOON + MICROSECOND)):
            put(store, line(str(n), at=at, quantity=str(10**n)))
        bounds = [(None, None), (NOON, None), (None, NOON), (NOON, NOON + MICROSECOND), (NOON, NOON)]
        sums = [sum(row.revenue for row in revenue(store, "month", start=start, end=end)) for start, end in bounds]
        assert sums == [111, 110, 1, 10, 0]

    def test_the_smallest_fractions_and_the_greatest_amounts_are_exact(self, store: Analytics) -> None:
        rows = [line("1", n, quantity=GREATEST, unit_price=GREATEST) for n in range(200)]
        put(store, *rows, line("2", quantity="0.0001", unit_price="-0.0001"))
        (found,) = revenue(store, "month")
        with localcontext(Context(prec=80)):
            assert found.revenue == 200 * GREATEST * GREATEST - Decimal("0.00000001")
            assert found.quantity == 200 * GREATEST + Decimal("0.0001")

    def test_prices_of_twelve_decimals_are_exact(self, store: Analytics) -> None:
        put(
            store,
            line("1", 1, quantity="1250.5", unit_price="0", exact_price="0.000016666700"),
            line("1", 2, quantity="744", unit_price="0.0416"),
            line("2", 1, quantity=GREATEST, unit_price=GREATEST, exact_price="99999999999999.999999999999"),
        )
        with localcontext(Context(prec=80)):
            great = GREATEST * Decimal("99999999999999.999999999999")
            assert [row.revenue for row in revenue(store, "month")] == [Decimal("30.97124170835") + great]

    def test_a_removed_line_is_neither_revenue_nor_counted(self, store: Analytics) -> None:
        put(store, line("1", 1), line("1", 2, quantity="5"))
        put(store, line("1", 2, quantity="0", kind="removed", direction="", position=2))
        assert list(revenue(store, "month")) == [RevenueRow("2010-12", "EUR", Decimal(1), Decimal(1), 1, 1)]

    @settings(max_examples=25, deadline=None, suppress_health_check=_SHARED)
    @given(amounts=some.lists(some.tuples(AMOUNT, AMOUNT), min_size=1, max_size=30))
    def test_revenue_is_the_exact_sum_whatever_the_lines(
        self, store: Analytics, amounts: list[tuple[Decimal, Decimal]]
    ) -> None:
        tenant = TenantId(f"tenant-{next(NUMBERS)}")
        put(store, *[line("1", n, quantity=q, unit_price=p, tenant=tenant) for n, (q, p) in enumerate(amounts)])
        (found,) = revenue(store, "month", tenant=tenant)
        with localcontext(Context(prec=80)):
            assert found.revenue == sum(q * p for q, p in amounts)
            assert found.quantity == sum(q for q, _ in amounts)

    # --- event counts -----------------------------------------------------------------------------------------------

    def test_events_are_counted_by_type_greatest_first_then_by_name(self, store: Analytics) -> None:
        rows = [event(f"device-{n}", "device.retired") for n in range(3)]
        rows += [event("device-8", "b.happened"), event("device-9", "a.happened")]
        store.apply(EVENTS, rows, checkpoint(5))
        store.apply(EVENTS, rows, checkpoint(5))
        assert list(store.ask(COUNTS, ACME, start=None, end=None)) == [
            EventCount("device.retired", 3),
            EventCount("a.happened", 1),
            EventCount("b.happened", 1),
        ]

    def test_counted_events_were_recorded_from_start_to_before_end(self, store: Analytics) -> None:
        rows = [event(f"device-{n}", f"type-{n}", at=NOON + n * MICROSECOND) for n in range(3)]
        store.apply(EVENTS, rows, checkpoint(3))
        found = store.ask(COUNTS, ACME, start=NOON + MICROSECOND, end=NOON + 2 * MICROSECOND)
        assert list(found) == [EventCount("type-1", 1)]

    def test_no_events_give_no_counts(self, store: Analytics) -> None:
        assert list(store.ask(COUNTS, ACME, start=None, end=None)) == []

    # --- usage ------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("by", "expected"),
        [
            ("key", [Usage("one", 12, 3, 2, 60), Usage("other", 3, 0, 0, 30)]),
            ("route", [Usage("GET /v1/devices", 10, 0, 2, 60), Usage("POST /v1/telemetry", 5, 3, 0, 30)]),
            ("day", [Usage("2010-12-01", 13, 3, 2, 60), Usage("2010-12-02", 2, 0, 0, 30)]),
        ],
    )
    def test_usage_is_counted_by_key_route_and_day(self, store: Analytics, by: str, expected: list[Usage]) -> None:
        rows = [
            served("one", 200, 5, 10),
            served("one", 500, 2, 20),
            served("one", 429, 3, 0, route="POST /v1/telemetry"),
            served("one", 200, 2, 30, at=NOON + timedelta(days=1), route="POST /v1/telemetry"),
            served("other", 200, 3, 30),
            served("one", 200, 9, 90, tenant=BOLT),
        ]
        store.apply(USED, rows, checkpoint(6, topic=Topic.TELEMETRY))
        store.apply(USED, rows[:1], checkpoint(6, topic=Topic.TELEMETRY))
        assert list(store.ask(USAGE, ACME, by=by, start=None, end=None)) == expected

    # --- metrics ----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("aggregate", "value"), [("avg", 4.0), ("min", 1.5), ("max", 8.0), ("sum", 12.0), ("count", 3.0), ("last", 2.5)]
    )
    def test_readings_of_five_minutes_make_one_point(
        self, store: Analytics, aggregate: Aggregate, value: float
    ) -> None:
        at = NOON + timedelta(minutes=5)
        measure(
            store,
            reading(2.5, at + timedelta(minutes=5) - MICROSECOND),
            reading(1.5, at),
            reading(8.0, at + timedelta(minutes=2)),
        )
        assert list(metrics(store, aggregate)) == [MetricPoint(at, value, 3)]

    def test_points_are_oldest_first_at_multiples_of_five_minutes_and_only_where_readings_are(
        self, store: Analytics
    ) -> None:
        measure(
            store, reading(3.0, NOON + timedelta(hours=1, seconds=1)), reading(1.0, NOON - MICROSECOND), reading(2.0)
        )
        assert list(metrics(store, "max")) == [
            MetricPoint(NOON - timedelta(minutes=5), 1.0, 1),
            MetricPoint(NOON, 2.0, 1),
            MetricPoint(NOON + timedelta(hours=1), 3.0, 1),
        ]

    def test_a_reading_before_1970_lies_in_the_five_minutes_that_begin_before_it(self, store: Analytics) -> None:
        at = datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)
        measure(store, reading(1.0, at))
        found = store.ask(POINTS, ACME, device_id="device-1", metric="cpu", start=at, end=NOON, aggregate="last")
        assert list(found) == [MetricPoint(datetime(1969, 12, 31, 23, 55, tzinfo=UTC), 1.0, 1)]

    def test_readings_are_taken_from_start_to_before_end(self, store: Analytics) -> None:
        measure(store, *[reading(10.0**n, NOON + n * MICROSECOND) for n in range(3)])
        start, end = NOON + MICROSECOND, NOON + 2 * MICROSECOND
        found = store.ask(POINTS, ACME, device_id="device-1", metric="cpu", start=start, end=end, aggregate="sum")
        assert list(found) == [MetricPoint(NOON, 10.0, 1)]

    def test_a_repeated_reading_counts_once_and_a_later_one_of_the_instant_replaces_it(self, store: Analytics) -> None:
        for _ in range(3):
            measure(store, reading(1.0, position=1))
        measure(store, reading(7.0, position=2))
        measure(store, reading(1.0, position=1))
        assert list(metrics(store, "sum")) == [MetricPoint(NOON, 7.0, 1)]

    def test_another_device_or_metric_has_its_own_points(self, store: Analytics) -> None:
        measure(store, reading(1.0), reading(2.0, device="device-2"), reading(4.0, metric="disk"))
        assert list(metrics(store, "sum")) == [MetricPoint(NOON, 1.0, 1)]
        assert (
            list(store.ask(POINTS, ACME, device_id="device-9", metric="cpu", start=NOON, end=NOON, aggregate="avg"))
            == []
        )

    # --- any question -----------------------------------------------------------------------------------------------

    def test_a_question_of_another_view_is_answered_with_its_own_rows(self, store: Analytics) -> None:
        rows = [line("1", quantity="2"), line("2", quantity="3.5", at=NOON + MICROSECOND), line("3", quantity="0.5")]
        rows += [line("4", quantity="9", product="rum"), line("5", quantity="8", tenant=BOLT)]
        store.apply(DEALS, rows, checkpoint(5))
        assert list(traded(store)) == [Traded("Ann & Co", Decimal("5.5"), NOON + MICROSECOND)]
        assert list(traded(store, "lines")) == [Traded("Ann & Co", Decimal(4), NOON + MICROSECOND)]

    def test_a_row_that_was_written_again_counts_once_whatever_the_question_says(self, store: Analytics) -> None:
        for position in (1, 3, 2):
            store.apply(DEALS, [line(quantity=str(position), position=position)], checkpoint(3))
        assert list(traded(store)) == [Traded("Ann & Co", Decimal(3), NOON)]
        assert list(traded(store, "lines")) == [Traded("Ann & Co", Decimal(1), NOON)]

    @pytest.mark.parametrize("product", ["' OR 1=1 --", "{tenant_id}", "{what}", "\\", "%s", "tea\x00", ""])
    def test_a_value_is_never_read_as_sql(self, store: Analytics, product: str) -> None:
        store.apply(DEALS, [line("1"), line("2", quantity="2", product=product)], checkpoint(2))
        assert [row.amount for row in traded(store, product=product)] == [2]

    def test_parameters_that_the_question_does_not_declare_are_refused(self, store: Analytics) -> None:
        for more in ({}, {"least": 1.0, "limit": 1}):
            with pytest.raises(ValueError, match="traded takes what, product, least"):
                store.ask(TRADED, ACME, what="amount", product="tea", **more)

    @pytest.mark.parametrize("what", ["party", "", "sum(quantity)", None])
    def test_a_choice_has_the_values_that_the_question_declares(self, store: Analytics, what: str) -> None:
        with pytest.raises(ValueError, match="use one of amount, lines"):
            traded(store, what)

    def test_a_question_of_a_view_that_the_store_does_not_keep_is_refused(self, store: Analytics) -> None:
        with pytest.raises(ValueError, match="does not keep"):
            store.ask(replace(TRADED, view="switches"), ACME, what="amount", product="tea", least=0.0)

    # --- tenants and builds -----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("stranger", [BOLT, TenantId("acme' OR '1'='1"), TenantId("acm%"), TenantId("{tenant_id}")])
    def test_a_tenant_sees_nothing_of_another(self, store: Analytics, stranger: TenantId) -> None:
        put(store, line())
        store.apply(EVENTS, [event("device-1", "device.retired")], checkpoint(1))
        measure(store, reading(1.0))
        store.apply(DEALS, [line()], checkpoint(1))
        assert list(traded(store, "lines", tenant=stranger)) == []
        assert list(revenue(store, "country", tenant=stranger)) == []
        assert list(store.ask(COUNTS, stranger, start=None, end=None)) == []
        assert (
            list(store.ask(POINTS, stranger, device_id="device-1", metric="cpu", start=NOON, end=NOON, aggregate="avg"))
            == []
        )

    def test_a_reader_sees_the_build_that_was_switched_to_last(self, store: Analytics) -> None:
        put(store, line(quantity="1"))
        rebuilt = View("invoice_facts", 2)
        store.create(rebuilt)
        store.apply(rebuilt, [line(quantity="2")], checkpoint(1))
        seen = [revenue(store, "month")[0].quantity]
        for view in (rebuilt, FACTS):
            store.switch(view)
            seen.append(revenue(store, "month")[0].quantity)
        assert seen == [1, 2, 1]

    def test_a_question_before_any_build_is_live_is_to_be_retried(self, empty: Analytics) -> None:
        empty.create(FACTS)
        with pytest.raises(StoreUnavailable, match="invoice_facts"):
            revenue(empty, "month")


def put(store: Analytics, *rows: InvoiceLineRow) -> None:
    store.apply(FACTS, rows, checkpoint(1))


def measure(store: Analytics, *rows: MetricRow) -> None:
    store.apply(METRICS, rows, checkpoint(1, topic=Topic.TELEMETRY))


def revenue(store: Analytics, by: str, *, tenant: TenantId = ACME, **asked: Any) -> Sequence[RevenueRow]:
    return store.ask(REVENUE, tenant, **{**_OF_REVENUE, "by": by, **asked})


_OF_REVENUE: Mapping[str, Any] = {
    "direction": "out",
    "currency": None,
    "party": None,
    "timezone": "UTC",
    "start": None,
    "end": None,
    "limit": 100,
}


def traded(
    store: Analytics, what: str = "amount", *, product: str = "tea", tenant: TenantId = ACME
) -> Sequence[Traded]:
    return store.ask(TRADED, tenant, what=what, product=product, least=1.0)


def metrics(store: Analytics, aggregate: Aggregate) -> Sequence[MetricPoint]:
    day = timedelta(days=1)
    return store.ask(
        POINTS, ACME, device_id="device-1", metric="cpu", start=NOON - day, end=NOON + day, aggregate=aggregate
    )
