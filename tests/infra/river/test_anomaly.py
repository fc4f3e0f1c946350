"""What is called unusual, and that it is the same after a restart."""

import math
import pickle
import random

import pytest

from infra.river.anomaly import MEMORY, RiverScorer, _Learned


def readings(count: int, seed: int = 1) -> list[float]:
    chance = random.Random(seed)
    return [50 + chance.gauss(0, 2) for _ in range(count)]


def test_reading_far_from_the_usual_is_beyond_a_bound_between_it_and_the_mean() -> None:
    scorer = RiverScorer(0.999)
    for value in readings(1_000):
        scorer.beyond(value)
    high, low = scorer.beyond(99), scorer.beyond(1)
    assert high is not None
    assert 50 < high < 99
    assert low is not None
    assert 1 < low < 50
    assert scorer.beyond(50) is None


def test_nothing_is_unusual_while_it_learns() -> None:
    scorer = RiverScorer(0.999)
    assert [scorer.beyond(value) for value in (*readings(MEMORY - 1), 1e9)] == [None] * MEMORY


def test_at_most_about_the_asked_share_of_random_readings_is_unusual() -> None:
    scorer = RiverScorer(0.99)
    found = [value for value in readings(20_000) if scorer.beyond(value) is not None]
    assert 100 < len(found) < 400


def test_what_never_changed_is_unusual_when_it_does() -> None:
    scorer = RiverScorer(0.999)
    assert [scorer.beyond(5.0) for _ in range(1_000)] == [None] * 1_000
    assert scorer.beyond(6.0) == 5.0


@pytest.mark.parametrize("huge", [1.7e308, -1.7e308])
def test_reading_too_large_to_compute_with_is_unusual_and_not_learned(huge: float) -> None:
    scorer = RiverScorer(0.999)
    for value in readings(1_000):
        scorer.beyond(value)
    bound = scorer.beyond(huge)
    assert bound is not None
    assert math.isfinite(bound)
    assert scorer.beyond(50) is None


def test_saved_in_the_middle_it_goes_on_as_if_it_had_not_been() -> None:
    whole, part = RiverScorer(0.99), RiverScorer(0.99)
    row = readings(2_000)
    expected = [whole.beyond(value) for value in row]
    found = [part.beyond(value) for value in row[:700]]
    part = RiverScorer(0.99, part.dump())
    found += [part.beyond(value) for value in row[700:]]
    assert found == expected


@pytest.mark.parametrize("module", ["infra.anomaly_river", "infra.river.anomaly"])
def test_saved_by_an_earlier_version_it_goes_on_as_if_it_had_not_been(module: str) -> None:
    scorer = RiverScorer(0.99)
    for value in readings(1_000):
        scorer.beyond(value)
    learned = _Learned(*pickle.loads(scorer.dump()))
    saved = pickle.dumps(learned).replace(b"infra.river.anomaly", module.encode())
    assert module.encode() in saved
    again = RiverScorer(0.99, saved)
    assert [again.beyond(value) for value in (99, 50, 1)] == [scorer.beyond(value) for value in (99, 50, 1)]


def test_saved_for_another_quantile_begins_anew() -> None:
    scorer = RiverScorer(0.99)
    for value in readings(1_000):
        scorer.beyond(value)
    assert RiverScorer(0.999, scorer.dump()).beyond(1e9) is None


def test_bytes_that_are_something_else_run_nothing() -> None:
    with pytest.raises(pickle.UnpicklingError, match="is not part of what was learned"):
        RiverScorer(0.99, pickle.dumps(print))
