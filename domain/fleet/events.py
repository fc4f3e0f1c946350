"""What happened to devices and alerts."""

from typing import Annotated, ClassVar

from pydantic import Field

from domain.message import Event, value


@value
class _Description(Event):
    os_type: str | None
    os_version: str | None
    device_type: str | None
    serial: str | None
    manufacturer: str | None
    model: str | None
    ip: str | None
    mac: str | None
    agent_version: str | None
    organization_id: str | None


@value
class DeviceRegistered(_Description):
    TYPE: ClassVar = "device.registered"
    hostname: str


@value
class DeviceUpdated(_Description):
    """Only what changed has a value."""

    TYPE: ClassVar = "device.updated"
    hostname: str | None


@value
class DeviceTagged(Event):
    TYPE: ClassVar = "device.tagged"
    key: str
    value: str


@value
class DeviceStatusChanged(Event):
    TYPE: ClassVar = "device.status.changed"
    from_status: Annotated[str, Field(alias="from")]
    to_status: Annotated[str, Field(alias="to")]
    reason: str


@value
class DeviceRetired(Event):
    TYPE: ClassVar = "device.retired"
    reason: str


@value
class AlertRaised(Event):
    """Units: `window` is in seconds."""

    TYPE: ClassVar = "alert.raised"
    severity: str
    rule: str
    device_id: str | None
    value: float | None
    threshold: float | None
    window: int | None


@value
class AlertAcknowledged(Event):
    TYPE: ClassVar = "alert.acknowledged"
    note: str


@value
class AlertResolved(Event):
    TYPE: ClassVar = "alert.resolved"
    note: str


@value
class WatchDefined(Event):
    """Shape: of the fields after `kind`, those of that kind of rule have a value."""

    TYPE: ClassVar = "watch.defined"
    name: str
    severity: str
    device_id: str | None
    quiet_s: int
    kind: str
    metric: str | None
    above: float | None
    below: float | None
    clear: float | None
    for_s: int | None
    by: float | None
    within_s: int | None
    contains: str | None
    key_after: str | None
    count: int | None
    quantile: float | None


@value
class WatchRemoved(Event):
    TYPE: ClassVar = "watch.removed"
    reason: str


DeviceEvent = DeviceRegistered | DeviceUpdated | DeviceTagged | DeviceStatusChanged | DeviceRetired
AlertEvent = AlertRaised | AlertAcknowledged | AlertResolved
WatchEvent = WatchDefined | WatchRemoved
