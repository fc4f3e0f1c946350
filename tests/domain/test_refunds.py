"""The rules for what is given back of a payment."""

from dataclasses import replace
from decimal import Decimal

from domain.finance.decide_invoice import INVOICE
from domain.finance.invoice import PaymentRefunded
from domain.rejection import Kind
from tests.examples.finance import (
    PAID_IN_PART,
    RECEIVED,
    RECONCILE_PAYMENT,
    RECONCILED,
    RECORD_PAYMENT,
    REFUND_PAYMENT,
    REFUNDED,
    UNRECONCILED,
)
from tests.given_when_then import Rules

invoice = Rules(INVOICE)
PAID = (RECEIVED, PAID_IN_PART)


def refunded(amount: str, left: str, status: str = "PART_PAID") -> PaymentRefunded:
    return replace(REFUNDED, amount=Decimal(amount), paid_total=Decimal(left), status=status)


def test_part_of_a_payment_is_given_back_and_then_the_rest() -> None:
    invoice.given(*PAID).when(replace(REFUND_PAYMENT, amount=Decimal("4.00"))).then(refunded("4.00", "6.00"))
    part = (*PAID, refunded("4.00", "6.00"))
    invoice.given(*part).when(replace(REFUND_PAYMENT, amount=Decimal("6.00"))).then(
        refunded("6.00", "0.00", "RECEIVED")
    )
    invoice.given(*part).when(REFUND_PAYMENT).then(refunded("6.00", "0.00", "RECEIVED"))


def test_more_than_is_left_of_a_payment_is_not_given_back() -> None:
    invoice.given(*PAID, refunded("4.00", "6.00")).when(replace(REFUND_PAYMENT, amount=Decimal("6.01"))).then_refused(
        Kind.CONFLICT, "a refund of 6.0100 is more than the 6.0000 GBP that are left of payment p1"
    )


def test_payment_that_is_given_back_in_parts_is_refunded_with_the_last_one() -> None:
    parts = (*PAID, refunded("4.00", "6.00"), refunded("6.00", "0.00", "RECEIVED"))
    invoice.given(*parts).when(REFUND_PAYMENT).then_nothing()
    invoice.given(*parts).when(replace(REFUND_PAYMENT, amount=Decimal("1.00"))).then_nothing()
    invoice.given(*parts).when(RECORD_PAYMENT).then_refused(
        Kind.CONFLICT, "payment p1 was recorded already, with 10.0000, and refunded"
    )


def test_payment_of_which_a_part_was_given_back_is_known_again() -> None:
    invoice.given(*PAID, refunded("4.00", "6.00")).when(RECORD_PAYMENT).then_nothing()


def test_bank_has_a_payment_no_more_once_all_of_it_was_given_back() -> None:
    paid = (*PAID, RECONCILED)
    ended = replace(UNRECONCILED, status="PART_PAID")
    invoice.given(*paid).when(REFUND_PAYMENT).then(ended, REFUNDED)
    part = refunded("4.00", "6.00")
    invoice.given(*paid).when(replace(REFUND_PAYMENT, amount=Decimal("4.00"))).then(part)
    invoice.given(*paid, part).when(REFUND_PAYMENT).then(ended, refunded("6.00", "0.00", "RECEIVED"))
    # the invoice may have the transaction as another payment then
    again = replace(PAID_IN_PART, payment_id="p2")
    invoice.given(*paid, ended, REFUNDED, again).when(RECONCILE_PAYMENT).then(replace(RECONCILED, payment_id="p2"))


def test_part_that_eight_decimals_do_not_hold_is_given_back_exactly() -> None:
    amount = Decimal("0.0000000001")
    event = refunded("0.00000000", "9.99999999")
    exact = replace(event, exact_amount=amount, exact_paid_total=Decimal("9.9999999999"))
    invoice.given(*PAID).when(replace(REFUND_PAYMENT, amount=amount)).then(exact)
