"""Questions about money over invoices as they are recorded: each given its events, answered by the engine."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from domain.finance.decide_invoice import INVOICE, decide_invoice
from domain.finance.invoice import (
    CancelInvoice,
    CorrectInvoice,
    InvoiceCommand,
    LineItem,
    ReceiveInvoice,
    RecordPayment,
    RefundPayment,
    RejectInvoice,
)
from domain.finance.invoice_state import evolve_invoice
from infra.clickhouse.analytics import ClickHouseAnalytics
from projections.finance.invoice_balances import PROJECTION as BALANCES
from projections.finance.invoice_balances import RECEIVABLES
from projections.finance.invoice_facts import PROJECTION as LINES
from projections.finance.invoice_facts import REVENUE
from projections.rows import View
from schemas.envelope import TenantId
from tests.examples import Place, envelope_of
from tests.given_when_then import GIVEN

MAY = datetime(2026, 5, 4, 10, tzinfo=UTC)


class Books:
    """Invoices of one tenant, each command decided and projected into both views."""

    def __init__(self, store: ClickHouseAnalytics, tenant: str) -> None:
        self._store = store
        self._tenant = TenantId(tenant)
        self._states: dict[str, tuple[int, Any]] = {}
        self._positions = count(1)

    def do(self, *commands: InvoiceCommand, at: datetime = MAY) -> "Books":
        for command in commands:
            version, state = self._states.get(command.stream, (0, None))
            for event in decide_invoice(command, state, GIVEN):
                version, state = version + 1, evolve_invoice(state, event)
                place = Place(version=version, position=next(self._positions), happened_at=at)
                envelope = envelope_of(event, place)._replace(tenant_id=self._tenant, stream=command.stream)
                for view in (LINES, BALANCES):
                    if type(event) in (view.events or ()):
                        self._store.apply(View(view.name, 1), list(view.project(envelope, event)))
            self._states[command.stream] = version, state
        return self

    def revenue(self, **asked: Any) -> Mapping[tuple[str, str], str]:
        usual = {"by": "month", "direction": "out", "currency": None, "party": None, "timezone": "UTC"}
        rows = self._store.ask(REVENUE, self._tenant, **(usual | {"start": None, "end": None, "limit": 100} | asked))
        return {(row.group, row.currency): f"{row.revenue.normalize():f}" for row in rows}

    def receivables(self, **asked: Any) -> Mapping[tuple[str, str], Any]:
        usual = {"by": "customer", "state": "all", "direction": "out", "currency": None, "party": None}
        more = {"timezone": "UTC", "as_of": MAY, "limit": 100}
        rows = self._store.ask(RECEIVABLES, self._tenant, **(usual | more | asked))
        return {(row.group, row.currency): row for row in rows}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseAnalytics]:
    folder: Path = tmp_path_factory.mktemp("money")
    opened = ClickHouseAnalytics(f"chdb://{folder}", (LINES, BALANCES))
    for view in (LINES, BALANCES):
        opened.create(View(view.name, 1))
        opened.switch(View(view.name, 1))
    yield opened
    opened.close()


TENANTS = count()


@pytest.fixture
def books(store: ClickHouseAnalytics) -> Books:
    return Books(store, f"t{next(TENANTS)}")


def invoice(number: str, amount: str, *more: str, party: str = "ann", **fields: Any) -> ReceiveInvoice:
    usual: dict[str, Any] = {"direction": "out", "issue_date": MAY, "currency": "EUR"}
    lines = tuple(LineItem(product="p", quantity=Decimal(1), unit_price=Decimal(one)) for one in (amount, *more))
    return ReceiveInvoice(**{"number": number, "party": party, "lines": lines, **usual, **fields})


def paid(number: str, amount: str, payment: str = "p1", party: str = "ann") -> RecordPayment:
    return RecordPayment(number=number, party=party, payment_id=payment, amount=Decimal(amount), method="bank")


# --- revenue


def test_currencies_are_never_added(books: Books) -> None:
    books.do(invoice("1", "10"), invoice("2", "5", currency="USD"), invoice("3", "2.5"))
    assert books.revenue() == {("2026-05", "EUR"): "12.5", ("2026-05", "USD"): "5"}
    assert books.revenue(currency="USD") == {("2026-05", "USD"): "5"}


def test_cancelled_and_rejected_invoices_do_not_count(books: Books) -> None:
    books.do(invoice("1", "100"), CancelInvoice(number="1", party="ann"))
    assert books.revenue() == {}
    books.do(invoice("2", "7", direction="in"), RejectInvoice(number="2", party="ann", direction="in"))
    assert books.revenue(direction="in") == {}


def test_cancelled_credit_note_takes_nothing_away(books: Books) -> None:
    books.do(invoice("1", "100"), invoice("c", "30", kind="credit_note"), CancelInvoice(number="c", party="ann"))
    assert books.revenue() == {("2026-05", "EUR"): "100"}


@pytest.mark.parametrize("amounts", [["100"], ["-100"], ["150", "-50"], ["-150", "50"]])
def test_credit_note_is_less_whatever_its_sign(books: Books, amounts: list[str]) -> None:
    books.do(invoice("1", "500"), invoice("c", *amounts, kind="credit_note"))
    assert books.revenue() == {("2026-05", "EUR"): "400"}
    assert books.receivables()[("ann", "EUR")].open == 400


def test_correction_replaces_what_was_said_before(books: Books) -> None:
    books.do(invoice("1", "500", "5"))
    right = invoice("1", "80", currency="USD", kind="credit_note")
    books.do(
        CorrectInvoice(
            number="1",
            party="ann",
            issue_date=MAY,
            lines=right.lines,
            currency="USD",
            kind="credit_note",
            reason="wrong",
        )
    )
    assert books.revenue() == {("2026-05", "USD"): "-80"}


def test_revenue_is_asked_by_customer_and_of_one(books: Books) -> None:
    books.do(invoice("1", "1"), invoice("2", "20", party="bob"), invoice("3", "300", party="bob"))
    assert list(books.revenue(by="customer").items()) == [(("bob", "EUR"), "320"), (("ann", "EUR"), "1")]
    assert books.revenue(by="customer", party="ann") == {("ann", "EUR"): "1"}


def test_incoming_invoices_are_asked_for_by_direction(books: Books) -> None:
    books.do(invoice("1", "1"), invoice("2", "20", direction="in"))
    assert (books.revenue(), books.revenue(direction="in")) == (
        {("2026-05", "EUR"): "1"},
        {("2026-05", "EUR"): "20"},
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_months_and_days_are_those_of_the_time_zone(books: Books) -> None:
    books.do(
        invoice("1", "10", issue_date=at("2026-07-31T23:30:00-04:00")),
        invoice("2", "20", issue_date=at("2026-08-01T00:30:00+02:00")),
        invoice("3", "40", issue_date=at("2026-07-31T23:59:59+00:00")),
    )
    assert books.revenue() == {("2026-07", "EUR"): "60", ("2026-08", "EUR"): "10"}
    assert books.revenue(timezone="Europe/Berlin") == {("2026-08", "EUR"): "70"}
    assert books.revenue(timezone="America/New_York") == {("2026-07", "EUR"): "70"}


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        # the clocks of Berlin go from 02:00 to 03:00 on 29 March 2026 and back on 25 October
        ("2026-03-28T22:59:59Z", "2026-03-28"),
        ("2026-03-28T23:00:00Z", "2026-03-29"),
        ("2026-03-29T21:59:59Z", "2026-03-29"),
        ("2026-03-29T22:00:00Z", "2026-03-30"),
        ("2026-10-24T22:00:00Z", "2026-10-25"),
        ("2026-10-25T22:59:59Z", "2026-10-25"),
        ("2026-10-25T23:00:00Z", "2026-10-26"),
    ],
)
def test_a_day_of_a_time_zone_is_23_or_25_hours_long_where_its_clocks_change(
    books: Books, instant: str, day: str
) -> None:
    books.do(invoice("1", "10", issue_date=at(instant)))
    assert books.revenue(by="day", timezone="Europe/Berlin") == {(day, "EUR"): "10"}


# --- receivables


def due(days_ago: int) -> datetime:
    return MAY - timedelta(days=days_ago)


AGES = [(-1, "not due"), (0, "0-30"), (1, "0-30"), (30, "0-30"), (31, "31-60"), (60, "31-60"), (61, "61-90")]
AGES += [(90, "61-90"), (91, "over 90"), (400, "over 90")]


@pytest.mark.parametrize(("days", "age"), AGES)
def test_age_is_the_days_since_the_due_date(books: Books, days: int, age: str) -> None:
    books.do(invoice("1", "10", issue_date=due(500), due_date=due(days)))
    assert set(books.receivables(by="age")) == {(age, "EUR")}


def test_open_amount_is_due_by_its_ages_and_overdue_after_its_day(books: Books) -> None:
    for n, days in enumerate((-5, 0, 10, 40, 70, 100)):
        books.do(invoice(str(n), str(10**n), issue_date=due(200), due_date=due(days)))
    row = books.receivables()[("ann", "EUR")]
    assert (row.documents, row.total, row.paid, row.open) == (6, 111_111, 0, 111_111)
    assert (row.due, row.overdue) == (111_110, 111_100)
    assert (row.days_0_30, row.days_31_60, row.days_61_90, row.days_over_90) == (110, 1_000, 10_000, 100_000)


def test_payments_count_from_the_moment_they_happened_until_they_are_given_back(books: Books) -> None:
    books.do(invoice("1", "100", due_date=due(20), issue_date=due(30)))
    books.do(paid("1", "40"), at=due(10)).do(paid("1", "0.5", "p2"), at=due(5))
    books.do(RefundPayment(number="1", party="ann", payment_id="p1"), at=due(2))
    for days, amount in ((11, "0"), (10, "40"), (5, "40.5"), (2, "0.5"), (0, "0.5")):
        row = books.receivables(as_of=due(days))[("ann", "EUR")]
        assert (row.paid, row.open) == (Decimal(amount), 100 - Decimal(amount)), days


def test_what_is_issued_later_or_was_cancelled_by_then_is_left_out(books: Books) -> None:
    books.do(invoice("1", "100", issue_date=due(30)))
    books.do(CancelInvoice(number="1", party="ann"), at=due(10))
    assert books.receivables(as_of=due(31)) == {}
    assert books.receivables(as_of=due(20))[("ann", "EUR")].open == 100
    assert books.receivables(as_of=due(10)) == {}


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("all", {"ann:1", "ann:2", "ann:3"}),
        ("open", {"ann:2", "ann:3"}),
        ("due", {"ann:3"}),
        ("overdue", {"ann:3"}),
        ("paid", {"ann:1"}),
    ],
)
def test_invoices_are_found_by_their_state(books: Books, state: str, found: set[str]) -> None:
    books.do(invoice("1", "1"), paid("1", "1"), invoice("2", "2", due_date=due(-1)))
    books.do(invoice("3", "3", due_date=due(1), issue_date=due(3)))
    assert {group for group, _ in books.receivables(by="invoice", state=state)} == found


def test_balances_are_each_currencys_and_customers_own(books: Books) -> None:
    books.do(invoice("1", "1"), invoice("2", "20", currency="USD"), invoice("3", "300", party="bob"))
    found = {key: row.open for key, row in books.receivables().items()}
    assert found == {("bob", "EUR"): 300, ("ann", "USD"): 20, ("ann", "EUR"): 1}
    assert set(books.receivables(currency="USD")) == {("ann", "USD")}
    assert set(books.receivables(party="bob")) == {("bob", "EUR")}


def test_the_days_of_an_age_are_those_of_the_time_zone(books: Books) -> None:
    books.do(invoice("1", "10", issue_date=due(5), due_date=at("2026-05-03T23:30:00Z")))
    asked = at("2026-05-04T00:30:00Z")
    assert books.receivables(as_of=asked)[("ann", "EUR")].overdue == 10
    assert books.receivables(as_of=asked, timezone="Europe/Berlin")[("ann", "EUR")].overdue == 0


def test_every_command_of_an_invoice_leaves_both_views_a_row_or_none(books: Books) -> None:
    assert set(BALANCES.events or ()) == set(INVOICE.events)
    assert books.receivables() == {}
