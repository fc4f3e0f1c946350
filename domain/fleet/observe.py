"""A watch turns what a device reports into alerts, raised and resolved by the time at which things happened."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import NamedTuple, assert_never
from uuid import UUID, uuid5

from domain.fleet.alert import RaiseAlert, ResolveAlert
from domain.fleet.facts import DeviceMetricsReported, LogRecorded
from domain.fleet.rules import Anomaly, Failures, RateOfChange, Rule, Threshold
from domain.fleet.watch import Watch
from schemas.envelope import Envelope

MAX_KEYS = 1_000
"""Keys of one device that a watch counts at once; the one that was quiet for longest makes room."""

MAX_RECENT = 500
"""Readings that are kept of a window; more can only be there where they change all the time in one direction."""

_NAMESPACE = UUID("b0a2b1f2-6a0c-5b0e-8d63-0a8f1c1f7a55")
_REPEATED = re.compile(r"message repeated ([0-9]{1,6}) times: \[")
_MAX_KEY, _MAX_NAME = 100, 200

Told = RaiseAlert | ResolveAlert


class Subject(NamedTuple):
    """What is looked at: one definition of a watch, at one device."""

    watch_id: str
    version: int
    device_id: str


class Sample(NamedTuple):
    """What one fact says to a watch.

    Shape: `value` is a reading, or a number of failures: with 0 only time has passed. `bound` is what the reading is
    beyond, for a watch that looks for what is unusual.
    """

    at: datetime
    value: float
    key: str = ""
    bound: float | None = None


class Track(NamedTuple):
    """What is known of one key.

    Shape: a breach that goes on began at `since`; `breached_at` is when an open alert's rule held last.
    """

    since: datetime | None = None
    recent: tuple[tuple[datetime, float], ...] = ()
    alert_id: str | None = None
    breached_at: datetime | None = None


class Seen(NamedTuple):
    """What a watch knows of one device: nothing but what it needs to go on.

    Shape: `at` is the newest instant it was told of; at `due` some track ends if nothing more is heard of its key.
    """

    at: datetime | None = None
    tracks: Mapping[str, Track] = {}
    due: datetime | None = None


NOTHING_SEEN = Seen()
_NEW = Track()


class _Finding(NamedTuple):
    breached: bool
    clear: bool
    value: float
    limit: float | None
    window_s: int
    for_s: int = 0


def device_of(envelope: Envelope) -> str:
    """Return the device that a fact is about: a log line may name another than the one that sent it."""
    named: str | None = envelope.data.get("device_id")
    return named or envelope.stream.partition("-")[2]


def sample_of(rule: Rule, fact: Envelope) -> Sample | None:
    """Return what a fact says to a watch with this rule, or None.

    Shape: a fact cannot have happened after it was recorded, whatever the clock of its sender says.
    """
    at = min(fact.happened_at, fact.recorded_at)
    if not isinstance(rule, Failures):
        value = fact.data["metrics"].get(rule.metric) if fact.type == DeviceMetricsReported.TYPE else None
        return None if value is None else Sample(at, value)
    if fact.type != LogRecorded.TYPE:
        return None
    if rule.contains not in fact.data["summary"]:
        return Sample(at, 0)
    return Sample(at, _times(fact.data["summary"]), _key(rule, fact.data["summary"]))


def matters(rule: Rule, seen: Seen, sample: Sample) -> bool:
    """Return whether a sample can change anything.

    Shape: of readings only a newer one says how things are now; a failure counts as long as its window lasts, and time
    passes only for those that were seen.
    """
    if not isinstance(rule, Failures):
        return seen.at is None or sample.at > seen.at
    if not sample.value:
        return bool(seen.tracks)
    return seen.at is None or sample.at > seen.at - timedelta(seconds=rule.within_s)


def sample_that_matters(rule: Rule, seen: Seen, fact: Envelope) -> Sample | None:
    sample = sample_of(rule, fact)
    return sample if sample is not None and matters(rule, seen, sample) else None


def observe(of: Subject, watch: Watch, seen: Seen, sample: Sample) -> tuple[Seen, tuple[Told, ...]]:
    """Return what is known after a sample that matters, and the commands that it leads to, in order.

    Shape: the same samples in the same order give the same commands, alert ids and all.
    """
    track = seen.tracks.get("", _NEW)
    match watch.rule:
        case Failures() as rule:
            return _count(of, watch, rule, seen, sample)
        case Threshold() as rule:
            finding = _compare(rule, sample)
        case RateOfChange() as rule:
            recent = _turning_points(rule, track.recent, sample)
            change = sample.value - recent[0][1]
            breached = change >= rule.by if rule.by > 0 else change <= rule.by
            track = track._replace(recent=recent)
            finding = _Finding(breached, not breached, change, rule.by, rule.within_s)
        case Anomaly():
            unusual = sample.bound is not None
            finding = _Finding(unusual, not unusual, sample.value, sample.bound, 0)
        case _:
            assert_never(watch.rule)
    track, told = _follow(of, watch, track, finding, key="", at=sample.at)
    return Seen(sample.at, {"": track}), told


def close_all(seen: Seen, note: str) -> tuple[ResolveAlert, ...]:
    """Return what resolves every alert that is open."""
    return tuple(ResolveAlert(alert_id=track.alert_id, note=note) for track in seen.tracks.values() if track.alert_id)


def _compare(rule: Threshold, sample: Sample) -> _Finding:
    value, (limit, clear) = sample.value, _limits(rule)
    breached, good = (value >= limit, value < clear) if rule.above is not None else (value <= limit, value > clear)
    return _Finding(breached, good, value, limit, rule.for_s, rule.for_s)


def _limits(rule: Threshold) -> tuple[float, float]:
    limit = rule.above if rule.above is not None else rule.below
    assert limit is not None  # noqa: S101 - decide_watch takes no other
    return limit, limit if rule.clear is None else rule.clear


def _turning_points(
    rule: RateOfChange, recent: tuple[tuple[datetime, float], ...], sample: Sample
) -> tuple[tuple[datetime, float], ...]:
    """Return the readings of the window from which a later one could still differ most, the farthest first."""
    began, sign = sample.at - timedelta(seconds=rule.within_s), 1 if rule.by > 0 else -1
    kept = [(at, value) for at, value in recent if at >= began and value * sign < sample.value * sign]
    return (*kept[-MAX_RECENT + 1 :], (sample.at, sample.value))


def _count(of: Subject, watch: Watch, rule: Failures, seen: Seen, sample: Sample) -> tuple[Seen, tuple[Told, ...]]:
    now = sample.at if seen.at is None else max(seen.at, sample.at)
    tracks, due = seen.tracks, seen.due
    told: tuple[Told, ...] = ()
    if due is not None and now >= due:
        tracks, told = _sweep(watch, rule, tracks, now)
        due = min((_end(watch, rule, track) for track in tracks.values()), default=None)
    if not sample.value:
        return Seen(now, tracks, due), told
    began = now - timedelta(seconds=rule.within_s)
    others = {key: track for key, track in tracks.items() if key != sample.key}
    track = tracks.get(sample.key, _NEW)
    recent = sorted([*((at, n) for at, n in track.recent if at > began), (sample.at, sample.value)])
    total = sum(n for _, n in recent)
    counted = total
    while total - recent[0][1] >= rule.count:
        total -= recent.pop(0)[1]
    finding = _Finding(counted >= rule.count, counted < rule.count, counted, rule.count, rule.within_s)
    track, more = _follow(of, watch, track._replace(recent=tuple(recent)), finding, key=sample.key, at=now)
    room, evicted = _make_room(others)
    end = _end(watch, rule, track)
    # the one that was heard of last stands last
    return Seen(now, {**room, sample.key: track}, end if due is None else min(due, end)), (*told, *more, *evicted)


def _sweep(
    watch: Watch, rule: Failures, tracks: Mapping[str, Track], now: datetime
) -> tuple[dict[str, Track], tuple[Told, ...]]:
    ended = [key for key, track in tracks.items() if _end(watch, rule, track) <= now]
    told = tuple(_resolved(watch, id_) for key in ended if (id_ := tracks[key].alert_id))
    return {key: track for key, track in tracks.items() if key not in set(ended)}, told


def _end(watch: Watch, rule: Failures, track: Track) -> datetime:
    """Return when a track says nothing any more, if no failure is added to it."""
    if track.breached_at is not None:
        return track.breached_at + timedelta(seconds=watch.quiet_s)
    return track.recent[-1][0] + timedelta(seconds=rule.within_s)


def _make_room(tracks: dict[str, Track]) -> tuple[dict[str, Track], tuple[ResolveAlert, ...]]:
    if len(tracks) < MAX_KEYS:
        return tracks, ()
    key = next(iter(tracks))
    alert_id = tracks.pop(key).alert_id
    return tracks, (ResolveAlert(alert_id=alert_id, note=f"{MAX_KEYS} others came after it"),) if alert_id else ()


def _follow(
    of: Subject, watch: Watch, track: Track, finding: _Finding, *, key: str, at: datetime
) -> tuple[Track, tuple[Told, ...]]:
    """Carry one key from quiet over a breach to an alert and back."""
    if track.alert_id is None:
        if not finding.breached:
            return track if track.since is None else track._replace(since=None), ()
        since = track.since or at
        if at - since < timedelta(seconds=finding.for_s):
            return track._replace(since=since), ()
        raised = _raised(of, watch, key, since, finding)
        return track._replace(since=since, alert_id=raised.alert_id, breached_at=at), (raised,)
    if not finding.clear:
        return track._replace(breached_at=at), ()
    if track.breached_at is not None and at - track.breached_at < timedelta(seconds=watch.quiet_s):
        return track, ()
    return track._replace(since=None, alert_id=None, breached_at=None), (_resolved(watch, track.alert_id),)


def _raised(of: Subject, watch: Watch, key: str, since: datetime, finding: _Finding) -> RaiseAlert:
    named = (of.watch_id, str(of.version), of.device_id, key, since.astimezone(UTC).isoformat())
    return RaiseAlert(
        alert_id=str(uuid5(_NAMESPACE, "\x1f".join(named))),
        severity=watch.severity,
        rule=f"{watch.name}: {key}"[:_MAX_NAME] if key else watch.name,
        device_id=of.device_id,
        # the difference of two readings may be more than a float holds
        value=finding.value if isfinite(finding.value) else None,
        threshold=finding.limit,
        window=finding.window_s or None,
    )


def _resolved(watch: Watch, alert_id: str) -> ResolveAlert:
    return ResolveAlert(alert_id=alert_id, note=f"quiet for {watch.quiet_s} s")


def _times(summary: str) -> int:
    found = _REPEATED.match(summary)
    return int(found[1]) if found else 1


def _key(rule: Failures, summary: str) -> str:
    if rule.key_after is None:
        return ""
    # the last one: what comes before it may be what an attacker chose as a name
    _, found, rest = summary.rpartition(rule.key_after)
    words = rest.split(maxsplit=1) if found else []
    return "".join(c if c.isprintable() else "?" for c in words[0][:_MAX_KEY]) if words else ""
