"""What is called unusual, and that it is the same after a restart."""

import math
import pickle
import random
from datetime import UTC, datetime, timedelta

import pytest
from river.stats import EWMean, Quantile

from infra.river.anomaly import MEMORY, TOGETHER, RiverScorer, _Learned

BEGAN = datetime(2026, 1, 31, tzinfo=UTC)


class Scorer:
    """A scorer that is told of a reading every five minutes."""

    def __init__(self, quantile: float, saved: bytes | None = None, told: int = 0) -> None:
        self.scorer = RiverScorer(quantile, saved)
        self.told = told

    def beyond(self, value: float) -> float | None:
        self.told += 1
        return self.scorer.beyond(value, BEGAN + timedelta(minutes=5 * self.told))

    def again(self) -> "Scorer":
        return Scorer(0.99, self.scorer.dump(), self.told)


def readings(count: int, seed: int = 1) -> list[float]:
    chance = random.Random(seed)
    return [50 + chance.gauss(0, 2) for _ in range(count)]


def test_reading_far_from_the_usual_is_beyond_a_bound_between_it_and_the_mean() -> None:
    scorer = Scorer(0.999)
    for value in readings(1_000):
        scorer.beyond(value)
    high, low = scorer.beyond(99), scorer.beyond(1)
    assert high is not None
    assert 50 < high < 99
    assert low is not None
    assert 1 < low < 50
    assert scorer.beyond(50) is None


def test_nothing_is_unusual_while_it_learns() -> None:
    scorer = Scorer(0.999)
    assert [scorer.beyond(value) for value in (*readings(MEMORY - 1), 1e9)] == [None] * MEMORY


def test_at_most_about_the_asked_share_of_random_readings_is_unusual() -> None:
    scorer = Scorer(0.99)
    found = [value for value in readings(20_000) if scorer.beyond(value) is not None]
    assert len(found) < 200


def test_small_change_that_lasts_is_unusual_and_a_single_one_is_not() -> None:
    scorer = Scorer(0.999)
    for value in readings(1_000):
        scorer.beyond(value)
    assert scorer.beyond(58) is None
    assert any(scorer.beyond(value + 8) is not None for value in readings(TOGETHER, seed=2))


def test_what_comes_every_day_at_its_time_is_usual_and_at_another_is_not() -> None:
    scorer, chance = Scorer(0.999), random.Random(3)
    day = [100.0 if 100 <= n < 130 else 10.0 for n in range(288)]
    found = [scorer.beyond(value + chance.gauss(0, 2)) is not None for _ in range(20) for value in day]
    assert sum(found[288 * 12 :]) == 0
    at_night = [scorer.beyond(100 + chance.gauss(0, 2)) is not None for _ in range(TOGETHER)]
    assert at_night[-1]


def test_what_never_changed_is_unusual_when_it_does() -> None:
    scorer = Scorer(0.999)
    assert [scorer.beyond(5.0) for _ in range(1_000)] == [None] * 1_000
    assert scorer.beyond(6.0) == 5.0


@pytest.mark.parametrize("huge", [1.7e308, -1.7e308])
def test_reading_too_large_to_compute_with_is_unusual_and_not_learned(huge: float) -> None:
    scorer = Scorer(0.999)
    for value in readings(1_000):
        scorer.beyond(value)
    bound = scorer.beyond(huge)
    assert bound is not None
    assert math.isfinite(bound)
    assert scorer.beyond(50) is None


def test_saved_in_the_middle_it_goes_on_as_if_it_had_not_been() -> None:
    whole, part = Scorer(0.99), Scorer(0.99)
    row = readings(2_000)
    expected = [whole.beyond(value) for value in row]
    found = [part.beyond(value) for value in row[:700]]
    part = part.again()
    found += [part.beyond(value) for value in row[700:]]
    assert found == expected


@pytest.mark.parametrize("module", ["infra.anomaly_river", "infra.river.anomaly"])
def test_what_an_earlier_version_learned_is_learned_anew(module: str) -> None:
    # it kept the name of its own class, and before that statistics which are not used any more
    named = pickle.dumps(_Learned._make([0] * len(_Learned._fields))).replace(b"infra.river.anomaly", module.encode())
    assert module.encode() in named
    for saved in (named, pickle.dumps((0.99, 1_000, EWMean(0.5), EWMean(0.5), Quantile(0.99), "0.26.1"))):
        scorer = Scorer(0.99, saved)
        assert [scorer.beyond(value) for value in (*readings(MEMORY - 1), 1e9)] == [None] * MEMORY


def test_saved_for_another_quantile_begins_anew() -> None:
    scorer = Scorer(0.99)
    for value in readings(1_000):
        scorer.beyond(value)
    assert Scorer(0.999, scorer.scorer.dump()).beyond(1e9) is None


def test_bytes_that_are_something_else_run_nothing() -> None:
    with pytest.raises(pickle.UnpicklingError, match="is not part of what was learned"):
        RiverScorer(0.99, pickle.dumps(print))
