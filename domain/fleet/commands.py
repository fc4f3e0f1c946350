"""What can be asked of devices and alerts."""

from typing import Annotated

from pydantic import Field

from domain.fleet.rules import Rule
from domain.fleet.state import DeviceStatus
from domain.fleet.values import Reading, Severity, TagKey
from domain.message import Command, value
from schemas.envelope import StreamId
from schemas.values import Id, Name, Text


@value
class _OfDevice(Command):
    device_id: Id

    @property
    def stream(self) -> StreamId:
        return StreamId(f"device-{self.device_id}")


@value
class _Description(_OfDevice):
    os_type: Name | None = None
    os_version: Name | None = None
    device_type: Name | None = None
    serial: Name | None = None
    manufacturer: Name | None = None
    model: Name | None = None
    ip: Name | None = None
    mac: Name | None = None
    agent_version: Name | None = None
    organization_id: Id | None = None


@value
class RegisterDevice(_Description):
    hostname: Name


@value
class UpdateDevice(_Description):
    """What is left out stays as it is."""

    hostname: Name | None = None


@value
class TagDevice(_OfDevice):
    key: TagKey
    value: Name


@value
class ChangeDeviceStatus(_OfDevice):
    status: DeviceStatus
    reason: Text = ""


@value
class RetireDevice(_OfDevice):
    reason: Text = ""


@value
class _OfAlert(Command):
    alert_id: Id

    @property
    def stream(self) -> StreamId:
        return StreamId(f"alert-{self.alert_id}")


@value
class RaiseAlert(_OfAlert):
    """Units: `window` is in seconds."""

    severity: Severity
    rule: Name
    device_id: Id | None = None
    value: Reading | None = None
    threshold: Reading | None = None
    window: Annotated[int, Field(ge=1)] | None = None


@value
class AcknowledgeAlert(_OfAlert):
    note: Text = ""


@value
class ResolveAlert(_OfAlert):
    note: Text = ""


@value
class _OfWatch(Command):
    watch_id: Id

    @property
    def stream(self) -> StreamId:
        return StreamId(f"watch-{self.watch_id}")


@value
class DefineWatch(_OfWatch):
    """Raise an alert where the rule holds, and resolve it when it has not held for `quiet_s` seconds.

    Shape: `name` is what its alerts say; no `device_id` means each device of the tenant, by itself. A watch looks at
    what is recorded after it; defined again it begins anew, and what it had open is resolved.
    """

    name: Name
    severity: Severity
    rule: Annotated[Rule, Field(discriminator="kind")]
    device_id: Id | None = None
    quiet_s: Annotated[int, Field(ge=1, le=86_400)] = 300


@value
class RemoveWatch(_OfWatch):
    """Its open alerts are resolved."""

    reason: Text = ""
