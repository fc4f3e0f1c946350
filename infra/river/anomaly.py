"""This says how unusual a reading is: how far the last few are from what is usual at their time of the day."""

import io
import math
import pickle
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from statistics import NormalDist
from typing import Any, NamedTuple

from river.stats import EWMean

MEMORY = 288
"""Readings that the mean remembers, and that are learned before any is called unusual: a day at one in five minutes."""

FADING = 2 / (MEMORY + 1)
"""Source: the weight of the newest value in an exponentially weighted mean over a span."""

TOGETHER = 6
"""Readings whose mean is judged, because one alone may be anything: half an hour at one in five minutes."""

LONGEST = 8_000
"""Readings over which it is learned how far they usually are from what was expected.

Source: the window of the anomaly likelihood, Ahmad and others, Unsupervised real-time anomaly detection for streaming
data, 2017, section 3.2, which judges the mean of the last errors against the errors of 8,000 readings.
"""

SLOT_S = 1_800
"""The day is cut into slots of this length, each with a mean of its own over about ten days."""

_DAY_S = 86_400
_SLOT_FADING = 0.2
_ERROR_FADING = 0.003
_SEASONAL = 0.9
"""The time of the day says more than the mean does where its error is less than this share of the other's."""

_VERSION = f"{version('river')}/2"
"""What is learned by another version of river, or in another way, is learned anew."""

_KNOWN = {("river.stats.ewmean", "EWMean"), ("river._river_rust.stats", "RsEWMean")}


class _Learned(NamedTuple):
    version: str
    quantile: float
    readings: int
    mean: EWMean
    slots: Mapping[int, EWMean]
    mean_error: EWMean
    slot_error: EWMean
    center: float
    spread: float
    last: tuple[float, ...]


class RiverScorer:
    """AnomalyScorer. Shape: what another version has learned is not taken up: it learns from the beginning."""

    def __init__(self, quantile: float, saved: bytes | None = None) -> None:
        learned = None if saved is None else _load(saved)
        if learned is None or learned.quantile != quantile:
            errors = EWMean(_ERROR_FADING), EWMean(_ERROR_FADING)
            learned = _Learned(_VERSION, quantile, 0, EWMean(FADING), {}, *errors, 0.0, 0.0, ())
        self._learned = learned
        # as far from the middle as this share of what is normally distributed lies within
        self._far = NormalDist().inv_cdf((1 + quantile) / 2)

    def beyond(self, value: float, at: datetime) -> float | None:
        known = self._learned
        if not known.readings:
            if math.isfinite(value * value):
                self._learn(value, value, value, self._slot(at))
            return None
        slot = self._slot(at)
        usual = known.mean.get()
        of_slot = known.slots[slot].get() if slot in known.slots else usual
        seasonal = slot in known.slots and known.slot_error.get() < _SEASONAL * known.mean_error.get()
        expected = of_slot if seasonal else usual
        away = value - expected
        bound = self._bound(away) if known.readings >= MEMORY else None
        # what a float cannot hold would spoil all that comes after it
        if math.isfinite(away * away):
            self._learn(value, usual, of_slot, slot, away=away)
        return None if bound is None else expected + bound

    def _bound(self, away: float) -> float | None:
        """Return how far a reading may be from what was expected, if it makes the mean of the last ones unusual."""
        known = self._learned
        together = (*known.last, away)[-TOGETHER:]
        far = self._far * math.sqrt(known.spread)
        mean = sum(together) / len(together) - known.center
        # a single reading counts if it would do so beside usual ones: two that are far in both directions cancel out
        alone = away - known.center
        if abs(alone) > TOGETHER * far:
            return known.center + math.copysign(TOGETHER * far, alone)
        if abs(mean) <= far:
            return None
        return len(together) * (known.center + math.copysign(far, mean)) - sum(together[:-1])

    def _learn(self, value: float, usual: float, of_slot: float, slot: int, *, away: float = 0.0) -> None:
        known = self._learned
        readings = known.readings + 1
        weight = max(2 / (LONGEST + 1), 1 / readings)
        off = away - known.center
        if known.readings >= MEMORY and known.spread:
            # what is unusual by itself says little of what is usual
            most = TOGETHER * self._far * math.sqrt(known.spread)
            off = min(max(off, -most), most)
        center = known.center + weight * off
        spread = (1 - weight) * (known.spread + weight * off * off)
        known.mean_error.update(abs(value - usual))
        known.slot_error.update(abs(value - of_slot))
        known.mean.update(value)
        slots = known.slots if slot in known.slots else {**known.slots, slot: EWMean(_SLOT_FADING)}
        slots[slot].update(value)
        last = (*known.last, away)[-TOGETHER:]
        self._learned = known._replace(readings=readings, slots=slots, center=center, spread=spread, last=last)

    @staticmethod
    def _slot(at: datetime) -> int:
        return int(at.timestamp() % _DAY_S // SLOT_S)

    def dump(self) -> bytes:
        # by its fields alone: this class may stand elsewhere when it is read
        return pickle.dumps(tuple(self._learned))


def _load(saved: bytes) -> _Learned | None:
    """Return what was learned, None for what another version kept. Raises: UnpicklingError, it is nothing of ours."""
    try:
        kept = _Loader(io.BytesIO(saved)).load()
    except _OtherVersion:
        return None
    if not isinstance(kept, tuple) or not kept or kept[0] != _VERSION:
        return None
    return _Learned(*kept)


class _OtherVersion(Exception):  # noqa: N818
    """It was kept by an earlier version, which held other classes."""


class _Loader(pickle.Unpickler):
    """Reads what `dump` wrote and nothing else: a pickle from elsewhere could run anything."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _KEPT_ONCE:
            raise _OtherVersion
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of what was learned")
        return super().find_class(module, name)


_KEPT_ONCE = {
    ("infra.anomaly_river", "_Learned"),
    ("infra.river.anomaly", "_Learned"),
    ("river.stats.quantile", "Quantile"),
    ("river._river_rust.stats", "RsQuantile"),
}
"""What was kept until November 2026."""
