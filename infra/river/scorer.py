"""This makes a scorer of unusual readings; the library is loaded when the first one is."""

from streams.ports import AnomalyScorer


def new_scorer(quantile: float, saved: bytes | None) -> AnomalyScorer:
    # river takes 30 MB: only where a tenant watches for what is unusual
    from infra.river.anomaly import RiverScorer  # noqa: PLC0415

    return RiverScorer(quantile, saved)
