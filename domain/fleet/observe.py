"""A watch turns what a device reports into alerts, raised and resolved by the time at which things happened."""

from datetime import datetime, timedelta
from typing import assert_never

from domain.fleet.alert import ResolveAlert
from domain.fleet.facts import DeviceMetricsReported, LogRecorded
from domain.fleet.failures import count_failures, line_matters, sample_of_line
from domain.fleet.follow import Finding, Told, When, again_after, began_last, follow
from domain.fleet.rules import Anomaly, Failures, NoData, RateOfChange, Rule, Threshold, limit_of
from domain.fleet.seen import Sample, Seen, Subject, Track, by_its_clock
from domain.fleet.watch import Watch
from schemas.envelope import Envelope, id_of

MAX_RECENT = 500
"""Readings that are kept of a window; more can only be there where they change all the time in one direction."""

USUAL_OF = 16
"""Intervals between readings from which the usual one is known."""

FEW_INTERVALS = 3
"""A silence of more usual intervals than these is a break, where a rule does not say its own."""

_LEAST_INTERVALS = 3
_NEW = Track()


def device_of(envelope: Envelope) -> str:
    """Return the device that a fact is about: a log line may name another than the one that sent it."""
    named: str | None = envelope.data.get("device_id")
    return named or id_of(envelope.stream)


def sample_of(rule: Rule, fact: Envelope) -> Sample | None:
    """Return what a fact says to a watch with this rule, or None.

    Shape: a sample happened when the device says so; of silence a device's clock says nothing, there it is the moment
    of recording.
    """
    at, recorded_at = fact.happened_at, fact.recorded_at
    if isinstance(rule, Failures):
        is_line = fact.type == LogRecorded.TYPE
        return sample_of_line(rule, fact.data["summary"], at, recorded_at) if is_line else None
    if isinstance(rule, NoData) and rule.metric is None:
        return Sample(recorded_at, 0)
    value = fact.data["metrics"].get(rule.metric) if fact.type == DeviceMetricsReported.TYPE else None
    if value is None:
        return None
    return Sample(recorded_at, 0) if isinstance(rule, NoData) else Sample(at, value, recorded_at=recorded_at)


def taken(rule: Rule, seen: Seen, sample: Sample) -> tuple[Seen, Sample] | None:
    """Return what is known and a sample on one clock, or None where the sample can change nothing.

    Shape: of readings only a newer one says how things are now; a failure counts as long as its window and the stated
    lateness last.
    """
    seen, sample = by_its_clock(seen, sample)
    is_newer = seen.at is None or sample.at > seen.at
    matters = line_matters(rule, seen, sample) if isinstance(rule, Failures) else is_newer
    return (seen, sample) if matters else None


def observe(of: Subject, watch: Watch, seen: Seen, sample: Sample) -> tuple[Seen, tuple[Told, ...]]:
    """Return what is known after a sample that was `taken`, and the commands that it leads to, in order.

    Shape: the same samples in the same order give the same commands, alert ids and all.
    """
    track = seen.tracks.get("", _NEW)
    match watch.rule:
        case Failures() as rule:
            return count_failures(of, watch, rule, seen, sample)
        case Threshold() as rule:
            finding = _compare(rule, sample)
            if rule.for_s:
                track = _held(rule, track, seen.at, sample.at)
        case RateOfChange() as rule:
            recent = _turning_points(rule, track.recent, sample)
            change = sample.value - recent[0][1]
            breached = change >= rule.by if rule.by > 0 else change <= rule.by
            track = track._replace(recent=recent)
            finding = Finding(breached, not breached, change, rule.by, rule.within_s)
        case Anomaly():
            unusual = sample.bound is not None
            finding = Finding(unusual, not unusual, sample.value, sample.bound, 0)
        case NoData() as rule:
            seen, told = pass_time(of, watch, seen, sample.at)
            track, more = _heard(of, watch, rule, seen, sample)
            # what is heard raises nothing
            return seen._replace(at=sample.at, tracks={"": track}), (*told, *more)
        case _:
            assert_never(watch.rule)
    when = When(sample.at, sample.received_at)
    track, told = follow(of, watch, track, finding, key="", when=when, newest=seen.newest)
    return seen._replace(at=sample.at, tracks={"": track}, newest=began_last(track, told, seen.newest)), told


