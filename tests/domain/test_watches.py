"""The rules for watches: what may be defined."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from domain.catalog import adapter, decider_of
from domain.fleet.rules import Anomaly, Failures, RateOfChange, Rule, Threshold
from domain.fleet.watch import WATCH, DefineWatch
from domain.given import Given
from domain.identity.api_key import ApiKey, api_key_stream
from domain.rejection import Kind
from schemas.envelope import Actor, ActorType
from tests.examples.fleet import DEFINE_WATCH, REMOVE_WATCH, WATCH_DEFINED, WATCH_REMOVED
from tests.given_when_then import GIVEN, Rules

watch = Rules(WATCH)

RULES: tuple[Rule, ...] = (
    Threshold(metric="cpu", below=5),
    RateOfChange(metric="disk", by=-0.5, within_s=60),
    Failures(contains="Failed password", key_after=" from ", count=5, within_s=60),
    Anomaly(metric="cpu"),
)


def test_new_watch_is_defined() -> None:
    watch.given().when(DEFINE_WATCH).then(WATCH_DEFINED)


def test_defining_the_same_again_records_nothing() -> None:
    watch.given(WATCH_DEFINED).when(DEFINE_WATCH).then_nothing()


def test_changed_watch_is_defined_anew() -> None:
    changed = replace(DEFINE_WATCH, severity="critical")
    watch.given(WATCH_DEFINED).when(changed).then(replace(WATCH_DEFINED, severity="critical"))


def test_removed_watch_is_defined_again() -> None:
    watch.given(WATCH_DEFINED, WATCH_REMOVED).when(DEFINE_WATCH).then(WATCH_DEFINED)


def test_known_watch_is_removed() -> None:
    watch.given(WATCH_DEFINED).when(REMOVE_WATCH).then(WATCH_REMOVED)


KEY = Actor(ActorType.API_KEY, "k1")


def asked_by(key: ApiKey | None) -> Given:
    return GIVEN._replace(actor=KEY, streams={api_key_stream(KEY.id): key})


def test_watch_of_another_is_removed_with_a_key_of_all_scopes() -> None:
    admin = ApiKey(secret_sha256="", scopes=("*",), revoked=False)
    watch.given(WATCH_DEFINED).when(REMOVE_WATCH, asked_by(admin)).then(WATCH_REMOVED)


@pytest.mark.parametrize("key", [None, ApiKey(secret_sha256="", scopes=("fleet:*",), revoked=False)])
def test_watch_of_another_is_not_removed_with_a_lesser_key(key: ApiKey | None) -> None:
    refused = "watch w1 is removed by who made it, or with a key of the scope *"
    watch.given(WATCH_DEFINED).when(REMOVE_WATCH, asked_by(key)).then_refused(Kind.NOT_ALLOWED, refused)
    own = asked_by(key)._replace(made_by=KEY)
    watch.given(WATCH_DEFINED).when(REMOVE_WATCH, own).then(WATCH_REMOVED)


def test_only_a_removal_by_a_key_looks_at_the_key() -> None:
    reads = WATCH.reads
    assert reads is not None
    assert reads(REMOVE_WATCH, KEY) == ("api_key-k1",)
    assert reads(DEFINE_WATCH, KEY) == reads(REMOVE_WATCH, GIVEN.actor) == ()


def test_removing_twice_records_nothing() -> None:
    watch.given(WATCH_DEFINED, WATCH_REMOVED).when(REMOVE_WATCH).then_nothing()


def test_unknown_watch_is_not_found() -> None:
    watch.given().when(REMOVE_WATCH).then_refused(Kind.NOT_FOUND, "watch w1 is not known")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_what_is_defined_is_what_is_known_afterwards(rule: Rule) -> None:
    decider = decider_of(DefineWatch)
    (defined,) = decider.decide(replace(DEFINE_WATCH, rule=rule), None, GIVEN)
    assert decider.evolve(None, defined).rule == rule


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (Threshold(metric="cpu"), "a threshold needs either `above` or `below`"),
        (Threshold(metric="cpu", above=1, below=2), "a threshold needs either `above` or `below`"),
        (Threshold(metric="cpu", above=90, clear=91), "`clear` must be on the good side of the limit"),
        (Threshold(metric="disk", below=5, clear=4), "`clear` must be on the good side of the limit"),
        (
            RateOfChange(metric="cpu", by=0, within_s=60),
            "a rate of change needs a `by` other than 0; a fall has a negative one",
        ),
    ],
    ids=str,
)
def test_rule_that_says_nothing_is_invalid(rule: Rule, reason: str) -> None:
    watch.given().when(replace(DEFINE_WATCH, rule=rule)).then_refused(Kind.INVALID, reason)


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "colour", "metric": "cpu"},
        {"kind": "threshold", "above": 1.0},
        {"kind": "threshold", "metric": "cpu", "above": 1.0, "wihtin_s": 5},
        {"kind": "failures", "contains": "x", "count": 0, "within_s": 60},
        {"kind": "anomaly", "metric": "cpu", "quantile": 1.0},
    ],
    ids=str,
)
def test_rule_of_another_shape_is_refused(rule: dict[str, object]) -> None:
    body = {"watch_id": "w", "name": "w", "severity": "info", "rule": rule}
    with pytest.raises(ValidationError):
        adapter(DefineWatch).validate_python(body)
