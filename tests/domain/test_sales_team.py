"""Who gets a lead follows from what is recorded of the team."""

from dataclasses import replace

from domain.rejection import Kind
from domain.sales.lead import Lead, lead_stream
from domain.sales.sales_team import (
    SALES_TEAM,
    LeadRouted,
    Representative,
    SalesTeam,
    choose,
    decide_team,
)
from tests.examples.sales import (
    AVAILABILITY_CHANGED,
    CAPTURED,
    CHANGE_AVAILABILITY,
    LEAD_ROUTED,
    RECORD_WIN,
    REGISTER_REPRESENTATIVE,
    REPRESENTATIVE_REGISTERED,
    ROUTE_LEAD,
    WIN_RECORDED,
)
from tests.given_when_then import GIVEN, Rules

team = Rules(SALES_TEAM)

LEAD = Lead(captured=CAPTURED, country="DE")
WITH_LEAD = GIVEN._replace(streams={lead_stream("l1"): LEAD})
PLAIN = Representative(expertise=(), countries=(), is_available=True)


def test_representative_is_registered_once_and_again_with_what_changed() -> None:
    team.given().when(REGISTER_REPRESENTATIVE).then(REPRESENTATIVE_REGISTERED)
    team.given(REPRESENTATIVE_REGISTERED).when(REGISTER_REPRESENTATIVE).then_nothing()
    away = (REPRESENTATIVE_REGISTERED, AVAILABILITY_CHANGED)
    team.given(*away).when(replace(REGISTER_REPRESENTATIVE, countries=("FR",))).then(
        replace(REPRESENTATIVE_REGISTERED, countries=("FR",), is_available=False)
    )


def test_availability_changes_once_and_only_of_a_known_representative() -> None:
    team.given(REPRESENTATIVE_REGISTERED).when(CHANGE_AVAILABILITY).then(AVAILABILITY_CHANGED)
    team.given(REPRESENTATIVE_REGISTERED, AVAILABILITY_CHANGED).when(CHANGE_AVAILABILITY).then_nothing()
    team.given(REPRESENTATIVE_REGISTERED).when(replace(CHANGE_AVAILABILITY, representative_id="eve")).then_refused(
        Kind.NOT_FOUND, "representative eve is not known; register them first"
    )


def test_win_counts_for_a_representative_and_for_nobody_else() -> None:
    team.given(REPRESENTATIVE_REGISTERED).when(RECORD_WIN).then(WIN_RECORDED)
    team.given(REPRESENTATIVE_REGISTERED, WIN_RECORDED).when(RECORD_WIN).then(replace(WIN_RECORDED, wins=2))
    team.given(REPRESENTATIVE_REGISTERED).when(replace(RECORD_WIN, representative_id="eve")).then_nothing()


def test_lead_is_routed_until_it_is_assigned() -> None:
    alone = replace(LEAD_ROUTED, reason="alone available")
    team.given(REPRESENTATIVE_REGISTERED).when(ROUTE_LEAD, WITH_LEAD).then(alone)
    assigned = GIVEN._replace(streams={lead_stream("l1"): replace(LEAD, assigned_to="eve")})
    team.given(REPRESENTATIVE_REGISTERED).when(ROUTE_LEAD, assigned).then_nothing()
    team.given(REPRESENTATIVE_REGISTERED).when(ROUTE_LEAD).then_refused(Kind.NOT_FOUND, "lead l1 is not known")


def test_lead_waits_while_nobody_is_available() -> None:
    away = team.given(REPRESENTATIVE_REGISTERED, AVAILABILITY_CHANGED)
    away.when(ROUTE_LEAD, WITH_LEAD).then_refused(Kind.NOT_NOW, "no representative is available")


def chosen(**members: Representative) -> tuple[str, str]:
    return choose(SalesTeam(members=members), LEAD)


BOB, EVE, KIM = "bob", "eve", "kim"
EXPERT = replace(PLAIN, expertise=("Finance",))
NEAR = replace(PLAIN, countries=("de",))


def test_who_knows_the_industry_comes_before_who_is_near() -> None:
    assert chosen(bob=NEAR, eve=EXPERT) == (EVE, "knows finance")


def test_who_is_not_available_gets_nothing_whatever_they_know() -> None:
    assert chosen(bob=PLAIN, eve=replace(EXPERT, is_available=False)) == (BOB, "alone available")


def test_who_wins_less_often_than_the_others_comes_after_them() -> None:
    good, poor = replace(PLAIN, leads=10, wins=5, turn=9), replace(NEAR, leads=10, wins=1)
    assert chosen(bob=poor, eve=good) == (EVE, "wins most")


def test_who_had_few_leads_is_as_good_as_the_best() -> None:
    assert chosen(bob=replace(PLAIN, leads=10, wins=9, turn=9), eve=replace(PLAIN, leads=4, turn=8)) == (
        EVE,
        "in turn",
    )


def test_who_is_near_comes_before_whose_turn_it_is() -> None:
    assert chosen(bob=PLAIN, eve=replace(NEAR, turn=7)) == (EVE, f"looks after {LEAD.country}")


def test_every_rule_narrows_what_the_one_before_left() -> None:
    both = replace(EXPERT, countries=("DE",), turn=3)
    assert chosen(bob=NEAR, eve=both, kim=EXPERT) == (EVE, "knows finance, looks after DE")


def test_who_has_waited_longest_is_next() -> None:
    assert chosen(bob=replace(PLAIN, turn=2), eve=replace(PLAIN, turn=1)) == (EVE, "in turn")
    assert chosen(eve=PLAIN, bob=PLAIN) == (BOB, "in turn")


def test_equal_representatives_get_leads_in_turn() -> None:
    state = None
    for id_ in (KIM, BOB, EVE):
        state = SALES_TEAM.evolve(state, replace(REPRESENTATIVE_REGISTERED, representative_id=id_))
    got = []
    for _ in range(6):
        (event,) = decide_team(ROUTE_LEAD, state, WITH_LEAD)
        assert isinstance(event, LeadRouted)
        got.append((event.representative_id, event.leads))
        state = SALES_TEAM.evolve(state, event)
    assert got == [(BOB, 1), (EVE, 1), (KIM, 1), (BOB, 2), (EVE, 2), (KIM, 2)]
