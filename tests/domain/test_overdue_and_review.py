"""The rules for invoices that are overdue, and for those that approve themselves; what their processes answer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from domain.finance.approval_limits import APPROVAL_LIMITS, APPROVAL_LIMITS_STREAM, ApprovalLimits
from domain.finance.decide_invoice import INVOICE
from domain.finance.invoice import MarkOverdue, ReviewInvoice, named
from domain.finance.processes import INVOICE_APPROVAL, INVOICE_OVERDUE
from domain.message import Event
from domain.process import Ask, Forget, Wait
from domain.rejection import Kind
from tests.examples import envelope_of
from tests.examples.finance import (
    APPROVAL_AWAITED,
    APPROVAL_LIMIT_SET,
    APPROVE_INVOICE,
    APPROVED,
    CANCELLED,
    CATEGORISE_INVOICE,
    CATEGORISED,
    CORRECTED,
    DISPUTED,
    MARK_OVERDUE,
    OVERDUE,
    PAID_IN_PART,
    RECEIVED,
    RECORD_PAYMENT,
    REFUNDED,
    REJECT_INVOICE,
    REJECTED,
    REVIEW_INVOICE,
    SET_APPROVAL_LIMIT,
)
from tests.examples.moments import RECORDED_AT
from tests.examples.process import ANSWERED, ASKED, TIMER_FIRED, TIMER_FORGOTTEN, TIMER_SET
from tests.given_when_then import GIVEN, Rules, Runs

invoice = Rules(INVOICE)
NAME = "invoice 536365 of party 17850"
DUE = datetime(2010, 12, 31, tzinfo=UTC)
LATE = GIVEN._replace(now=DUE + timedelta(days=1))
IN_TIME = GIVEN._replace(now=DUE + timedelta(days=1) - timedelta(microseconds=1))
PAID = replace(PAID_IN_PART, amount=RECEIVED.total, paid_total=RECEIVED.total, status="PAID")

# --- overdue


def test_invoice_is_overdue_a_day_after_its_due_date_and_not_before() -> None:
    invoice.given(RECEIVED).when(MARK_OVERDUE, LATE).then(OVERDUE)
    invoice.given(RECEIVED).when(MARK_OVERDUE, IN_TIME).then_refused(
        Kind.NOT_ALLOWED, f"{NAME} may be paid until 2011-01-01T00:00:00+00:00"
    )
    invoice.given(replace(RECEIVED, due_date=None)).when(MARK_OVERDUE, LATE).then_refused(
        Kind.NOT_ALLOWED, f"{NAME} has no due date"
    )


@pytest.mark.parametrize("after", [(OVERDUE,), (PAID,), (CANCELLED,), (REJECTED,)])
def test_invoice_that_is_overdue_paid_or_closed_is_not_marked(after: tuple[Event, ...]) -> None:
    invoice.given(RECEIVED, *after).when(MARK_OVERDUE, LATE).then_nothing()


def test_credit_note_is_never_overdue() -> None:
    invoice.given(replace(RECEIVED, kind="credit_note")).when(MARK_OVERDUE, LATE).then_nothing()


def test_overdue_invoice_stays_so_until_it_is_paid_in_full() -> None:
    invoice.given(RECEIVED, OVERDUE).when(RECORD_PAYMENT).then(replace(PAID_IN_PART, status="OVERDUE"))
    rest = replace(RECORD_PAYMENT, amount=RECEIVED.total)
    invoice.given(RECEIVED, OVERDUE).when(rest).then(PAID)


def test_dispute_and_a_missing_approval_hide_that_an_invoice_is_overdue() -> None:
    invoice.given(RECEIVED, DISPUTED).when(MARK_OVERDUE, LATE).then(replace(OVERDUE, status="DISPUTED"))
    incoming = replace(RECEIVED, direction="in")
    invoice.given(incoming).when(MARK_OVERDUE, LATE).then(replace(OVERDUE, status="RECEIVED"))
    invoice.given(incoming, OVERDUE).when(APPROVE_INVOICE).then(replace(APPROVED, status="OVERDUE"))


def test_corrected_invoice_is_overdue_by_its_new_date() -> None:
    later = replace(CORRECTED, due_date=DUE + timedelta(days=30))
    invoice.given(RECEIVED, OVERDUE, later).when(MARK_OVERDUE, LATE).then_refused(
        Kind.NOT_ALLOWED, f"{NAME} may be paid until 2011-01-31T00:00:00+00:00"
    )


overdue = Runs(INVOICE_OVERDUE, "17850:536365")


def test_invoice_with_a_due_date_is_waited_for() -> None:
    overdue.when(RECEIVED).then(Wait("due", DUE + timedelta(days=1)))
    overdue.when(replace(CORRECTED, due_date=DUE)).then(Wait("due", DUE + timedelta(days=1)))
    overdue.given(replace(TIMER_SET, name="due")).when(CORRECTED).then(Forget("due"))
    overdue.given(replace(TIMER_SET, name="due")).when(replace(TIMER_FIRED, name="due")).then(
        Ask("mark", MarkOverdue(number="536365", party="17850"))
    )
    overdue.when(ANSWERED).then()


def test_invoice_whose_payment_is_given_back_after_its_time_is_marked() -> None:
    mark = Ask("mark", MarkOverdue(number="536365", party="17850"))
    late = replace(TIMER_SET, name="due", due_at=RECORDED_AT)
    overdue.given(late, replace(TIMER_FIRED, name="due")).when(REFUNDED).then(mark)
    overdue.given(replace(late, due_at=RECORDED_AT + timedelta(seconds=1))).when(REFUNDED).then()
    overdue.given(late, replace(TIMER_FORGOTTEN, name="due")).when(REFUNDED).then()
    overdue.when(REFUNDED).then()


def test_invoice_that_could_not_be_marked_is_looked_at_again() -> None:
    refused = replace(ANSWERED, step="mark", kind="not_allowed", reason="tenant is SUSPENDED")
    fired = (replace(TIMER_SET, name="due"), replace(TIMER_FIRED, name="due"))
    first = replace(ASKED, step="mark", attempt=1)
    overdue.given(*fired, first).when(refused).then(Wait("due", RECORDED_AT + timedelta(minutes=2)))
    third = replace(ASKED, step="mark", attempt=3)
    overdue.given(*fired, third).when(refused).then(Wait("due", RECORDED_AT + timedelta(minutes=8)))
    overdue.given(*fired, first).when(replace(refused, kind=None, reason=None)).then()
    # it has another due date by now
    overdue.given(*fired, first, replace(TIMER_SET, name="due")).when(refused).then()


def test_due_date_that_is_taken_away_after_its_time_is_forgotten() -> None:
    fired = (replace(TIMER_SET, name="due"), replace(TIMER_FIRED, name="due"))
    overdue.given(*fired).when(CORRECTED).then(Wait("due", RECORDED_AT), Forget("due"))
    gone = (*fired, replace(TIMER_SET, name="due"), replace(TIMER_FORGOTTEN, name="due"))
    overdue.given(*gone).when(REFUNDED).then()


@pytest.mark.parametrize("event", [replace(RECEIVED, due_date=None), replace(RECEIVED, kind="credit_note")])
def test_what_is_never_due_is_no_instance(event: Event) -> None:
    assert INVOICE_OVERDUE.route(event, envelope_of(event)) is None


# --- review

INCOMING = replace(RECEIVED, direction="in")
WITHIN = GIVEN._replace(streams={APPROVAL_LIMITS_STREAM: ApprovalLimits(by_currency={"GBP": RECEIVED.total})})
BEYOND = GIVEN._replace(streams={APPROVAL_LIMITS_STREAM: ApprovalLimits(by_currency={"GBP": Decimal("10.00")})})
OTHER = GIVEN._replace(streams={APPROVAL_LIMITS_STREAM: ApprovalLimits(by_currency={"EUR": Decimal(99)})})


def test_incoming_invoice_within_the_limit_approves_itself() -> None:
    approved = replace(APPROVED, note="within the limit of 16.32495000 GBP")
    invoice.given(INCOMING).when(REVIEW_INVOICE, WITHIN).then(approved)
    invoice.given(INCOMING, CATEGORISED).when(REVIEW_INVOICE, WITHIN).then(approved)


def test_incoming_invoice_beyond_the_limit_waits_for_a_person_who_approves_or_rejects_it() -> None:
    invoice.given(INCOMING).when(REVIEW_INVOICE, BEYOND).then(APPROVAL_AWAITED)
    waiting = invoice.given(INCOMING, APPROVAL_AWAITED)
    waiting.when(REVIEW_INVOICE, BEYOND).then_nothing()
    waiting.when(CATEGORISE_INVOICE).then(replace(CATEGORISED, status="PENDING"))
    waiting.when(RECORD_PAYMENT).then_refused(Kind.NOT_ALLOWED, f"{NAME} is PENDING; approve it first")
    waiting.when(APPROVE_INVOICE).then(APPROVED)
    waiting.when(REJECT_INVOICE).then(REJECTED)


@pytest.mark.parametrize("given", [GIVEN, OTHER])
def test_without_a_limit_for_its_currency_an_invoice_stays_as_it_is(given: object) -> None:
    invoice.given(INCOMING).when(REVIEW_INVOICE, given).then_nothing()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "before", [(APPROVED,), (DISPUTED,), (replace(CORRECTED, direction="in", kind="credit_note"),)]
)
def test_what_is_approved_disputed_or_no_invoice_is_not_reviewed(before: tuple[Event, ...]) -> None:
    invoice.given(INCOMING, *before).when(REVIEW_INVOICE, WITHIN).then_nothing()


def test_invoice_over_less_than_nothing_waits_for_a_person() -> None:
    below = replace(INCOMING, total=Decimal(-1))
    invoice.given(below).when(REVIEW_INVOICE, BEYOND).then(APPROVAL_AWAITED)


def test_closed_invoice_is_not_reviewed() -> None:
    invoice.given(INCOMING, CANCELLED).when(REVIEW_INVOICE, WITHIN).then_refused(
        Kind.NOT_ALLOWED, f"incoming {NAME} is CANCELLED"
    )


def test_correction_takes_a_waiting_invoice_back_to_be_reviewed_anew() -> None:
    smaller = replace(CORRECTED, direction="in", total=Decimal(1), exact_total=None)
    invoice.given(INCOMING, APPROVAL_AWAITED, smaller).when(REVIEW_INVOICE, BEYOND).then(
        replace(APPROVED, note="within the limit of 10.0000 GBP")
    )


approval = Runs(INVOICE_APPROVAL, "in:17850:536365")


def test_incoming_invoice_is_reviewed_when_it_comes_and_when_it_is_corrected() -> None:
    review = Ask("review", ReviewInvoice(number="536365", party="17850", direction="in"))
    for event in (INCOMING, replace(CORRECTED, direction="in")):
        approval.when(event, stream="invoice-in:17850:536365").then(review)
    approval.when(ANSWERED).then()
    assert INVOICE_APPROVAL.route(RECEIVED, envelope_of(RECEIVED)) is None


def test_name_of_an_invoice_is_read_back() -> None:
    assert named("in:a%3Ab:IN%2F1%20%C3%A4") == {"number": "IN/1 ä", "party": "a:b", "direction": "in"}
    assert named(":1") == {"number": "1", "party": "", "direction": None}


limits = Rules(APPROVAL_LIMITS)


def test_limit_is_set_once_changed_and_taken_away() -> None:
    limits.given().when(SET_APPROVAL_LIMIT).then(APPROVAL_LIMIT_SET)
    limits.given(APPROVAL_LIMIT_SET).when(SET_APPROVAL_LIMIT).then_nothing()
    gone = replace(APPROVAL_LIMIT_SET, limit=None)
    limits.given(APPROVAL_LIMIT_SET).when(replace(SET_APPROVAL_LIMIT, limit=None)).then(gone)
    limits.given(APPROVAL_LIMIT_SET, gone).when(SET_APPROVAL_LIMIT).then(APPROVAL_LIMIT_SET)
