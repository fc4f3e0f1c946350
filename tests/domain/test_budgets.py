"""The rules for budgets, and how invoices are counted in them."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from domain.finance.budget import BUDGET, RecordSpend, SetBudget, SpendRecorded, period_of
from domain.finance.budget_monitor import BUDGET_MONITOR, BillNoted
from domain.message import Event, adapter
from domain.process import Ask, Note
from domain.rejection import Kind
from tests.examples import envelope_of
from tests.examples.finance import (
    APPROVED,
    BILL_NOTED,
    BUDGET_EXCEEDED,
    BUDGET_SET,
    CANCELLED,
    CATEGORISED,
    CORRECTED,
    RECEIVED,
    RECORD_SPEND,
    REJECTED,
    SET_BUDGET,
    SPEND_RECORDED,
)
from tests.examples.process import ANSWERED, ASKED
from tests.given_when_then import Rules, Runs

budget = Rules(BUDGET)


def spent(amount: str, total: str, within: str = "2026-01") -> SpendRecorded:
    return replace(SPEND_RECORDED, amount=Decimal(amount), spent=Decimal(total), within=within)


def spend(amount: str, at: datetime | None = None) -> RecordSpend:
    return replace(RECORD_SPEND, amount=Decimal(amount), spent_at=at or RECORD_SPEND.spent_at)


def test_budget_is_set_once_and_changed() -> None:
    budget.given().when(SET_BUDGET).then(BUDGET_SET)
    budget.given(BUDGET_SET).when(SET_BUDGET).then_nothing()
    budget.given(BUDGET_SET).when(replace(SET_BUDGET, period="year")).then(replace(BUDGET_SET, period="year"))


def test_spending_without_a_budget_is_refused() -> None:
    budget.given().when(RECORD_SPEND).then_refused(Kind.NOT_FOUND, "there is no budget for hosting in GBP")


def test_budget_is_exceeded_once_in_a_period_whatever_is_taken_back() -> None:
    budget.given(BUDGET_SET).when(spend("500.00")).then(spent("500.00", "500.00"))
    full = (BUDGET_SET, spent("500.00", "500.00"))
    budget.given(*full).when(spend("0.01")).then(spent("0.01", "500.01"), BUDGET_EXCEEDED)
    over = (*full, spent("0.01", "500.01"), BUDGET_EXCEEDED)
    budget.given(*over).when(spend("-400")).then(spent("-400", "100.01"))
    budget.given(*over, spent("-400", "100.01")).when(spend("900")).then(spent("900", "1000.01"))


def test_next_period_begins_at_nothing() -> None:
    over = (BUDGET_SET, spent("600", "600"), BUDGET_EXCEEDED)
    february = datetime(2026, 1, 31, 23, tzinfo=UTC)
    budget.given(*over).when(spend("600", february)).then(
        spent("600", "600", "2026-02"), replace(BUDGET_EXCEEDED, within="2026-02", spent=Decimal(600))
    )


def test_smaller_budget_is_exceeded_by_what_was_spent_in_this_period() -> None:
    before = (BUDGET_SET, spent("400", "400"))
    smaller = replace(SET_BUDGET, amount=Decimal(300))
    exceeded = replace(BUDGET_EXCEEDED, amount=Decimal(300), spent=Decimal(400))
    budget.given(*before).when(smaller).then(replace(BUDGET_SET, amount=Decimal(300)), exceeded)


def test_spending_that_no_schema_holds_is_refused() -> None:
    budget.given(BUDGET_SET).when(spend("1e22")).then_refused(
        Kind.INVALID,
        "what is spent on hosting would come to 10000000000000000000000; it has at most 22 digits",
    )


@pytest.mark.parametrize(
    ("period", "zone", "within"),
    [("month", "UTC", "2026-03"), ("month", "Europe/Berlin", "2026-04"), ("quarter", "UTC", "2026-Q1")],
)
def test_period_is_that_of_the_time_zone(period: str, zone: str, within: str) -> None:
    at = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)
    assert period_of(at, period, zone) == within
    assert period_of(at, "quarter", "Europe/Berlin") == "2026-Q2"
    assert period_of(at, "year", zone) == "2026"


def test_time_zone_that_is_none_is_invalid() -> None:
    with pytest.raises(ValidationError, match="IANA name"):
        adapter(SetBudget).validate_python(
            {"category": "a", "currency": "EUR", "amount": "1", "timezone": "Mars/Olympus"}
        )


# --- what counts

monitor = Runs(BUDGET_MONITOR, "in:17850:536365")
BY_NAME = "invoice-in:17850:536365"
INCOMING = replace(RECEIVED, direction="in")

NEW = replace(BILL_NOTED, category=None, approved=False, counted=False)
SORTED = replace(NEW, category="sales")
WAITING = replace(NEW, approved=True)


def asks(step: str, bill: BillNoted) -> Ask:
    amount = bill.total if step == "spend" else -bill.total
    command: dict[str, Any] = {"category": bill.category, "currency": "GBP", "spent_at": bill.issued_at}
    return Ask(step, RecordSpend(**command, invoice="in:17850:536365", amount=amount))


def test_invoice_counts_when_it_is_approved_and_has_a_category_in_either_order() -> None:
    monitor.when(INCOMING, stream=BY_NAME).then(Note(NEW))
    monitor.given(NEW).when(CATEGORISED, stream=BY_NAME).then(Note(SORTED))
    monitor.given(NEW).when(APPROVED, stream=BY_NAME).then(Note(WAITING))
    for before, event in ((SORTED, APPROVED), (WAITING, CATEGORISED)):
        monitor.given(before).when(event, stream=BY_NAME).then(Note(BILL_NOTED), asks("spend", BILL_NOTED))
    monitor.given(BILL_NOTED).when(APPROVED, stream=BY_NAME).then()


@pytest.mark.parametrize("event", [CANCELLED, REJECTED])
def test_invoice_that_is_no_longer_good_is_taken_back(event: Event) -> None:
    monitor.given(BILL_NOTED).when(event, stream=BY_NAME).then(Note(SORTED), asks("take_back", BILL_NOTED))
    monitor.given(SORTED).when(event, stream=BY_NAME).then()


def test_invoice_of_another_category_counts_there() -> None:
    moved = replace(BILL_NOTED, category="hosting")
    monitor.given(BILL_NOTED).when(replace(CATEGORISED, category="hosting"), stream=BY_NAME).then(
        Note(moved), asks("take_back", BILL_NOTED), asks("spend", moved)
    )


def test_corrected_invoice_is_taken_back_until_it_is_approved_again() -> None:
    corrected = replace(CORRECTED, direction="in")
    after = replace(SORTED, total=Decimal("20.02084170835"))
    monitor.given(BILL_NOTED).when(corrected, stream=BY_NAME).then(Note(after), asks("take_back", BILL_NOTED))
    note = replace(corrected, kind="credit_note")
    nothing = replace(SORTED, total=Decimal(0))
    monitor.given(BILL_NOTED).when(note, stream=BY_NAME).then(Note(nothing), asks("take_back", BILL_NOTED))
    monitor.given(nothing).when(APPROVED, stream=BY_NAME).then(Note(replace(nothing, approved=True)))
    back = replace(nothing, total=after.total)
    monitor.given(nothing).when(corrected, stream=BY_NAME).then(Note(back))


def test_invoice_of_many_digits_is_taken_back_to_the_last_of_them() -> None:
    long = replace(BILL_NOTED, total=Decimal("1234567890123456789012.1234567890123456"))
    taken = replace(asks("take_back", long).command, amount=Decimal("-1234567890123456789012.1234567890123456"))  # type: ignore[type-var]
    monitor.given(long).when(CANCELLED, stream=BY_NAME).then(
        Note(replace(long, approved=False, counted=False)), Ask("take_back", taken)
    )


def test_invoice_for_which_there_is_no_budget_does_not_count_and_is_not_taken_back() -> None:
    given = monitor.given(BILL_NOTED, replace(ASKED, step="spend"))
    given.when(replace(ANSWERED, step="spend", kind="not_found")).then(Note(replace(BILL_NOTED, counted=False)))
    given.when(replace(ANSWERED, step="spend", kind=None, reason=None)).then()
    given.when(replace(ANSWERED, step="take_back", kind="not_found")).then()
    monitor.given(replace(BILL_NOTED, counted=False)).when(CANCELLED, stream=BY_NAME).then(Note(SORTED))


def test_what_is_no_incoming_invoice_is_left_alone() -> None:
    assert BUDGET_MONITOR.route(RECEIVED, envelope_of(RECEIVED)) is None
    monitor.when(replace(INCOMING, kind="credit_note"), stream=BY_NAME).then()
    monitor.when(APPROVED, stream=BY_NAME).then()
