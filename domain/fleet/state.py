"""What is known of a device and of an alert, folded from their events."""

from collections.abc import Mapping
from dataclasses import fields, replace
from enum import StrEnum
from typing import assert_never

from domain.fleet.events import (
    AlertAcknowledged,
    AlertEvent,
    AlertRaised,
    AlertResolved,
    DeviceEvent,
    DeviceRegistered,
    DeviceRetired,
    DeviceStatusChanged,
    DeviceTagged,
    DeviceUpdated,
    WatchDefined,
    WatchEvent,
    WatchRemoved,
)
from domain.fleet.rules import FIELDS, KINDS, Rule
from domain.message import known, value


class DeviceStatus(StrEnum):
    PENDING = "PENDING"
    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"
    MAINTENANCE = "MAINTENANCE"
    DECOMMISSIONED = "DECOMMISSIONED"
    ARCHIVED = "ARCHIVED"
    DELETED = "DELETED"


class AlertStatus(StrEnum):
    OPEN = "OPEN"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RESOLVED = "RESOLVED"


@value
class Device:
    """Shape: `description` holds the fields of `device.registered` that are known."""

    status: DeviceStatus
    description: Mapping[str, str]
    tags: Mapping[str, str]


@value
class Alert:
    status: AlertStatus
    severity: str
    rule: str
    device_id: str | None


@value
class Watch:
    name: str
    severity: str
    device_id: str | None
    quiet_s: int
    rule: Rule
    removed: bool = False


DESCRIPTION = tuple(field.name for field in fields(DeviceUpdated))


def description_of(event: DeviceRegistered | DeviceUpdated) -> dict[str, str]:
    """Return the fields that the event gives a value."""
    return {name: text for name in DESCRIPTION if (text := getattr(event, name)) is not None}


def evolve_device(state: Device | None, event: DeviceEvent) -> Device:
    match event:
        case DeviceRegistered():
            return Device(status=DeviceStatus.PENDING, description=description_of(event), tags={})
        case DeviceUpdated():
            device = known(state)
            return replace(device, description={**device.description, **description_of(event)})
        case DeviceTagged():
            device = known(state)
            return replace(device, tags={**device.tags, event.key: event.value})
        case DeviceStatusChanged():
            return replace(known(state), status=DeviceStatus(event.to_status))
        case DeviceRetired():
            return replace(known(state), status=DeviceStatus.DECOMMISSIONED)
        case _:
            assert_never(event)


def evolve_alert(state: Alert | None, event: AlertEvent) -> Alert:
    match event:
        case AlertRaised():
            return Alert(status=AlertStatus.OPEN, severity=event.severity, rule=event.rule, device_id=event.device_id)
        case AlertAcknowledged():
            return replace(known(state), status=AlertStatus.ACKNOWLEDGED)
        case AlertResolved():
            return replace(known(state), status=AlertStatus.RESOLVED)
        case _:
            assert_never(event)


def evolve_watch(state: Watch | None, event: WatchEvent) -> Watch:
    match event:
        case WatchDefined():
            return watch_of(event)
        case WatchRemoved():
            return replace(known(state), removed=True)
        case _:
            assert_never(event)


def watch_of(event: WatchDefined) -> Watch:
    return Watch(
        name=event.name,
        severity=event.severity,
        device_id=event.device_id,
        quiet_s=event.quiet_s,
        rule=KINDS[event.kind](**{name: getattr(event, name) for name in FIELDS[event.kind]}),
    )
