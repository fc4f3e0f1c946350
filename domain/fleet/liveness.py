"""A device that is ONLINE and not heard of for a while is OFFLINE, until it is heard of again."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from domain.fleet.device import ChangeDeviceStatus, DeviceEvent, DeviceRetired, DeviceStatus, DeviceStatusChanged
from domain.message import value
from schemas.envelope import Actor, ActorType, Envelope

SILENCE = timedelta(seconds=130)
"""What is a silence where nobody says it: two heartbeats of a minute may be lost. Source: the domain model."""

LIVENESS = Actor(ActorType.SYSTEM, "liveness")


class Listening(NamedTuple):
    """Since when somebody listens, who may not have heard what was said before, and how long a silence is."""

    began_at: datetime
    silence: timedelta = SILENCE


@value
class Life:
    """What is known of a device that is to be heard of: one that is ONLINE, or OFFLINE because it was silent.

    Shape: `version` is that of the device's stream; `since` is when it came online, or when it was missed; `heard_at`
    is when the last fact about it was recorded, None where none was since this process reads.
    """

    version: int
    is_online: bool
    since: datetime
    heard_at: datetime | None = None


def after_event(life: Life | None, event: DeviceEvent, envelope: Envelope) -> Life | None:
    """Return what is known after an event of a device, None where it need not be heard of: a person gave the status."""
    heard_at = None if life is None else life.heard_at
    match event:
        case DeviceStatusChanged(to_status=DeviceStatus.ONLINE):
            return Life(version=envelope.version, is_online=True, since=envelope.recorded_at, heard_at=heard_at)
        case DeviceStatusChanged(to_status=DeviceStatus.OFFLINE) if envelope.actor == LIVENESS:
            return Life(version=envelope.version, is_online=False, since=envelope.happened_at, heard_at=heard_at)
        case DeviceStatusChanged() | DeviceRetired():
            return None
        case _:
            return None if life is None else replace(life, version=envelope.version)


def heard(life: Life, at: datetime) -> Life:
    """Return what is known after a fact about the device that was recorded at this instant."""
    return life if life.heard_at is not None and at <= life.heard_at else replace(life, heard_at=at)


def missed_at(life: Life, listening: Listening) -> datetime | None:
    """Return when a device will be missed if nothing more is heard of it, None where it is OFFLINE already."""
    if not life.is_online:
        return None
    began_at, silence = listening
    return max(life.since, began_at, life.heard_at or began_at) + silence


def change_of(device_id: str, life: Life, listening: Listening, now: datetime) -> ChangeDeviceStatus | None:
    """Return the command that a silence up to `now`, or its end, leads to."""
    missed = missed_at(life, listening)
    if missed is not None and missed <= now:
        reason = f"nothing was heard of it for {listening.silence.total_seconds():.0f} s"
        return ChangeDeviceStatus(device_id=device_id, status=DeviceStatus.OFFLINE, reason=reason)
    if not life.is_online and life.heard_at is not None and life.heard_at > life.since:
        return ChangeDeviceStatus(device_id=device_id, status=DeviceStatus.ONLINE, reason="it was heard of again")
    return None
