"""The rules for the payments of an invoice."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.finance.decide_invoice import INVOICE, decide_invoice
from domain.finance.invoice import (
    InvoiceReceived,
    PaymentRecorded,
    RecordPayment,
    RefundPayment,
)
from domain.finance.invoice_state import Invoice, evolve_invoice
from domain.message import Command, Event, adapter
from domain.rejection import CommandRejected, Kind
from tests.examples.finance import (
    APPROVED,
    CANCELLED,
    CATEGORISED,
    DISPUTED,
    PAID_IN_PART,
    RECEIVED,
    RECORD_PAYMENT,
    REFUND_PAYMENT,
    REFUNDED,
    REJECTED,
)
from tests.given_when_then import GIVEN, Rules

invoice = Rules(INVOICE)
NAME = "invoice 536365 of party 17850"
INCOMING = replace(RECEIVED, direction="in")
REST = Decimal("6.32495")
PAY_REST = replace(RECORD_PAYMENT, payment_id="p2", amount=REST)
PAID = replace(PAID_IN_PART, payment_id="p2", amount=REST, paid_total=RECEIVED.total, status="PAID")


def test_part_of_an_outgoing_invoice_is_paid_before_anyone_approved_it() -> None:
    invoice.given(RECEIVED).when(RECORD_PAYMENT).then(PAID_IN_PART)


def test_part_of_an_approved_incoming_invoice_is_paid() -> None:
    invoice.given(INCOMING, APPROVED).when(RECORD_PAYMENT).then(PAID_IN_PART)


def test_incoming_invoice_that_nobody_approved_is_not_paid() -> None:
    invoice.given(INCOMING, CATEGORISED).when(RECORD_PAYMENT).then_refused(
        Kind.NOT_ALLOWED, f"{NAME} is CATEGORISED; approve it first"
    )


def test_payment_of_the_rest_makes_the_invoice_paid() -> None:
    invoice.given(RECEIVED, PAID_IN_PART).when(PAY_REST).then(PAID)


def test_payment_of_more_than_is_open_is_refused() -> None:
    command = replace(PAY_REST, amount=REST + Decimal("0.00000001"))
    invoice.given(RECEIVED, PAID_IN_PART).when(command).then_refused(
        Kind.CONFLICT, f"payment p2 of 6.32495001 is more than the 6.32495000 GBP still open on {NAME}"
    )


def test_paid_invoice_takes_no_further_payment() -> None:
    command = replace(RECORD_PAYMENT, payment_id="p3", amount=Decimal("0.01"))
    invoice.given(RECEIVED, PAID_IN_PART, PAID).when(command).then_refused(
        Kind.CONFLICT, f"payment p3 of 0.0100 is more than the 0.0000 GBP still open on {NAME}"
    )


def test_payment_recorded_twice_records_nothing() -> None:
    invoice.given(RECEIVED, PAID_IN_PART).when(RECORD_PAYMENT).then_nothing()


def test_payment_id_with_another_amount_is_refused() -> None:
    command = replace(RECORD_PAYMENT, amount=Decimal(1))
    invoice.given(RECEIVED, PAID_IN_PART).when(command).then_refused(
        Kind.CONFLICT, "payment p1 was recorded already, with 10.0000"
    )


def test_payment_in_the_invoices_currency_is_recorded() -> None:
    invoice.given(RECEIVED).when(replace(RECORD_PAYMENT, currency="GBP")).then(PAID_IN_PART)


@pytest.mark.parametrize("before", [[], [PAID_IN_PART]])
def test_payment_in_another_currency_is_refused(before: list[Event]) -> None:
    invoice.given(RECEIVED, *before).when(replace(RECORD_PAYMENT, currency="EUR")).then_refused(
        Kind.CONFLICT, f"payment p1 is in EUR, but {NAME} is in GBP"
    )


def test_payment_that_no_schema_holds_exactly_is_refused() -> None:
    great = replace(RECEIVED, total=Decimal(10) ** 25)
    invoice.given(great).when(
        replace(RECORD_PAYMENT, amount=Decimal("100000000000000000000000.000000001"))
    ).then_refused(Kind.INVALID, "payment p1 has too many digits to be kept exactly")


def test_credit_note_is_not_paid() -> None:
    command = replace(RECORD_PAYMENT, number="C536379")
    note = replace(RECEIVED, number="C536379", kind="credit_note")
    invoice.given(note).when(command).then_refused(
        Kind.NOT_ALLOWED, "invoice C536379 of party 17850 is a credit note and cannot be paid"
    )


@pytest.mark.parametrize(("end", "status"), [(REJECTED, "REJECTED"), (CANCELLED, "CANCELLED")])
def test_rejected_or_cancelled_invoice_is_not_paid(end: Event, status: str) -> None:
    invoice.given(RECEIVED, end).when(RECORD_PAYMENT).then_refused(Kind.NOT_ALLOWED, f"{NAME} is {status}")


def test_disputed_invoice_is_not_paid() -> None:
    invoice.given(RECEIVED, DISPUTED).when(RECORD_PAYMENT).then_refused(
        Kind.NOT_ALLOWED, f"{NAME} is DISPUTED; approve it to end the dispute"
    )


def test_invoice_that_comes_to_nothing_has_nothing_to_pay() -> None:
    free = replace(RECEIVED, total=Decimal(0))
    invoice.given(free).when(RECORD_PAYMENT).then_refused(
        Kind.CONFLICT, f"payment p1 of 10.0000 is more than the 0.0000 GBP still open on {NAME}"
    )


def test_refund_takes_the_invoice_back_to_where_it_was() -> None:
    invoice.given(RECEIVED, PAID_IN_PART).when(REFUND_PAYMENT).then(REFUNDED)
    invoice.given(RECEIVED, APPROVED, PAID_IN_PART).when(REFUND_PAYMENT).then(replace(REFUNDED, status="APPROVED"))


def test_refund_of_one_of_two_payments_leaves_the_invoice_paid_in_part() -> None:
    invoice.given(RECEIVED, PAID_IN_PART, PAID).when(REFUND_PAYMENT).then(
        replace(REFUNDED, paid_total=REST, status="PART_PAID")
    )


def test_refund_during_a_dispute_leaves_it_disputed() -> None:
    invoice.given(RECEIVED, PAID_IN_PART, DISPUTED).when(REFUND_PAYMENT).then(replace(REFUNDED, status="DISPUTED"))


def test_refunding_twice_records_nothing() -> None:
    invoice.given(RECEIVED, PAID_IN_PART, REFUNDED).when(REFUND_PAYMENT).then_nothing()


def test_refund_of_an_unknown_payment_is_refused() -> None:
    invoice.given(RECEIVED).when(REFUND_PAYMENT).then_refused(Kind.NOT_FOUND, f"payment p1 is not known on {NAME}")


def test_refunded_payment_is_not_recorded_again() -> None:
    invoice.given(RECEIVED, PAID_IN_PART, REFUNDED).when(RECORD_PAYMENT).then_refused(
        Kind.CONFLICT, "payment p1 was recorded already, with 10.0000, and refunded"
    )


def test_refunded_amount_is_open_again() -> None:
    command = replace(RECORD_PAYMENT, payment_id="p2", amount=RECEIVED.total)
    invoice.given(RECEIVED, PAID_IN_PART, REFUNDED).when(command).then(
        replace(PAID, amount=RECEIVED.total, paid_total=RECEIVED.total)
    )


@pytest.mark.parametrize("amount", ["0", "-1", "0.00000000000000001", "NaN", "1e30"])
def test_amount_that_cannot_be_paid_is_invalid(amount: str) -> None:
    fields = {"number": "1", "payment_id": "p1", "amount": amount, "method": "cash"}
    with pytest.raises(ValidationError):
        adapter(RecordPayment).validate_python(fields)


IDS = st.sampled_from(["p1", "p2", "p3", "p4"])
PAYMENTS = st.builds(
    RecordPayment,
    number=st.just("536365"),
    party=st.just("17850"),
    payment_id=IDS,
    amount=st.decimals("0.0001", 12, places=4),
    method=st.just("cash"),
)
REFUNDS = st.builds(RefundPayment, number=st.just("536365"), party=st.just("17850"), payment_id=IDS)


def run(commands: list[Command]) -> tuple[Invoice, list[Event]]:
    state, events = evolve_invoice(None, RECEIVED), list[Event]()
    for command in commands:
        try:
            decided = decide_invoice(command, state, GIVEN)  # type: ignore[arg-type]
        except CommandRejected:
            continue
        for event in decided:
            state = evolve_invoice(state, event)
            assert not isinstance(event, InvoiceReceived)
            assert getattr(event, "status", state.status) == state.status
        events += decided
    return state, events


@given(st.lists(st.one_of(PAYMENTS, REFUNDS), max_size=20))
def test_whatever_is_paid_and_refunded_the_sum_is_right_and_never_more_than_the_total(commands: list[Command]) -> None:
    state, events = run(commands)
    kept = sum((payment.amount for payment in state.payments.values() if not payment.refunded), Decimal(0))
    assert state.paid_total == kept
    assert Decimal(0) <= kept <= RECEIVED.total
    assert all(event.paid_total <= RECEIVED.total for event in events if isinstance(event, PaymentRecorded))


@given(st.lists(st.one_of(PAYMENTS, REFUNDS), max_size=20))
def test_commands_that_changed_something_change_nothing_when_they_come_again_at_once(commands: list[Command]) -> None:
    once, _ = run(commands)
    twice, _ = run([command for command in commands for _ in range(2)])
    assert once == twice
