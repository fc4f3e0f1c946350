"""The rules for leads."""

from dataclasses import replace

import pytest

from domain.message import Command
from domain.rejection import Kind
from domain.sales.lead import LEAD, score
from tests.examples.sales import ASSIGN_LEAD, ASSIGNED, CAPTURE_LEAD, CAPTURED, LOSE_LEAD, LOST, SCORE_LEAD, SCORED
from tests.given_when_then import Rules

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


def test_lead_is_lost_once() -> None:
    lead.given(CAPTURED).when(LOSE_LEAD).then(LOST)
    lead.given(CAPTURED, LOST).when(LOSE_LEAD).then_nothing()


@pytest.mark.parametrize("command", [SCORE_LEAD, ASSIGN_LEAD])
def test_lost_lead_is_left_alone(command: Command) -> None:
    lead.given(CAPTURED, LOST).when(command).then_refused(Kind.NOT_ALLOWED, "lead l1 is lost")


@pytest.mark.parametrize(("similarity", "points", "tier"), [(9, 39, "cold"), (10, 40, "warm")])
def test_tier_follows_from_the_points(similarity: int, points: int, tier: str) -> None:
    bare = replace(CAPTURED, source="walk-in", email=None, industry=None, company_size=None)
    assert score(bare, similarity) == replace(SCORED, score=points, tier=tier, factors=score(bare, similarity).factors)
