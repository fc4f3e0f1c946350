"""The rules for watches: what may be defined."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from domain.catalog import decider_of
from domain.fleet.rules import FIELDS, Anomaly, Failures, Level, NoData, RateOfChange, Rule, Threshold, at_limit
from domain.fleet.watch import WATCH, DefineWatch, WatchDefined
from domain.given import Given
from domain.identity.api_key import ApiKey, api_key_stream
from domain.message import adapter
from domain.rejection import Kind
from schemas.envelope import Actor, ActorType
from schemas.upcast import to_newest
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


NEW = {"gap_s", "late_s", "after_s"}
"""What rules have since version 2 of the event."""

LEVELS = (Level(severity="critical", limit=95.0), Level(severity="emergency", limit=99.0))


@pytest.mark.parametrize(
    ("rule", "limits", "found"),
    [
        (Threshold(metric="cpu", above=90, clear=80), (95, 99), [("above", 95), ("above", 99)]),
        (Threshold(metric="disk", below=10), (5, 1), [("below", 5), ("below", 1)]),
        (RateOfChange(metric="cpu", by=-5, within_s=60), (-10, -50), [("by", -10), ("by", -50)]),
        (Failures(contains="x", count=5, within_s=60), (50, 500), [("count", 50), ("count", 500)]),
        (NoData(after_s=60), (600, 3_600), [("after_s", 600), ("after_s", 3_600)]),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_each_level_is_the_same_rule_with_its_own_limit(
    rule: Rule, limits: tuple[float, float], found: list[tuple[str, float]]
) -> None:
    levels = tuple(replace(level, limit=limit) for level, limit in zip(LEVELS, limits, strict=True))
    (defined,) = WATCH.decide(replace(DEFINE_WATCH, rule=rule, levels=levels), None, GIVEN)
    known = WATCH.evolve(None, defined)
    assert known.levels == levels
    by_level = [known.at_level(number) for number in (1, 2)]
    assert [(name, getattr(level.rule, name)) for level, (name, _) in zip(by_level, found, strict=True)] == found
    assert [level.severity for level in by_level] == ["critical", "emergency"]
    assert (known.at_level(0).rule, known.at_level(0).severity) == (rule, "warning")


def test_clear_level_stays_as_far_from_the_limit() -> None:
    above, below = Threshold(metric="cpu", above=90, clear=80), Threshold(metric="disk", below=10, clear=15)
    assert at_limit(above, 95) == replace(above, above=95, clear=85)
    assert at_limit(below, 5) == replace(below, below=5, clear=10)


@pytest.mark.parametrize(
    ("rule", "levels", "reason"),
    [
        (RULES[0], LEVELS[:1], "each of `levels` must be beyond the limit before it; 95 is not beyond 5"),
        (
            Threshold(metric="cpu", above=90),
            LEVELS[::-1],
            "each of `levels` must be beyond the limit before it; 95 is not beyond 99",
        ),
        (Threshold(metric="cpu", above=90), LEVELS[:1] * 2, "each of `levels` needs a severity of its own"),
        (RULES[3], LEVELS, "a watch of the kind anomaly has no levels; leave `levels` out"),
        (
            RULES[2],
            (Level(severity="critical", limit=9.5),),
            "the limit of a level must be a whole number here, not 9.5",
        ),
    ],
)
def test_levels_that_cannot_be_reached_in_their_order_are_invalid(
    rule: Rule, levels: tuple[Level, ...], reason: str
) -> None:
    watch.given().when(replace(DEFINE_WATCH, rule=rule, levels=levels)).then_refused(Kind.INVALID, reason)


@pytest.mark.parametrize("kind", ["threshold", "failures"])
def test_watch_of_version_1_keeps_its_meaning(kind: str) -> None:
    rules = {
        "threshold": {"metric": "cpu", "above": 90.0, "for_s": 60},
        "failures": {"contains": "x", "count": 5, "within_s": 60},
    }
    of_rule = dict.fromkeys(field for names in FIELDS.values() for field in names if field not in NEW) | rules[kind]
    first = {"name": "w", "severity": "warning", "device_id": None, "quiet_s": 300, "kind": kind, **of_rule}
    version, data = to_newest("watch.defined", 1, first)
    known = WATCH.evolve(None, adapter(WatchDefined).validate_python(data))
    assert version == WatchDefined.VERSION
    assert (known.levels, known.flap_count, known.look_back_s, known.again_s) == ((), 0, 0, None)
    assert getattr(known.rule, "late_s", 0) == 0
