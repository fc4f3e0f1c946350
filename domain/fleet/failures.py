"""This counts log lines that say a failure, for each key by itself, by the lines' own time."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from domain.fleet.alert import ResolveAlert
from domain.fleet.follow import Finding, Told, When, began_last, follow, quiet_from, resolved
from domain.fleet.rules import Failures
from domain.fleet.seen import Sample, Seen, Subject, Track
from domain.fleet.watch import Watch

MAX_KEYS = 1_000
"""Keys of one device that a watch counts at once; the one that was quiet for longest makes room."""

_REPEATED = re.compile(r"message repeated ([0-9]{1,6}) times: \[")
_LAST_REPEATED = re.compile(r"-* ?last message repeated ([0-9]{1,6}) times?(?: ?-*)")
_MAX_KEY = 100
_NEW = Track()


def sample_of_line(rule: Failures, summary: str, at: datetime, recorded_at: datetime) -> Sample:
    """Return what a log line says to a watch that counts failures."""
    if (again := _LAST_REPEATED.fullmatch(summary.strip())) is not None:
        return Sample(at, int(again[1]), recorded_at=recorded_at, again=True)
    if rule.contains not in summary:
        return Sample(at, 0, recorded_at=recorded_at)
    repeated = _REPEATED.match(summary)
    return Sample(at, int(repeated[1]) if repeated else 1, _key(rule, summary), recorded_at=recorded_at)


def line_matters(rule: Failures, seen: Seen, sample: Sample) -> bool:
    """Return whether a line can change anything: time passes only for those that were seen."""
    if not sample.value or sample.again:
        return bool(seen.tracks) or seen.last is not None
    return seen.at is None or sample.at > seen.at - _kept_for(rule)


def count_failures(
    of: Subject, watch: Watch, rule: Failures, seen: Seen, sample: Sample
) -> tuple[Seen, tuple[Told, ...]]:
    """Return what is known after a line that matters, and what is to be told."""
    now = sample.at if seen.at is None else max(seen.at, sample.at)
    tracks, due = seen.tracks, seen.due
    told: tuple[Told, ...] = ()
    if due is not None and now >= due:
        tracks, told = _sweep(watch, rule, tracks, now)
        due = min((_end(watch, rule, track) for track in tracks.values()), default=None)
    key = seen.last if sample.again else sample.key if sample.value else None
    if key is None or not sample.value:
        return seen._replace(at=now, tracks=tracks, due=due, last=None), told
    others = {other: track for other, track in tracks.items() if other != key}
    track, more = _add(of, watch, rule, tracks.get(key, _NEW), sample, key=key, now=now, newest=seen.newest)
    room, evicted = _make_room(others)
    end = _end(watch, rule, track)
    # the one that was heard of last stands last
    tracks, due = {**room, key: track}, end if due is None else min(due, end)
    newest = began_last(track, more, seen.newest)
    return seen._replace(at=now, tracks=tracks, due=due, last=key, newest=newest), (*told, *more, *evicted)


def _add(
    of: Subject,
    watch: Watch,
    rule: Failures,
    track: Track,
    sample: Sample,
    *,
    key: str,
    now: datetime,
    newest: datetime | None,
) -> tuple[Track, tuple[Told, ...]]:
    kept_from = now - _kept_for(rule)
    by_instant: dict[datetime, float] = {}
    for at, n in (*((at, n) for at, n in track.recent if at > kept_from), (sample.at, sample.value)):
        by_instant[at] = by_instant.get(at, 0) + n
    recent = sorted(by_instant.items())
    counted, at = _fullest_window(recent, sample.at, timedelta(seconds=rule.within_s))
    if counted >= rule.count:
        recent = _enough(recent, rule)
    finding = Finding(counted >= rule.count, counted < rule.count, counted, rule.count, rule.within_s)
    when = When(at if finding.breached else now, sample.received_at)
    return follow(of, watch, track._replace(recent=tuple(recent)), finding, key=key, when=when, newest=newest)


def _fullest_window(recent: list[tuple[datetime, float]], at: datetime, width: timedelta) -> tuple[float, datetime]:
    """Return the most failures in a window around an instant, and the last instant of that window."""
    ends = [end for end, _ in recent if timedelta(0) <= end - at < width]
    counted = [(sum(n for one, n in recent if timedelta(0) <= end - one < width), end) for end in ends]
    return max(counted, key=lambda found: found[0])


def _enough(recent: list[tuple[datetime, float]], rule: Failures) -> list[tuple[datetime, float]]:
    """Return the newest entries that are enough to raise an alert: the others say nothing more."""
    total = sum(n for _, n in recent)
    while total - recent[0][1] >= rule.count:
        total -= recent.pop(0)[1]
    return recent


def _kept_for(rule: Failures) -> timedelta:
    return timedelta(seconds=rule.within_s + rule.late_s)


def _sweep(
    watch: Watch, rule: Failures, tracks: Mapping[str, Track], now: datetime
) -> tuple[dict[str, Track], tuple[Told, ...]]:
    ends = {key: _end(watch, rule, track) <= now for key, track in tracks.items()}
    told = tuple(resolved(watch, track) for key, track in tracks.items() if ends[key] and _is_open(track))
    left: dict[str, Track] = {}
    for key, track in tracks.items():
        if not ends[key]:
            left[key] = track
        elif track.alert_id and track.raised:
            # for the guard against flapping
            rested = Track(raised=track.raised)
            if _end(watch, rule, rested) > now:
                left[key] = rested
    return left, told


def _is_open(track: Track) -> bool:
    return track.alert_id is not None and track.ended_at is None


def _end(watch: Watch, rule: Failures, track: Track) -> datetime:
    """Return when a track says nothing any more, if no failure is added to it."""
    if track.breached_at is not None:
        return quiet_from(watch, track, track.breached_at)
    ends = [track.recent[-1][0] + _kept_for(rule)] if track.recent else []
    ends += [track.raised[-1] + timedelta(seconds=watch.flap_s)] if track.raised else []
    return max(ends)


def _make_room(tracks: dict[str, Track]) -> tuple[dict[str, Track], tuple[ResolveAlert, ...]]:
    if len(tracks) < MAX_KEYS:
        return tracks, ()
    track = tracks.pop(next(iter(tracks)))
    alert_id = track.alert_id if _is_open(track) else None
    return tracks, (ResolveAlert(alert_id=alert_id, note=f"{MAX_KEYS} others came after it"),) if alert_id else ()


def _key(rule: Failures, summary: str) -> str:
    if rule.key_after is None:
        return ""
    # the last one: what comes before it may be what an attacker chose as a name
    _, found, rest = summary.rpartition(rule.key_after)
    words = rest.split(maxsplit=1) if found else []
    return "".join(c if c.isprintable() else "?" for c in words[0][:_MAX_KEY]) if words else ""
