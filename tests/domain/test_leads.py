"""The rules for leads."""

from dataclasses import replace
from typing import Any

import pytest

from domain.message import Command, Event
from domain.rejection import Kind
from domain.sales.customer import Customer, customer_stream
from domain.sales.decide_lead import LEAD, score
from domain.sales.lead import LogActivity, QualifyLead
from tests.examples.sales import (
    ACTIVITY_LOGGED,
    ASSIGN_LEAD,
    ASSIGNED,
    CAPTURE_LEAD,
    CAPTURED,
    CONTACT,
    CONTACTED,
    CONVERT_LEAD,
    CONVERTED,
    DRAFT_QUOTE,
    ENRICH_LEAD,
    ENRICHED,
    LOG_ACTIVITY,
    LOSE_LEAD,
    LOST,
    QUALIFIED,
    QUALIFY_LEAD,
    QUOTE_LEAD,
    QUOTED,
    SCORE_LEAD,
    SCORED,
)
from tests.given_when_then import GIVEN, Rules

lead = Rules(LEAD)


def test_new_lead_is_captured() -> None:
    lead.given().when(CAPTURE_LEAD).then(CAPTURED)


def test_capturing_twice_is_refused() -> None:
    lead.given(CAPTURED).when(CAPTURE_LEAD).then_refused(Kind.CONFLICT, "lead l1 is captured already")


def test_captured_lead_is_scored_and_the_same_score_records_nothing() -> None:
    lead.given(CAPTURED).when(SCORE_LEAD).then(SCORED)
    lead.given(CAPTURED, SCORED).when(SCORE_LEAD).then_nothing()


def test_captured_lead_is_assigned_and_assigning_it_again_records_nothing() -> None:
    lead.given(CAPTURED).when(ASSIGN_LEAD).then(ASSIGNED)
    lead.given(CAPTURED, ASSIGNED).when(ASSIGN_LEAD).then_nothing()


# --- what is found out later


def test_what_is_found_out_is_recorded_once_and_what_was_known_is_left_out() -> None:
    asked = replace(ENRICH_LEAD, company="Acme", job_title="CFO")
    lead.given(CAPTURED).when(asked).then(replace(ENRICHED, job_title="CFO"))
    lead.given(CAPTURED, ENRICHED).when(ENRICH_LEAD).then_nothing()


def test_enriched_lead_that_has_a_score_is_scored_anew_with_the_similarity_it_had() -> None:
    cold = replace(CAPTURED, source="walk-in", email=None, industry=None, company_size=None)
    before = score(cold, 9)
    after = replace(before, score=49, tier="warm", factors={**before.factors, "phone": 10})
    phone = replace(ENRICHED, phone="1", company_size=None, country=None)
    lead.given(cold, before).when(replace(ENRICH_LEAD, phone="1", company_size=None, country=None)).then(phone, after)


def test_enriched_lead_whose_score_stays_the_same_is_not_scored_again() -> None:
    country = replace(ENRICH_LEAD, phone=None, company_size=None)
    lead.given(CAPTURED, SCORED).when(country).then(replace(ENRICHED, phone=None, company_size=None))


# --- from new to converted


def test_first_activity_that_is_no_note_is_the_contact() -> None:
    lead.given(CAPTURED).when(LOG_ACTIVITY).then(ACTIVITY_LOGGED, CONTACTED)
    lead.given(CAPTURED, ACTIVITY_LOGGED, CONTACTED).when(LOG_ACTIVITY).then(ACTIVITY_LOGGED)
    note = LogActivity(lead_id="l1", kind="note", note="asked for ten seats")
    lead.given(CAPTURED).when(note).then(replace(ACTIVITY_LOGGED, kind="note"))


@pytest.mark.parametrize("before", [(CAPTURED,), (CAPTURED, CONTACTED)])
def test_new_or_contacted_lead_is_qualified_once(before: tuple[Event, ...]) -> None:
    lead.given(*before).when(QUALIFY_LEAD).then(QUALIFIED)
    lead.given(*before, QUALIFIED).when(QUALIFY_LEAD).then_nothing()
    lead.given(*before, QUALIFIED, QUOTED).when(QUALIFY_LEAD).then_nothing()


def test_offer_that_comes_after_the_qualification_is_refused_and_so_is_one_for_another_lead() -> None:
    with_offer = QualifyLead(lead_id="l1", offer=DRAFT_QUOTE)
    lead.given(CAPTURED).when(with_offer).then(replace(QUALIFIED, note="", quote_id="q1", customer_id="c1"))
    lead.given(CAPTURED, QUALIFIED).when(with_offer).then_refused(
        Kind.CONFLICT, "lead l1 is qualified already; draft its quote with DraftQuote"
    )
    lead.given(CAPTURED).when(replace(with_offer, offer=replace(DRAFT_QUOTE, lead_id="l2"))).then_refused(
        Kind.INVALID, "the offer is for lead l2; leave its lead_id out"
    )


