"""This carries one key of a watch from quiet over a breach to an alert and back."""

from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import NamedTuple
from uuid import UUID, uuid5

from domain.fleet.alert import RaiseAlert, ResolveAlert
from domain.fleet.seen import Subject, Track
from domain.fleet.watch import Watch

_NAMESPACE = UUID("b0a2b1f2-6a0c-5b0e-8d63-0a8f1c1f7a55")
_MAX_NAME = 200

Told = RaiseAlert | ResolveAlert


class Finding(NamedTuple):
    """What a rule says at one moment: it holds, it certainly does not, or something in between."""

    breached: bool
    clear: bool
    value: float
    limit: float | None
    window_s: int
    for_s: int = 0


class When(NamedTuple):
    """The moment that is judged, by the device's clock and by the log's."""

    at: datetime
    received_at: datetime


def follow(
    of: Subject, watch: Watch, track: Track, finding: Finding, *, key: str, when: When, newest: datetime | None
) -> tuple[Track, tuple[Told, ...]]:
    """Return what is known of a key after a finding, and what is to be told.

    Shape: `newest` is when the breach of the device's last alert began, as `began_last` gives it.
    """
    at = when.at
    if track.alert_id is None:
        if not finding.breached:
            return track if track.since is None else track._replace(since=None), ()
        since = track.since or at
        if at - since < timedelta(seconds=finding.for_s):
            return track._replace(since=since), ()
        return _raise(of, watch, track._replace(since=_apart(since, newest)), finding, key=key, at=at)
    if not finding.clear:
        if finding.breached and _is_to_be_raised_again(watch, track, when):
            return _raise(of, watch, track._replace(since=_apart(at, newest), ended_at=None), finding, key=key, at=at)
        return track._replace(breached_at=max(track.breached_at or at, at)), ()
    if at < quiet_from(watch, track, at):
        return track, ()
    told = () if track.ended_at else (resolved(watch, track),)
    return track._replace(since=None, alert_id=None, breached_at=None, ended_at=None), told


def _apart(since: datetime, newest: datetime | None) -> datetime:
    """Return when a breach began, by which its alert is known: later than any before it.

    Shape: a late line, or a clock that was set back, would give an alert the name of one that has ended.
    """
    return since if newest is None or since > newest else newest + timedelta(microseconds=1)


def began_last(track: Track, told: tuple[Told, ...], before: datetime | None) -> datetime | None:
    """Return when the breach of the last alert began, after what was told of a key."""
    return track.since if any(isinstance(one, RaiseAlert) for one in told) else before


def quiet_from(watch: Watch, track: Track, now: datetime) -> datetime:
    """Return when an open alert ends if its rule does not hold any more until then."""
    return (track.breached_at or now) + timedelta(seconds=_quiet_s(watch, track))


def resolved(watch: Watch, track: Track) -> ResolveAlert:
    return ResolveAlert(alert_id=track.alert_id or "", note=f"quiet for {_quiet_s(watch, track)} s")


def _quiet_s(watch: Watch, track: Track) -> int:
    flaps = bool(watch.flap_count) and len(track.raised) >= watch.flap_count
    return max(watch.quiet_s, watch.flap_s) if flaps else watch.quiet_s


def again_after(watch: Watch) -> timedelta:
    """Return how long an alert that somebody resolved stays so while its rule holds."""
    return timedelta(seconds=watch.quiet_s if watch.again_s is None else watch.again_s)


def _is_to_be_raised_again(watch: Watch, track: Track, when: When) -> bool:
    return track.ended_at is not None and when.received_at - track.ended_at >= again_after(watch)


def _raise(
    of: Subject, watch: Watch, track: Track, finding: Finding, *, key: str, at: datetime
) -> tuple[Track, tuple[Told, ...]]:
    raised = _raised(of, watch, key, track.since or at, finding)
    times: tuple[datetime, ...] = ()
    if watch.flap_count:
        recent = (one for one in track.raised if at - one < timedelta(seconds=watch.flap_s))
        times = (*recent, at)[-watch.flap_count :]
    return track._replace(alert_id=raised.alert_id, breached_at=at, raised=times), (raised,)


def _raised(of: Subject, watch: Watch, key: str, since: datetime, finding: Finding) -> RaiseAlert:
    named = [of.watch_id, str(of.version), of.device_id, key, since.astimezone(UTC).isoformat()]
    if of.level:
        named.append(str(of.level))
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
