"""What the processes of leads, quotes and their invoices answer."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.finance.invoice import CancelInvoice, LineItem, ReceiveInvoice, RefundPayment
from domain.message import Event
from domain.process import Action, Ask, Forget, Note, ProcessAnswered, Wait
from domain.sales.customer import CreateCustomer
from domain.sales.lead import AssignLead, ConvertLead, EnrichLead, QualifyLead, QuoteLead, ScoreLead
from domain.sales.lead_to_cash import LEAD_TO_CASH, DealAdvanced
from domain.sales.processes import LEAD_CONVERSION, LEAD_INTAKE, country_of
from domain.sales.quote import ExpireQuote, IssueQuote, VoidQuote
from domain.sales.sales_team import RecordWin, RouteLead
from tests.examples import envelope_of
from tests.examples.finance import CANCELLED, PAID_IN_PART, REJECTED
from tests.examples.moments import RECORDED_AT
from tests.examples.process import ANSWERED, ASKED, TIMER_FIRED, TIMER_SET
from tests.examples.sales import (
    ASSIGNED,
    CAPTURED,
    CONVERTED,
    DEAL_OPENED,
    DRAFT_QUOTE,
    LEAD_ROUTED,
    LOST,
    NOTIFICATION_NOTED,
    QUALIFIED,
    QUOTE_ACCEPTED,
    QUOTE_EXPIRED,
    QUOTE_ISSUED,
    QUOTE_VOIDED,
    VALID_UNTIL,
)
from tests.given_when_then import Runs

OK: dict[str, Any] = {"outcome": "accepted", "kind": None, "reason": None}


def accepted(step: str) -> ProcessAnswered:
    return replace(ANSWERED, step=step, **OK)


def refused(step: str, kind: str = "not_allowed", reason: str = "no") -> ProcessAnswered:
    return replace(ANSWERED, step=step, kind=kind, reason=reason)


# --- intake

intake = Runs(LEAD_INTAKE, "l1")
SCORE, ROUTE = Ask("score", ScoreLead(lead_id="l1")), Ask("route", RouteLead(lead_id="l1"))


def test_captured_lead_is_scored_and_routed() -> None:
    intake.when(CAPTURED).then(SCORE, ROUTE)


def test_country_that_the_address_tells_is_found_out_first() -> None:
    enrich = Ask("enrich", EnrichLead(lead_id="l1", country="DE"))
    intake.when(replace(CAPTURED, email="ann@acme.de")).then(enrich, SCORE, ROUTE)


@pytest.mark.parametrize(
    ("email", "country"),
    [
        ("ann@acme.de", "DE"),
        ("ann@acme.co.UK", "GB"),
        ("ann@acme.com", None),
        ("ann@acme.io", None),
        ("ann@de", None),
        ("ann@acme.é1", None),
        ("", None),
    ],
)
def test_country_is_told_by_the_ending_of_the_address(email: str, country: str | None) -> None:
    assert country_of(email) == country


def test_routed_lead_is_assigned_and_it_is_noted_whom_to_tell() -> None:
    intake.when(LEAD_ROUTED).then(Ask("assign", AssignLead(lead_id="l1", to="bob", reason="knows finance")))
    intake.when(ASSIGNED).then(Forget("route"), Note(NOTIFICATION_NOTED))


def test_lead_that_nobody_is_available_for_is_routed_again_later_and_later_and_at_least_daily() -> None:
    for attempt, wait in [(1, timedelta(minutes=5)), (2, timedelta(minutes=10)), (99, timedelta(days=1))]:
        asked = replace(ASKED, step="route", attempt=attempt)
        intake.given(asked).when(refused("route", "not_now")).then(Wait("route", RECORDED_AT + wait))
    intake.given(replace(TIMER_SET, name="route")).when(replace(TIMER_FIRED, name="route")).then(ROUTE)


@pytest.mark.parametrize("answer", [refused("route", "not_found"), refused("assign"), accepted("score")])
def test_lead_of_a_tenant_without_a_team_is_left_to_people(answer: ProcessAnswered) -> None:
    intake.given(replace(ASKED, step=answer.step)).when(answer).then()


@pytest.mark.parametrize("event", [LOST, CONVERTED])
def test_lead_that_is_over_is_routed_no_longer(event: Event) -> None:
    intake.when(event).then(Forget("route"))


# --- conversion

conversion = Runs(LEAD_CONVERSION, "l1")
WIN = Ask("win", RecordWin(representative_id="bob", lead_id="l1"))


def test_converted_lead_counts_for_its_winner_and_becomes_a_customer() -> None:
    customer = CreateCustomer(
        customer_id="c1",
        name="Acme",
        contact_name="Ann",
        email="ann@acme.example",
        industry="finance",
        lead_id="l1",
    )
    conversion.when(CONVERTED).then(WIN, Ask("customer", customer))
    conversion.when(replace(CONVERTED, assigned_to=None, company=None)).then(
        Ask("customer", replace(customer, name="c1"))
    )


def test_customer_that_is_known_is_not_created() -> None:
    conversion.when(replace(CONVERTED, is_new=False)).then(WIN)


def test_answers_of_a_conversion_ask_for_nothing() -> None:
    conversion.when(refused("customer")).then()


# --- lead to cash

deal = Runs(LEAD_TO_CASH, "c1:Q-q1")
OFFER = replace(DRAFT_QUOTE, lead_id=None)
OFFERED = replace(QUALIFIED, quote_id="q1", customer_id="c1")
INVOICE: dict[str, Any] = {"number": "Q-q1", "party": "c1"}
PAID = replace(PAID_IN_PART, invoice="c1:Q-q1", status="PAID")
BY_NAME = "invoice-c1:Q-q1"

FORGET = Forget("expiry")
CONVERT = Ask("convert", ConvertLead(lead_id="l1", customer_id="c1"))


def step(name: str, payment: str | None = None, failure: str = "") -> DealAdvanced:
    return DealAdvanced(step=name, payment_id=payment, failure=failure)


def undoing(failure: str, *actions: Action) -> tuple[Action, ...]:
    return (Note(step("undoing", failure=failure)), *undone(failure, *actions))


def undone(failure: str, *actions: Action) -> tuple[Action, ...]:
    return (FORGET, *actions, Ask("void_quote", VoidQuote(quote_id="q1", reason=failure)))


def refund(payment: str, reason: str) -> Ask:
    return Ask(f"refund {payment}", RefundPayment(**INVOICE, payment_id=payment, reason=reason))


def cancel(reason: str) -> Ask:
    return Ask("cancel_invoice", CancelInvoice(**INVOICE, reason=reason))


OPEN = (DEAL_OPENED,)
INVOICED = (*OPEN, step("invoiced"))
PAID_ONCE = (*INVOICED, step("part_paid", "p0"), step("paid", "p1"))


def test_offer_of_a_qualified_lead_is_drafted_and_issued() -> None:
    deal.when(OFFERED, QualifyLead(lead_id="l1", offer=OFFER)).then(Ask("draft", DRAFT_QUOTE))
    deal.when(accepted("draft")).then(Ask("issue", IssueQuote(quote_id="q1")))


def test_lead_without_an_offer_begins_nothing() -> None:
    assert LEAD_TO_CASH.route(QUALIFIED, envelope_of(QUALIFIED)) is None
    deal.when(OFFERED).then()


def test_issued_quote_is_waited_for_and_its_lead_is_quoted() -> None:
    quoted = Ask("quoted", QuoteLead(lead_id="l1", quote_id="q1"))
    deal.when(QUOTE_ISSUED).then(Note(DEAL_OPENED), Wait("expiry", VALID_UNTIL), quoted)
    of_customer = replace(QUOTE_ISSUED, lead_id=None)
    opened = Note(replace(DEAL_OPENED, lead_id=None))
    deal.when(of_customer).then(opened, Wait("expiry", VALID_UNTIL))


def test_accepted_quote_becomes_an_invoice() -> None:
    lines = (
        LineItem(product="seat", description="a year", quantity=Decimal(10), unit_price=Decimal("99.90")),
        LineItem(product="discount", quantity=Decimal("0.5"), unit_price=Decimal("-10.0001")),
    )
    invoice = ReceiveInvoice(
        **INVOICE,
        direction="out",
        issue_date=RECORDED_AT,
        due_date=RECORDED_AT + timedelta(days=14),
        lines=lines,
        currency="EUR",
        tax=Decimal("189.81"),
        country="Germany",
    )
    deal.given(*OPEN).when(QUOTE_ACCEPTED).then(FORGET, Ask("invoice", invoice))
    deal.given(*OPEN).when(accepted("invoice")).then(Note(step("invoiced")))


def test_invoice_that_is_paid_converts_the_lead() -> None:
    in_part = replace(PAID, status="PART_PAID")
    deal.given(*INVOICED).when(in_part, stream=BY_NAME).then(Note(step("part_paid", "p1")))
    deal.given(*INVOICED).when(PAID, stream=BY_NAME).then(Note(step("paid", "p1")), CONVERT)
    deal.given(*PAID_ONCE).when(accepted("convert")).then(Note(step("converted")))


def test_paid_invoice_of_a_customer_converts_nobody() -> None:
    opened = replace(DEAL_OPENED, lead_id=None)
    deal.given(opened, step("invoiced")).when(PAID, stream=BY_NAME).then(Note(step("paid", "p1")))


def test_payment_after_the_conversion_is_noted_alone() -> None:
    done = (*PAID_ONCE, step("converted"))
    deal.given(*done).when(PAID, stream=BY_NAME).then(Note(step("converted", "p1")))


def test_lead_that_became_another_customer_meanwhile_counts_as_converted() -> None:
    deal.given(*PAID_ONCE).when(refused("convert", "conflict")).then(Note(step("converted")))


# what fails


def test_refused_draft_leaves_nothing_to_undo() -> None:
    deal.when(refused("draft")).then()


def test_refused_issue_voids_the_draft() -> None:
    deal.when(refused("issue")).then(*undone("the quote could not be issued"))


@pytest.mark.parametrize("name", ["quoted", "invoice"])
def test_refusal_before_the_invoice_voids_the_quote(name: str) -> None:
    deal.given(*OPEN).when(refused(name, reason="lead l1 is lost")).then(*undoing("lead l1 is lost"))


def test_refused_conversion_refunds_every_payment_cancels_the_invoice_and_voids_the_quote() -> None:
    deal.given(*PAID_ONCE).when(refused("convert", reason="lost")).then(
        *undoing("lost", refund("p0", "lost"), refund("p1", "lost"), cancel("lost"))
    )


@pytest.mark.parametrize("event", [CANCELLED, REJECTED])
def test_invoice_that_somebody_cancels_voids_the_quote(event: Event) -> None:
    why = f"the invoice was cancelled: {event.reason}"  # type: ignore[attr-defined]
    deal.given(*INVOICED).when(event, stream=BY_NAME).then(Note(step("cancelled")), *undoing(why))


def test_what_is_undone_is_not_undone_again_by_its_own_events() -> None:
    undoing_it = (*INVOICED, step("undoing", failure="lost"))
    deal.given(*undoing_it).when(CANCELLED, stream=BY_NAME).then()
    deal.given(*undoing_it).when(QUOTE_VOIDED).then()


def test_deal_is_undone_when_its_quote_is_void() -> None:
    undoing_it = (*INVOICED, step("undoing", failure="lost"))
    deal.given(*undoing_it).when(accepted("void_quote")).then(Note(step("undone", failure="lost")))
    deal.given(*undoing_it).when(accepted("cancel_invoice")).then()


@pytest.mark.parametrize("name", ["refund p1", "cancel_invoice", "void_quote"])
def test_what_could_not_be_undone_is_tried_again_and_the_deal_is_not_undone_before(name: str) -> None:
    undoing_it = (*PAID_ONCE, step("undoing", failure="lost"), replace(ASKED, step=name, attempt=1))
    deal.given(*undoing_it).when(refused(name)).then(Wait("retry", RECORDED_AT + timedelta(minutes=2)))
    waiting = (*undoing_it, replace(TIMER_SET, name="retry"))
    deal.given(*waiting).when(accepted("void_quote")).then()
    deal.given(*waiting).when(replace(TIMER_FIRED, name="retry")).then(
        *undone("lost", refund("p0", "lost"), refund("p1", "lost"), cancel("lost"))
    )


# how it ends otherwise


def test_quote_that_is_over_expires_and_is_tried_again_where_the_clock_went_back() -> None:
    waiting = (*OPEN, replace(TIMER_SET, name="expiry"))
    deal.given(*waiting).when(replace(TIMER_FIRED, name="expiry")).then(Ask("expire", ExpireQuote(quote_id="q1")))
    deal.given(*OPEN, replace(ASKED, step="expire", attempt=1)).when(refused("expire")).then(
        Wait("expiry", RECORDED_AT + timedelta(minutes=2))
    )
    deal.given(*OPEN).when(accepted("expire")).then()
    deal.given(*OPEN).when(QUOTE_EXPIRED).then(FORGET, Note(step("expired")))


def test_quote_that_somebody_voids_is_waited_for_no_longer() -> None:
    deal.given(*OPEN).when(QUOTE_VOIDED).then(FORGET, Note(step("voided")))


@pytest.mark.parametrize("stream", ["invoice-in:c1:Q-q1", "invoice-c1:536365", "invoice-in:Q-1:Q-2"])
def test_invoice_of_another_name_is_no_deal(stream: str) -> None:
    with pytest.raises(AssertionError):
        deal.when(CANCELLED, stream=stream)


def test_invoice_of_a_name_that_no_quote_has_is_left_alone() -> None:
    deal.when(PAID, stream=BY_NAME).then()


def test_party_and_quote_are_read_from_the_name_of_the_instance() -> None:
    odd = Runs(LEAD_TO_CASH, "a%3Ab~c:Q-q%3A1")
    odd.given(DEAL_OPENED).when(refused("quoted", reason="no")).then(
        Note(step("undoing", failure="no")), FORGET, Ask("void_quote", VoidQuote(quote_id="q:1", reason="no"))
    )
