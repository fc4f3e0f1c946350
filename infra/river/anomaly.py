"""This says how unusual a reading is, by running statistics of the library river."""

import io
import math
import pickle
from importlib.metadata import version
from typing import Any, NamedTuple

from river.stats import EWMean, Quantile

MEMORY = 288
"""Readings that the mean remembers, and that are learned before any is called unusual: a day at one in five minutes."""

FADING = 2 / (MEMORY + 1)
"""Source: the weight of the newest value in an exponentially weighted mean over a span."""

_MOST = 1e6
"""A score beyond this says nothing more."""

_RIVER = version("river")
_KNOWN = {
    ("river.stats.ewmean", "EWMean"),
    ("river.stats.quantile", "Quantile"),
    ("river._river_rust.stats", "RsEWMean"),
    ("river._river_rust.stats", "RsQuantile"),
}
_LEARNED_ONCE = {("infra.anomaly_river", "_Learned"), ("infra.river.anomaly", "_Learned")}
"""The names under which _Learned itself was kept until November 2026."""


class _Learned(NamedTuple):
    quantile: float
    readings: int
    mean: EWMean
    spread: EWMean
    scores: Quantile
    version: str


class RiverScorer:
    """AnomalyScorer. Shape: `saved` by another version of river is not taken up: it learns from the beginning."""

    def __init__(self, quantile: float, saved: bytes | None = None) -> None:
        learned = None if saved is None else _Learned(*_Loader(io.BytesIO(saved)).load())
        if learned is None or (learned.quantile, learned.version) != (quantile, _RIVER):
            learned = _Learned(quantile, 0, EWMean(FADING), EWMean(FADING), Quantile(quantile), _RIVER)
        self._quantile = quantile
        self._readings = learned.readings
        self._mean = learned.mean
        self._spread = learned.spread
        self._scores = learned.scores

    def beyond(self, value: float) -> float | None:
        self._readings += 1
        if self._readings == 1:
            self._mean.update(value)
            return None
        mean, spread = self._mean.get(), math.sqrt(self._spread.get())
        away = value - mean
        bound = None
        score = abs(away) / spread if spread else math.inf if away else 0.0
        if self._readings > MEMORY and score > (usual := self._scores.get() or 0.0):
            bound = mean + math.copysign(usual * spread, away)
        # what a float cannot hold would spoil all that comes after it
        if math.isfinite(away * away):
            self._mean.update(value)
            self._spread.update(away * away)
            if spread:
                self._scores.update(min(score, _MOST))
        return bound

    def dump(self) -> bytes:
        learned = _Learned(self._quantile, self._readings, self._mean, self._spread, self._scores, _RIVER)
        # by its fields alone: this class may stand elsewhere when it is read
        return pickle.dumps(tuple(learned))


class _Loader(pickle.Unpickler):
    """Reads what `dump` wrote and nothing else: a pickle from elsewhere could run anything."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _LEARNED_ONCE:
            return _Learned
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of what was learned")
        return super().find_class(module, name)
