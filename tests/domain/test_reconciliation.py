"""What a bank's statement says is held against invoices: what a transaction may become, and what its process asks."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.finance.decide_invoice import INVOICE
from domain.finance.invoice import invoice_stream
from domain.finance.reconciliation import NOT_KNOWN, NOT_TAKEN, NOTHING_TO_LOOK_FOR, RECONCILIATION, candidates
from domain.finance.transaction import TRANSACTION
from domain.given import Given
from domain.message import Event
from domain.process import Ask, Forget, Note, ProcessAsked, Wait
from domain.rejection import Kind
from tests.examples.finance import (
    APPROVED,
    ASSIGN_TRANSACTION,
    CANCELLED,
    DISPUTED,
    FLAG_TRANSACTION,
    IGNORE_TRANSACTION,
    PAID_IN_PART,
    RECEIVED,
    RECONCILE_PAYMENT,
    RECONCILED,
    RECONCILIATION_NOTED,
    RECORD_TRANSACTION,
    REFUNDED,
    REOPEN_TRANSACTION,
    SETTLE_TRANSACTION,
    TRANSACTION_ASSIGNED,
    TRANSACTION_FLAGGED,
    TRANSACTION_IGNORED,
    TRANSACTION_RECONCILED,
    TRANSACTION_RECORDED,
    TRANSACTION_REOPENED,
    UNRECONCILED,
)
from tests.examples.moments import RECORDED_AT
from tests.examples.process import ANSWERED, ASKED, TIMER_FIRED, TIMER_SET
from tests.given_when_then import GIVEN, Rules, Runs

transaction, invoice, process = Rules(TRANSACTION), Rules(INVOICE), Runs(RECONCILIATION, "b1")
BOOKED = transaction.given(TRANSACTION_RECORDED)
NAME = "invoice 536365 of party 17850"


def paid_as(transaction_id: str | None) -> Given:
    """Return what a rule is given beside an invoice with one payment."""
    reconciled = () if transaction_id is None else (replace(RECONCILED, transaction_id=transaction_id),)
    state: Any = None
    for event in (RECEIVED, PAID_IN_PART, *reconciled):
        state = INVOICE.evolve(state, event)
    return GIVEN._replace(streams={invoice_stream("17850:536365"): state})


# --- the transaction


def test_line_of_a_statement_is_recorded_once() -> None:
    transaction.given().when(RECORD_TRANSACTION).then(TRANSACTION_RECORDED)
    BOOKED.when(RECORD_TRANSACTION).then_nothing()
    BOOKED.when(replace(RECORD_TRANSACTION, amount=Decimal("11.00"))).then_refused(
        Kind.CONFLICT, "transaction b1 was recorded already, with other content: 10.0000 GBP of 2010-12-01"
    )
    transaction.given().when(replace(RECORD_TRANSACTION, amount=Decimal(0))).then_refused(
        Kind.INVALID, "the amount is 0; nothing came in and nothing went out"
    )


def test_transaction_is_reconciled_once_an_invoice_has_it_as_a_payment() -> None:
    BOOKED.when(SETTLE_TRANSACTION, paid_as("b1")).then(TRANSACTION_RECONCILED)
    for given in (GIVEN, paid_as(None), paid_as("b2")):
        BOOKED.when(SETTLE_TRANSACTION, given).then_nothing()
    done = transaction.given(TRANSACTION_RECORDED, TRANSACTION_RECONCILED)
    done.when(SETTLE_TRANSACTION, paid_as("b1")).then_nothing()
    done.when(FLAG_TRANSACTION).then_nothing()


def test_person_says_what_a_flagged_one_is() -> None:
    BOOKED.when(FLAG_TRANSACTION).then(TRANSACTION_FLAGGED)
    flagged = transaction.given(TRANSACTION_RECORDED, TRANSACTION_FLAGGED)
    flagged.when(FLAG_TRANSACTION).then_nothing()
    flagged.when(ASSIGN_TRANSACTION).then(TRANSACTION_ASSIGNED)
    flagged.when(IGNORE_TRANSACTION).then(TRANSACTION_IGNORED)
    ignored = transaction.given(TRANSACTION_RECORDED, TRANSACTION_FLAGGED, TRANSACTION_IGNORED)
    ignored.when(IGNORE_TRANSACTION).then_nothing()
    ignored.when(FLAG_TRANSACTION).then_nothing()
    ignored.when(ASSIGN_TRANSACTION).then(TRANSACTION_ASSIGNED)
    again = transaction.given(TRANSACTION_RECORDED, TRANSACTION_FLAGGED, TRANSACTION_ASSIGNED)
    again.when(FLAG_TRANSACTION).then(TRANSACTION_FLAGGED)
    again.when(SETTLE_TRANSACTION, paid_as("b1")).then(TRANSACTION_RECONCILED)


def test_reconciled_one_is_neither_assigned_nor_ignored() -> None:
    done = transaction.given(TRANSACTION_RECORDED, TRANSACTION_RECONCILED)
    pays = "transaction b1 pays invoice 17850:536365"
    done.when(ASSIGN_TRANSACTION).then_refused(Kind.NOT_ALLOWED, f"{pays} already; refund that payment first")
    done.when(IGNORE_TRANSACTION).then_refused(Kind.NOT_ALLOWED, pays)


def test_reconciled_one_is_open_to_a_person_again_when_its_payment_was_given_back() -> None:
    done = transaction.given(TRANSACTION_RECORDED, TRANSACTION_RECONCILED)
    done.when(REOPEN_TRANSACTION).then(TRANSACTION_REOPENED)
    for before in (TRANSACTION_FLAGGED, TRANSACTION_IGNORED, TRANSACTION_ASSIGNED):
        transaction.given(TRANSACTION_RECORDED, before).when(REOPEN_TRANSACTION).then_nothing()
    reopened = transaction.given(TRANSACTION_RECORDED, TRANSACTION_RECONCILED, TRANSACTION_REOPENED)
    reopened.when(REOPEN_TRANSACTION).then_nothing()
    reopened.when(ASSIGN_TRANSACTION).then(TRANSACTION_ASSIGNED)
    reopened.when(IGNORE_TRANSACTION).then(TRANSACTION_IGNORED)


# --- the invoice


def test_recorded_payment_is_found_again_in_the_statement_once() -> None:
    paid = invoice.given(RECEIVED, PAID_IN_PART)
    paid.when(RECONCILE_PAYMENT).then(RECONCILED)
    paid.when(replace(RECONCILE_PAYMENT, exact=True)).then(RECONCILED)
    done = invoice.given(RECEIVED, PAID_IN_PART, RECONCILED)
    done.when(RECONCILE_PAYMENT).then_nothing()
    other = replace(RECONCILE_PAYMENT, transaction_id="b2", exact=True)
    done.when(other).then_refused(
        Kind.CONFLICT,
        f"{NAME} has 6.32495000 GBP open, and no payment of 10.0000 that the bank does not have yet",
    )


def test_payment_that_nobody_recorded_is_recorded_by_the_statement() -> None:
    recorded = replace(PAID_IN_PART, payment_id="b1", reference="GB-1 536365")
    reconciled = replace(RECONCILED, payment_id="b1")
    invoice.given(RECEIVED).when(RECONCILE_PAYMENT).then(recorded, reconciled)
    # a payment of which a part was given back is another amount
    back = replace(REFUNDED, amount=Decimal(4), paid_total=Decimal(6), status="PART_PAID")
    invoice.given(RECEIVED, PAID_IN_PART, back).when(RECONCILE_PAYMENT).then(
        replace(recorded, paid_total=Decimal("16.00")), reconciled
    )


def test_amount_that_was_found_by_a_word_of_the_reference_must_be_all_that_is_open() -> None:
    invoice.given(RECEIVED).when(replace(RECONCILE_PAYMENT, exact=True)).then_refused(
        Kind.CONFLICT,
        f"{NAME} has 16.32495000 GBP open, and no payment of 10.0000 that the bank does not have yet",
    )
    whole = replace(RECEIVED, total=Decimal("10.00"))
    recorded = replace(PAID_IN_PART, payment_id="b1", reference="GB-1 536365", status="PAID")
    invoice.given(whole).when(replace(RECONCILE_PAYMENT, exact=True)).then(
        recorded, replace(RECONCILED, payment_id="b1", status="PAID")
    )


@pytest.mark.parametrize(
    ("history", "change", "kind", "reason"),
    [
        ((), {}, Kind.NOT_FOUND, f"{NAME} is not known"),
        ((RECEIVED,), {"currency": "EUR"}, Kind.CONFLICT, f"transaction b1 is in EUR, but {NAME} in GBP"),
        ((RECEIVED,), {"came_in": False}, Kind.CONFLICT, f"transaction b1 went out, which does not pay {NAME}"),
        (
            (replace(RECEIVED, direction="in"),),
            {},
            Kind.CONFLICT,
            f"transaction b1 came in, which does not pay {NAME}",
        ),
        (
            (RECEIVED,),
            {"amount": Decimal(20)},
            Kind.CONFLICT,
            f"payment b1 of 20.0000 is more than the 16.32495000 GBP still open on {NAME}",
        ),
        ((RECEIVED, CANCELLED), {}, Kind.NOT_ALLOWED, f"{NAME} is CANCELLED"),
        ((RECEIVED, DISPUTED), {}, Kind.NOT_ALLOWED, f"{NAME} is DISPUTED; approve it to end the dispute"),
    ],
)
def test_what_does_not_pay_the_invoice_is_refused(
    history: tuple[Event, ...], change: Any, kind: Kind, reason: str
) -> None:
    invoice.given(*history).when(replace(RECONCILE_PAYMENT, **change)).then_refused(kind, reason)


def test_incoming_invoice_is_paid_by_what_went_out_once_it_is_approved() -> None:
    incoming = replace(RECEIVED, direction="in")
    pay = replace(RECONCILE_PAYMENT, direction="in", came_in=False)
    invoice.given(incoming).when(pay).then_refused(
        Kind.NOT_ALLOWED, "incoming invoice 536365 of party 17850 is RECEIVED; approve it first"
    )
    recorded = replace(PAID_IN_PART, payment_id="b1", invoice="in:17850:536365", reference="GB-1 536365")
    invoice.given(incoming, APPROVED).when(pay).then(
        recorded, replace(RECONCILED, payment_id="b1", invoice="in:17850:536365")
    )


# --- the process

TRY = replace(RECONCILE_PAYMENT, exact=True)
NOTED = process.given(RECONCILIATION_NOTED)


def asked(step: str, attempt: int = 1) -> ProcessAsked:
    return replace(ASKED, step=step, attempt=attempt)


def answered(step: str, kind: str | None = None, reason: str = "no") -> Any:
    return replace(ANSWERED, step=step, kind=kind, reason=reason)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, ["17850:GB-1", "17850:536365"]),
        ({"number": "536365"}, ["17850:536365"]),
        ({"amount": Decimal(-10), "number": "7"}, ["in:17850:7"]),
        ({"reference": "thank you"}, []),
        ({"reference": ""}, []),
        ({"reference": "Rg. 2026/7, 2026/7. and no-9/"}, ["17850:2026%2F7", "17850:no-9"]),
        ({"reference": "536365", "party": ""}, [":536365"]),
        ({"reference": " ".join(str(n) for n in range(50))}, [f"17850:{n}" for n in range(20)]),
    ],
)
def test_invoices_are_looked_for_by_what_the_line_says(change: Any, found: list[str]) -> None:
    assert candidates(replace(TRANSACTION_RECORDED, **change)) == found


def test_one_invoice_after_the_other_is_tried_until_one_takes_it() -> None:
    process.when(TRANSACTION_RECORDED).then(Note(RECONCILIATION_NOTED), Ask("reconcile", replace(TRY, number="GB-1")))
    no = answered("reconcile", "not_found")
    NOTED.when(no).then(Ask("reconcile", TRY))
    process.given(RECONCILIATION_NOTED, no).when(answered("reconcile")).then(Ask("settle", SETTLE_TRANSACTION))
    NOTED.when(answered("settle")).then()


def test_transaction_that_no_invoice_takes_is_flagged_and_says_why() -> None:
    unknown = answered("reconcile", "not_found")
    process.given(RECONCILIATION_NOTED, unknown).when(unknown).then(
        Ask(
            "flag",
            replace(
                FLAG_TRANSACTION,
                score=NOT_KNOWN,
                reason="none of these invoices is known: 17850:GB-1, 17850:536365",
            ),
        )
    )
    not_taken = answered("reconcile", "conflict", "it has 3 open")
    process.given(RECONCILIATION_NOTED, unknown).when(not_taken).then(
        Ask("flag", replace(FLAG_TRANSACTION, score=NOT_TAKEN, reason="it has 3 open"))
    )
    bare = replace(TRANSACTION_RECORDED, reference="")
    process.when(bare).then(
        Note(replace(RECONCILIATION_NOTED, invoices=(), reference="")),
        Ask(
            "flag",
            replace(FLAG_TRANSACTION, score=NOTHING_TO_LOOK_FOR, reason="it says no number of an invoice"),
        ),
    )
    NOTED.when(answered("flag")).then()


def test_invoice_that_a_person_names_is_tried_and_may_be_paid_in_part() -> None:
    noted = replace(RECONCILIATION_NOTED, invoices=("17850:536365",), exact=False)
    process.given(RECONCILIATION_NOTED).when(TRANSACTION_ASSIGNED).then(
        Note(noted), Ask("reconcile", replace(TRY, exact=False))
    )


def test_what_cannot_be_read_now_is_tried_again_later() -> None:
    stuck = answered("reconcile", "not_now")
    trying = process.given(RECONCILIATION_NOTED, asked("reconcile"))
    trying.when(stuck).then(Wait("again", RECORDED_AT + timedelta(minutes=1)))
    again = process.given(RECONCILIATION_NOTED, asked("reconcile"), replace(TIMER_SET, name="again"))
    again.when(replace(TIMER_FIRED, name="again")).then(Ask("reconcile", replace(TRY, number="GB-1")))
    again.when(TRANSACTION_IGNORED).then(Forget("again"))
    for step in ("settle", "flag"):
        process.given(RECONCILIATION_NOTED, asked(step)).when(answered(step, "not_allowed")).then(
            Wait("again", RECORDED_AT + timedelta(minutes=1))
        )


def test_payment_that_was_given_back_reopens_the_transaction_until_it_can_be() -> None:
    again = Ask("reopen", REOPEN_TRANSACTION)
    NOTED.when(UNRECONCILED).then(again)
    NOTED.given(RECONCILIATION_NOTED, asked("reopen")).when(answered("reopen", "not_now")).then(
        Wait("reopen", RECORDED_AT + timedelta(minutes=1))
    )
    NOTED.given(RECONCILIATION_NOTED, asked("reopen")).when(answered("reopen")).then()
    waits = replace(TIMER_SET, name="reopen")
    NOTED.given(RECONCILIATION_NOTED, waits).when(replace(TIMER_FIRED, name="reopen")).then(again)
