"""The rules for quotes."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.message import Command, Event
from domain.rejection import Kind
from domain.sales.quote import QUOTE, DraftQuote, QuoteDrafted, QuoteItem, decide_quote
from schemas.envelope import Actor, ActorType
from tests.examples.moments import RECORDED_AT
from tests.examples.sales import (
    ACCEPT_QUOTE,
    DRAFT_QUOTE,
    EXPIRE_QUOTE,
    ISSUE_QUOTE,
    QUOTE_ACCEPTED,
    QUOTE_DRAFTED,
    QUOTE_EXPIRED,
    QUOTE_ISSUED,
    QUOTE_VOIDED,
    VALID_UNTIL,
    VOID_QUOTE,
)
from tests.given_when_then import GIVEN, Rules

quote = Rules(QUOTE)

DRAFT = (QUOTE_DRAFTED,)
ISSUED = (QUOTE_DRAFTED, QUOTE_ISSUED)
ACCEPTED = (*ISSUED, QUOTE_ACCEPTED)
VOIDED = (*DRAFT, QUOTE_VOIDED)
EXPIRED = (*ISSUED, QUOTE_EXPIRED)

JUST_IN_TIME = GIVEN._replace(now=VALID_UNTIL - timedelta(microseconds=1))
TOO_LATE = GIVEN._replace(now=VALID_UNTIL)
BY_THE_PROCESS = GIVEN._replace(actor=Actor(ActorType.SYSTEM, "lead_to_cash"))
UNTIL = "2026-03-01T00:00:00+00:00"


def test_quote_is_drafted_with_its_exact_total() -> None:
    quote.given().when(DRAFT_QUOTE).then(QUOTE_DRAFTED)


def test_drafting_twice_is_refused() -> None:
    quote.given(*DRAFT).when(DRAFT_QUOTE).then_refused(Kind.CONFLICT, "quote q1 is drafted already")


def test_quote_is_valid_for_thirty_days_where_nobody_says_it() -> None:
    quote.given().when(replace(DRAFT_QUOTE, valid_until=None)).then(
        replace(QUOTE_DRAFTED, valid_until=RECORDED_AT + timedelta(days=30))
    )


def test_quote_for_nobody_is_refused_and_one_for_a_lead_or_a_customer_is_not() -> None:
    quote.given().when(replace(DRAFT_QUOTE, lead_id=None, customer_id=None)).then_refused(
        Kind.INVALID, "quote q1 is for nobody; say lead_id or customer_id"
    )
    quote.given().when(replace(DRAFT_QUOTE, lead_id=None)).then(replace(QUOTE_DRAFTED, lead_id=None))
    quote.given().when(replace(DRAFT_QUOTE, customer_id=None)).then(replace(QUOTE_DRAFTED, customer_id=None))


def test_quote_that_is_over_before_it_begins_is_refused() -> None:
    quote.given().when(replace(DRAFT_QUOTE, valid_until=RECORDED_AT)).then_refused(
        Kind.INVALID, f"valid_until must be later than now, {RECORDED_AT.isoformat()}"
    )


@pytest.mark.parametrize(("price", "total"), [("0", "0.00"), ("-1", "-1")])
def test_quote_over_nothing_is_refused(price: str, total: str) -> None:
    line = QuoteItem(product="p", quantity=Decimal(1), unit_price=Decimal(price))
    tax = Decimal("0.00") if price == "0" else Decimal(0)
    quote.given().when(replace(DRAFT_QUOTE, lines=(line,), tax=tax)).then_refused(
        Kind.INVALID, f"quote q1 comes to {total}; a total is above zero and has at most 30 digits"
    )


def test_prices_are_multiplied_without_rounding() -> None:
    line = QuoteItem(product="p", quantity=Decimal("0.3333"), unit_price=Decimal("0.3333"))
    command = DraftQuote(quote_id="q1", lead_id="l1", lines=(line,), currency="EUR")
    (event,) = decide_quote(command, None, GIVEN)
    assert isinstance(event, QuoteDrafted)
    assert event == replace(event, net=Decimal("0.11108889"), total=Decimal("0.11108889"))


# --- every transition, allowed and refused


def test_draft_is_issued_once() -> None:
    quote.given(*DRAFT).when(ISSUE_QUOTE, JUST_IN_TIME).then(QUOTE_ISSUED)
    quote.given(*ISSUED).when(ISSUE_QUOTE).then_nothing()


def test_issued_quote_is_accepted_once() -> None:
    quote.given(*ISSUED).when(ACCEPT_QUOTE, JUST_IN_TIME).then(QUOTE_ACCEPTED)
    quote.given(*ACCEPTED).when(ACCEPT_QUOTE, TOO_LATE).then_nothing()


@pytest.mark.parametrize(("before", "command"), [(DRAFT, ISSUE_QUOTE), (ISSUED, ACCEPT_QUOTE)])
def test_quote_that_is_over_is_neither_issued_nor_accepted_also_before_it_is_ended(
    before: tuple[Event, ...], command: Command
) -> None:
    quote.given(*before).when(command, TOO_LATE).then_refused(
        Kind.NOT_ALLOWED, f"quote q1 was valid until {UNTIL}; draft another one"
    )


@pytest.mark.parametrize("before", [DRAFT, ISSUED])
def test_draft_or_issued_quote_is_voided_once(before: tuple[Event, ...]) -> None:
    quote.given(*before).when(VOID_QUOTE).then(QUOTE_VOIDED)
    quote.given(*before, QUOTE_VOIDED).when(VOID_QUOTE).then_nothing()


def test_accepted_quote_is_voided_by_its_process_alone() -> None:
    quote.given(*ACCEPTED).when(VOID_QUOTE, BY_THE_PROCESS).then(QUOTE_VOIDED)
    quote.given(*ACCEPTED).when(VOID_QUOTE).then_refused(
        Kind.NOT_ALLOWED, "quote q1 is ACCEPTED; cancel its invoice Q-q1 instead"
    )
    someone = GIVEN._replace(actor=Actor(ActorType.USER, "lead_to_cash"))
    quote.given(*ACCEPTED).when(VOID_QUOTE, someone).then_refused(
        Kind.NOT_ALLOWED, "quote q1 is ACCEPTED; cancel its invoice Q-q1 instead"
    )


def test_issued_quote_expires_when_it_is_over_and_not_before() -> None:
    quote.given(*ISSUED).when(EXPIRE_QUOTE, TOO_LATE).then(QUOTE_EXPIRED)
    quote.given(*ISSUED).when(EXPIRE_QUOTE, JUST_IN_TIME).then_refused(
        Kind.NOT_ALLOWED, f"quote q1 is valid until {UNTIL}"
    )


@pytest.mark.parametrize("before", [ACCEPTED, VOIDED, EXPIRED])
def test_quote_that_is_no_longer_open_does_not_expire(before: tuple[Event, ...]) -> None:
    quote.given(*before).when(EXPIRE_QUOTE, TOO_LATE).then_nothing()


@pytest.mark.parametrize(
    ("before", "status", "commands"),
    [
        (DRAFT, "DRAFT", (ACCEPT_QUOTE, EXPIRE_QUOTE)),
        (ACCEPTED, "ACCEPTED", (ISSUE_QUOTE,)),
        (VOIDED, "VOIDED", (ISSUE_QUOTE, ACCEPT_QUOTE)),
        (EXPIRED, "EXPIRED", (ISSUE_QUOTE, ACCEPT_QUOTE, VOID_QUOTE)),
    ],
)
def test_any_other_transition_is_refused(before: tuple[Event, ...], status: str, commands: tuple[Command, ...]) -> None:
    for command in commands:
        quote.given(*before).when(command).then_refused(Kind.NOT_ALLOWED, f"quote q1 is {status}")
