"""This says what a watch would have raised over a past that is stored already; nothing is recorded by it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from domain.fleet.alert import RaiseAlert
from domain.fleet.definitions import Defined
from domain.fleet.failures import sample_of_line
from domain.fleet.follow import Told
from domain.fleet.observe import observe, pass_time, taken
from domain.fleet.rules import Anomaly, Failures, NoData
from domain.fleet.seen import NOTHING_SEEN, Sample, Seen
from domain.fleet.watch import Watch
from projections.fleet.device_logs import PROJECTION as LOGS
from projections.fleet.device_metrics import PROJECTION as METRICS
from projections.layout import Of
from projections.projection import Projection
from projections.readers import DocumentsReader, TimelineReader
from schemas.envelope import TenantId
from streams.ports import NewScorer

MOST_SAMPLES = 500_000
"""Readings or lines that one preview looks at."""

MOST_DEVICES = 100
"""Devices that one preview looks at, where it names none: those that were heard of last."""

_PAGE = 10_000


class TooMuch(Exception):  # noqa: N818
    """A preview would look at more than it may; a retry gives the same answer: ask for a shorter time or one device."""


class Stored(NamedTuple):
    """The views that hold what devices reported."""

    timeline: TimelineReader
    documents: DocumentsReader


class Past(NamedTuple):
    """Whose past is looked at: `start` ≤ time < `end`."""

    tenant_id: TenantId
    device_id: str | None
    start: datetime
    end: datetime


class Previewed(NamedTuple):
    """An alert as it would have been raised; `resolved_at` None means that it would be open still."""

    device_id: str
    severity: str
    rule: str
    value: float | None
    threshold: float | None
    window: int | None
    raised_at: datetime
    resolved_at: datetime | None = None


class Preview(NamedTuple):
    alerts: Sequence[Previewed]
    devices: int
    samples: int


def preview(
    stored: Stored, tenant_id: TenantId, watch: Watch, *, start: datetime, end: datetime, new_scorer: NewScorer
) -> Preview:
    """Return the alerts of `start` ≤ time < `end`, oldest first, and how much was looked at.

    Shape: each sample counts as received when it happened. Raises: TooMuch; StoreUnavailable, safe to retry.
    """
    past = Past(tenant_id, watch.device_id, start, end)
    if isinstance(watch.rule, Failures):
        samples = _of_lines(stored.timeline, past, watch.rule)
    else:
        samples = _of_metric(stored, past, watch.rule.metric or "")
    whole = Defined("preview", 0, start, watch)
    alerts = [
        alert
        for level in whole.levels()
        for device_id, told in samples.items()
        for alert in _alerts(level, device_id, told, end, new_scorer)
    ]
    alerts.sort(key=lambda alert: (alert.raised_at, alert.device_id, alert.rule))
    return Preview(alerts, len(samples), sum(map(len, samples.values())))


def _alerts(
    defined: Defined, device_id: str, samples: Sequence[Sample], end: datetime, new_scorer: NewScorer
) -> list[Previewed]:
    watch, of, seen = defined.watch, defined.of_device(device_id), NOTHING_SEEN
    scorer = new_scorer(watch.rule.quantile, None) if isinstance(watch.rule, Anomaly) else None
    raised: dict[str, Previewed] = {}
    for sample in samples:
        found = taken(watch.rule, seen, sample)
        if found is None:
            continue
        seen, judged = found
        seen = _let_pass(defined, device_id, seen, judged.at, raised)
        if scorer is not None:
            judged = judged._replace(bound=scorer.beyond(judged.value, judged.at))
        seen, told = observe(of, watch, seen, judged)
        _note(raised, told, seen.at or judged.at)
    _let_pass(defined, device_id, seen, end, raised)
    return list(raised.values())


def _let_pass(defined: Defined, device_id: str, seen: Seen, now: datetime, raised: dict[str, Previewed]) -> Seen:
    if not isinstance(defined.watch.rule, NoData) or seen.at is None:
        return seen
    missed_since = seen.at
    seen, told = pass_time(defined.of_device(device_id), defined.watch, seen, now)
    track = seen.tracks.get("")
    _note(raised, told, (track.breached_at if track else None) or missed_since)
    return seen


def _note(raised: dict[str, Previewed], told: Sequence[Told], at: datetime) -> None:
    for one in told:
        if isinstance(one, RaiseAlert):
            raised[one.alert_id] = Previewed(
                device_id=one.device_id or "",
                severity=one.severity,
                rule=one.rule,
                value=one.value,
                threshold=one.threshold,
                window=one.window,
                raised_at=at,
            )
        elif one.alert_id in raised:
            raised[one.alert_id] = raised[one.alert_id]._replace(resolved_at=at)


# --- what is stored


def _of_lines(timeline: TimelineReader, past: Past, rule: Failures) -> Mapping[str, Sequence[Sample]]:
    of = {} if past.device_id is None else {"device_id": past.device_id}
    found: dict[str, list[Sample]] = defaultdict(list)
    budget = _Budget()
    for row in _rows(timeline, LOGS, past, of):
        budget.take()
        found[row.device_id].append(sample_of_line(rule, row.summary, row.happened_at, row.happened_at))
    # the view gives the newest first
    return {device: samples[::-1] for device, samples in found.items()}


def _of_metric(stored: Stored, past: Past, metric: str) -> Mapping[str, Sequence[Sample]]:
    budget = _Budget()
    found: dict[str, Sequence[Sample]] = {}
    devices = _devices(stored.documents, past.tenant_id) if past.device_id is None else [past.device_id]
    for device in devices:
        samples = []
        for row in _rows(stored.timeline, METRICS, past, {"device_id": device, "metric": metric}):
            budget.take()
            samples.append(Sample(row.happened_at, row.value))
        if samples:
            found[device] = samples
    return found


def _devices(documents: DocumentsReader, tenant_id: TenantId) -> list[str]:
    rows = documents.find(
        "devices", tenant_id, filters={}, sort="last_seen_at", descending=True, after=None, limit=MOST_DEVICES
    )
    return [row.id for row in rows]


def _rows(timeline: TimelineReader, view: Projection, past: Past, of: Of) -> Iterator[Any]:
    after: Sequence[Any] | None = None
    while True:
        page = timeline.rows(view.name, past.tenant_id, of=of, start=past.start, end=past.end, after=after, limit=_PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        after = [getattr(page[-1], column) for column in view.timeline.order]


class _Budget:
    def __init__(self) -> None:
        self._left = MOST_SAMPLES

    def take(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise TooMuch(f"more than {MOST_SAMPLES} readings or lines; ask for a shorter time or for one device")
