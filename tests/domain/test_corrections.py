"""The rules for correcting an invoice that was taken wrongly."""

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.finance.decide_invoice import INVOICE
from domain.finance.invoice import LineItem
from domain.message import Event
from domain.rejection import Kind
from tests.examples.finance import (
    APPROVE_INVOICE,
    APPROVED,
    CANCELLED,
    CATEGORISED,
    CORRECT_INVOICE,
    CORRECTED,
    DISPUTED,
    PAID_IN_PART,
    RECEIVED,
    RECORD_PAYMENT,
    REFUNDED,
    REJECTED,
)
from tests.given_when_then import GIVEN, Rules

invoice = Rules(INVOICE)
NAME = "invoice 536365 of party 17850"
PAYMENTS = f"{NAME} has payments of 10.0000 GBP"


def test_received_invoice_gets_its_right_content() -> None:
    invoice.given(RECEIVED).when(CORRECT_INVOICE).then(CORRECTED)


def test_second_correction_replaces_the_lines_of_the_first() -> None:
    other = replace(CORRECT_INVOICE, country="France")
    invoice.given(RECEIVED, CORRECTED).when(other).then(replace(CORRECTED, country="France", replaced_lines=1))


def test_correction_that_says_what_is_recorded_changes_nothing() -> None:
    invoice.given(RECEIVED, CORRECTED).when(replace(CORRECT_INVOICE, reason="once more")).then_nothing()
    invoice.given(RECEIVED, CORRECTED, APPROVED).when(CORRECT_INVOICE).then_nothing()


def test_invoice_taken_for_a_credit_note_becomes_one_that_can_be_paid() -> None:
    note = replace(RECEIVED, kind="credit_note")
    invoice.given(note).when(CORRECT_INVOICE).then(CORRECTED)
    invoice.given(note, CORRECTED).when(RECORD_PAYMENT).then(PAID_IN_PART)


def test_direction_stays_as_it_was_received() -> None:
    invoice.given(replace(RECEIVED, direction="in")).when(CORRECT_INVOICE).then(replace(CORRECTED, direction="in"))


@pytest.mark.parametrize(("before", "status"), [([], "RECEIVED"), ([CATEGORISED], "CATEGORISED")])
def test_what_was_approved_is_to_be_approved_again(before: list[Event], status: str) -> None:
    history = (replace(RECEIVED, direction="in"), *before, APPROVED)
    corrected = replace(CORRECTED, direction="in", status=status)
    invoice.given(*history).when(CORRECT_INVOICE).then(corrected)
    invoice.given(*history, corrected).when(RECORD_PAYMENT).then_refused(
        Kind.NOT_ALLOWED, f"{NAME} is {status}; approve it first"
    )
    invoice.given(*history, corrected).when(APPROVE_INVOICE).then(APPROVED)


def test_dispute_and_category_stay() -> None:
    invoice.given(RECEIVED, DISPUTED).when(CORRECT_INVOICE).then(replace(CORRECTED, status="DISPUTED"))
    invoice.given(RECEIVED, CATEGORISED).when(CORRECT_INVOICE).then(replace(CORRECTED, status="CATEGORISED"))


def test_payments_stay_and_what_is_open_follows_the_right_total() -> None:
    after = replace(CORRECTED, status="PART_PAID")
    invoice.given(RECEIVED, PAID_IN_PART).when(CORRECT_INVOICE).then(after)
    rest = replace(RECORD_PAYMENT, payment_id="p2", amount=Decimal("10.02084170835"))
    paid = replace(
        PAID_IN_PART,
        payment_id="p2",
        amount=Decimal("10.02084170"),
        exact_amount=rest.amount,
        paid_total=CORRECTED.total,
        exact_paid_total=CORRECTED.exact_total,
        status="PAID",
    )
    invoice.given(RECEIVED, PAID_IN_PART, after).when(rest).then(paid)


def test_invoice_is_paid_where_its_right_total_is_what_was_paid() -> None:
    line = LineItem(product="p", quantity=Decimal(1), unit_price=Decimal(10))
    exact = replace(CORRECT_INVOICE, lines=(line,), tax=Decimal(0))
    (event,) = INVOICE.decide(exact, _state(RECEIVED, PAID_IN_PART), GIVEN)
    assert (event.total, event.status) == (Decimal(10), "PAID")  # type: ignore[attr-defined]


def test_right_total_below_what_was_paid_is_refused() -> None:
    command = replace(CORRECT_INVOICE, tax=Decimal("9.97"))
    invoice.given(RECEIVED, PAID_IN_PART).when(command).then_refused(
        Kind.CONFLICT, f"{PAYMENTS}, more than its right total of 9.99084170835; refund them first"
    )
    invoice.given(RECEIVED, PAID_IN_PART, REFUNDED).when(replace(command, tax=Decimal("20.00"))).then(CORRECTED)


def test_currency_or_kind_of_a_paid_invoice_is_not_corrected() -> None:
    invoice.given(RECEIVED, PAID_IN_PART).when(replace(CORRECT_INVOICE, currency="EUR")).then_refused(
        Kind.CONFLICT, f"{PAYMENTS}; refund them before its currency becomes EUR"
    )
    invoice.given(RECEIVED, PAID_IN_PART).when(replace(CORRECT_INVOICE, kind="credit_note")).then_refused(
        Kind.CONFLICT, f"{PAYMENTS}; refund them before it becomes a credit note"
    )
    invoice.given(RECEIVED).when(replace(CORRECT_INVOICE, currency="EUR")).then(replace(CORRECTED, currency="EUR"))


@pytest.mark.parametrize(("end", "status"), [(REJECTED, "REJECTED"), (CANCELLED, "CANCELLED")])
def test_closed_invoice_is_not_corrected(end: Event, status: str) -> None:
    invoice.given(RECEIVED, end).when(CORRECT_INVOICE).then_refused(Kind.NOT_ALLOWED, f"{NAME} is {status}")


def _state(*events: Event) -> object:
    state = None
    for event in events:
        state = INVOICE.evolve(state, event)
    return state
