"""What a watch knows of one device, and how the clock of the device is put right in it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

AHEAD_S = 60
"""How far what is known may lie ahead of its recording before an earlier instant means that a clock was set back."""

_TICK = timedelta(microseconds=1)


class Subject(NamedTuple):
    """What is looked at: one definition of a watch, at one device; `level` counts its further levels from 1."""

    watch_id: str
    version: int
    device_id: str
    level: int = 0


class Sample(NamedTuple):
    """What one fact says to a watch.

    Shape: `value` is a reading, or a number of failures: with 0 only time has passed. `bound` is what the reading is
    beyond, for a watch that looks for what is unusual. `recorded_at` None means that it was recorded as it happened.
    With `again` it says the line before it once more, `value` times.
    """

    at: datetime
    value: float
    key: str = ""
    bound: float | None = None
    recorded_at: datetime | None = None
    again: bool = False

    @property
    def received_at(self) -> datetime:
        return self.recorded_at or self.at


class Track(NamedTuple):
    """What is known of one key.

    Shape: a breach that goes on began at `since`; `breached_at` is when an open alert's rule held last. `intervals` are
    the seconds between the last readings, the newest last. `ended_at` is when somebody resolved the open alert, as it
    was recorded. `raised` are the moments of the last alerts, for the guard against flapping.
    """

    since: datetime | None = None
    recent: tuple[tuple[datetime, float], ...] = ()
    alert_id: str | None = None
    breached_at: datetime | None = None
    intervals: tuple[float, ...] = ()
    ended_at: datetime | None = None
    raised: tuple[datetime, ...] = ()


class Seen(NamedTuple):
    """What a watch knows of one device: nothing but what it needs to go on.

    Shape: `at` is the newest instant it was told of; at `due` some track ends if nothing more is heard of its key.
    `ahead_s` is how far the clock of what comes ahead of its recording is wrong, where that is known. `last` is the key
    of the device's last log line if that was a failure. `newest` is when the breach of its last alert began.
    """

    at: datetime | None = None
    tracks: Mapping[str, Track] = {}
    due: datetime | None = None
    ahead_s: float = 0
    last: str | None = None
    newest: datetime | None = None


NOTHING_SEEN = Seen()


def by_its_clock(seen: Seen, sample: Sample) -> tuple[Seen, Sample]:
    """Return both on one clock.

    Shape: a device is judged by its own clock, whatever that says, so the readings of a batch keep their order and
    their distances. Where a clock that was ahead is set back, what is known moves back with it: else the watch would be
    deaf until the old time comes again.
    """
    received = sample.received_at
    is_ahead = sample.at > received
    if not is_ahead and (seen.at is None or sample.at >= seen.at):
        return seen, sample
    at = sample.at - timedelta(seconds=seen.ahead_s) if is_ahead else sample.at
    allowed = timedelta(seconds=AHEAD_S)
    if seen.at is None or seen.at - received <= allowed or seen.at - at <= allowed:
        return seen, sample._replace(at=at)
    if is_ahead:
        # still ahead, but less than before
        ahead_s, at = (sample.at - received).total_seconds(), received
    else:
        ahead_s = seen.ahead_s + (seen.at - at).total_seconds()
    return _moved(seen, seen.at - at + _TICK)._replace(ahead_s=ahead_s), sample._replace(at=at)


def _moved(seen: Seen, back: timedelta) -> Seen:
    def moved(at: datetime | None) -> datetime | None:
        return None if at is None else at - back

    tracks = {
        key: track._replace(
            since=moved(track.since),
            recent=tuple((at - back, value) for at, value in track.recent),
            breached_at=moved(track.breached_at),
            raised=tuple(at - back for at in track.raised),
        )
        for key, track in seen.tracks.items()
    }
    return seen._replace(at=moved(seen.at), tracks=tracks, due=moved(seen.due))


def is_open(seen: Seen, alert_id: str) -> bool:
    return any(track.alert_id == alert_id for track in seen.tracks.values())


def ended(seen: Seen, alert_id: str, at: datetime) -> Seen:
    """Return what is known once somebody has resolved an alert that is open; `at` is when that was recorded."""
    tracks = {
        key: track._replace(ended_at=at) if track.alert_id == alert_id else track for key, track in seen.tracks.items()
    }
    return seen._replace(tracks=tracks)