def test_qualified_lead_is_quoted_and_quoted_again_with_another_quote() -> None:
    lead.given(CAPTURED, QUALIFIED).when(QUOTE_LEAD).then(QUOTED)
    lead.given(CAPTURED, QUALIFIED, QUOTED).when(QUOTE_LEAD).then_nothing()
    lead.given(CAPTURED, QUALIFIED, QUOTED).when(replace(QUOTE_LEAD, quote_id="q2")).then(
        replace(QUOTED, quote_id="q2")
    )


@pytest.mark.parametrize("before", [(), (QUOTED,)])
def test_qualified_or_quoted_lead_is_converted_once(before: tuple[Event, ...]) -> None:
    qualified = (CAPTURED, ASSIGNED, QUALIFIED, *before)
    lead.given(*qualified).when(CONVERT_LEAD).then(CONVERTED)
    lead.given(*qualified, CONVERTED).when(CONVERT_LEAD).then_nothing()
    lead.given(*qualified, CONVERTED).when(replace(CONVERT_LEAD, customer_id="c2")).then_refused(
        Kind.CONFLICT, "lead l1 is converted already, into customer c1"
    )


def test_lead_becomes_a_customer_that_is_there_already() -> None:
    there = GIVEN._replace(streams={customer_stream("c1"): Customer(description={"name": "Acme"})})
    lead.given(CAPTURED, QUALIFIED).when(CONVERT_LEAD, there).then(replace(CONVERTED, is_new=False, assigned_to=None))


def test_converted_lead_tells_the_customer_what_was_found_out() -> None:
    lead.given(CAPTURED, ENRICHED, QUALIFIED).when(CONVERT_LEAD).then(
        replace(CONVERTED, assigned_to=None, phone="+49 30 1234", country="DE")
    )


@pytest.mark.parametrize("command", [QUOTE_LEAD, CONVERT_LEAD])
@pytest.mark.parametrize(("before", "status"), [((), "new"), ((CONTACTED,), "contacted")])
def test_lead_that_is_not_qualified_is_neither_quoted_nor_converted(
    command: Command, before: tuple[Event, ...], status: str
) -> None:
    lead.given(CAPTURED, *before).when(command).then_refused(Kind.NOT_ALLOWED, f"lead l1 is {status}; qualify it first")


@pytest.mark.parametrize("before", [(), (CONTACTED,), (QUALIFIED,), (QUALIFIED, QUOTED)])
def test_lead_is_lost_once(before: tuple[Event, ...]) -> None:
    lead.given(CAPTURED, *before).when(LOSE_LEAD).then(LOST)
    lead.given(CAPTURED, *before, LOST).when(LOSE_LEAD).then_nothing()


GOES_ON = (ENRICH_LEAD, SCORE_LEAD, ASSIGN_LEAD, LOG_ACTIVITY, QUALIFY_LEAD, QUOTE_LEAD)


@pytest.mark.parametrize("command", [*GOES_ON, CONVERT_LEAD])
def test_lost_lead_is_left_alone(command: Command) -> None:
    lead.given(CAPTURED, QUALIFIED, LOST).when(command).then_refused(Kind.NOT_ALLOWED, "lead l1 is lost")


@pytest.mark.parametrize("command", [*GOES_ON, LOSE_LEAD])
def test_converted_lead_is_left_alone(command: Command) -> None:
    lead.given(CAPTURED, QUALIFIED, CONVERTED).when(command).then_refused(Kind.NOT_ALLOWED, "lead l1 is converted")


# --- the score


@pytest.mark.parametrize(("similarity", "points", "tier"), [(9, 39, "cold"), (10, 40, "warm")])
def test_tier_follows_from_the_points(similarity: int, points: int, tier: str) -> None:
    bare = replace(CAPTURED, source="walk-in", email=None, industry=None, company_size=None)
    assert score(bare, similarity) == replace(SCORED, score=points, tier=tier, factors=score(bare, similarity).factors)


NOTHING: dict[str, Any] = dict.fromkeys(CONTACT) | {"source": "other"}


@pytest.mark.parametrize(
    ("known", "points"),
    [
        ({}, 5 + 5),
        ({"email": "a@b.example"}, 10 + 10),
        ({"phone": "1"}, 10 + 10),
        ({"company": "Acme"}, 10 + 10),
        ({"job_title": "CTO"}, 10 + 10),
        ({"industry": "retail"}, 10 + 5),
        ({"industry": "medium"}, 5 + 5 + 10),
        *(({"industry": name}, 5 + 5 + 20) for name in ("healthcare", "finance", "technology", "manufacturing")),
        ({"source": "referral"}, 25 + 5),
        ({"source": "organic"}, 15 + 5),
        ({"source": "paid"}, 10 + 5),
        *(({"company_size": size}, 10 + more) for size, more in ((9, 0), (10, 5), (99, 5), (100, 15), (1000, 25))),
        ({"company_size": 999}, 10 + 15),
    ],
)
def test_every_part_of_the_known_score_counts_what_it_should(known: dict[str, Any], points: int) -> None:
    assert score(replace(CAPTURED, **{**NOTHING, **known}), 0).score == points


def test_score_is_capped_at_a_hundred() -> None:
    assert score(replace(CAPTURED, phone="1", company_size=5000), 30).score == 100