def missed_at(watch: Watch, seen: Seen) -> datetime | None:
    """Return when a device will be missed if nothing more is heard of it, None where that is not to be told."""
    track = seen.tracks.get("", _NEW)
    if not isinstance(watch.rule, NoData) or seen.at is None:
        return None
    if track.alert_id is None:
        return seen.at + timedelta(seconds=watch.rule.after_s)
    return None if track.ended_at is None else track.ended_at + again_after(watch)


def pass_time(of: Subject, watch: Watch, seen: Seen, now: datetime) -> tuple[Seen, tuple[Told, ...]]:
    """Return what is known at an instant up to which nothing more was heard, and what is to be told.

    Shape: whenever it is asked after a device is missed, it tells the same.
    """
    missed, since = missed_at(watch, seen), seen.at
    if missed is None or since is None or missed > now or not isinstance(watch.rule, NoData):
        return seen, ()
    after_s = watch.rule.after_s
    track = seen.tracks.get("", _NEW)
    if not track.alert_id:
        track = track._replace(since=since)
    finding = Finding(breached=True, clear=False, value=after_s, limit=after_s, window_s=after_s)
    track, told = follow(of, watch, track, finding, key="", when=When(missed, now), newest=seen.newest)
    return seen._replace(tracks={"": track}, newest=began_last(track, told, seen.newest)), told


def close_all(seen: Seen, note: str) -> tuple[ResolveAlert, ...]:
    """Return what resolves every alert that is open."""
    return tuple(
        ResolveAlert(alert_id=track.alert_id, note=note)
        for track in seen.tracks.values()
        if track.alert_id and not track.ended_at
    )


def _heard(of: Subject, watch: Watch, rule: NoData, seen: Seen, sample: Sample) -> tuple[Track, tuple[Told, ...]]:
    """Return what is known once something is heard again: an alert goes on until that lasts for long enough."""
    track = seen.tracks.get("", _NEW)
    silent = seen.at is not None and sample.at - seen.at >= timedelta(seconds=rule.after_s)
    if silent and track.alert_id:
        track = track._replace(breached_at=sample.at)
    finding = Finding(breached=False, clear=True, value=0, limit=rule.after_s, window_s=rule.after_s)
    return follow(of, watch, track, finding, key="", when=When(sample.at, sample.at), newest=seen.newest)


def _compare(rule: Threshold, sample: Sample) -> Finding:
    value, limit = sample.value, limit_of(rule)
    assert limit is not None  # noqa: S101 - decide_watch takes no other
    clear = limit if rule.clear is None else rule.clear
    breached, good = (value >= limit, value < clear) if rule.above is not None else (value <= limit, value > clear)
    return Finding(breached, good, value, limit, rule.for_s, rule.for_s)


def _held(rule: Threshold, track: Track, before: datetime | None, at: datetime) -> Track:
    """Return what is known of a breach that has not lasted long enough yet: a silence breaks it."""
    if before is None:
        return track
    silence_s = (at - before).total_seconds()
    known = track.intervals
    # the second longest: a burst of readings is no usual interval, and one silence is none either
    usual_s = sorted(known)[-2] * FEW_INTERVALS if len(known) >= _LEAST_INTERVALS else rule.for_s
    track = track._replace(intervals=(*known, silence_s)[-USUAL_OF:])
    longest_s = usual_s if rule.gap_s is None else rule.gap_s
    return track._replace(since=None) if track.alert_id is None and silence_s > longest_s else track


def _turning_points(
    rule: RateOfChange, recent: tuple[tuple[datetime, float], ...], sample: Sample
) -> tuple[tuple[datetime, float], ...]:
    """Return the readings of the window from which a later one could still differ most, the farthest first."""
    began, sign = sample.at - timedelta(seconds=rule.within_s), 1 if rule.by > 0 else -1
    kept = [(at, value) for at, value in recent if at >= began and value * sign < sample.value * sign]
    return (*kept[-MAX_RECENT + 1 :], (sample.at, sample.value))
