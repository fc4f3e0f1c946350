"""These are the commands, the events, the state and the rules of a device."""

from collections.abc import Mapping
from dataclasses import field, replace
from enum import StrEnum
from typing import Annotated, ClassVar, assert_never

from pydantic import Field, StringConstraints

from domain.fleet.values import TagKey
from domain.given import Given
from domain.identity.organization import organization_stream, refuse_archived
from domain.message import Command, Decider, Event, changed, classes_of, described, filled, known, value
from domain.rejection import conflict, not_allowed, not_found
from schemas.envelope import Actor, StreamId
from schemas.values import Id, Name, Text


class DeviceStatus(StrEnum):
    PENDING = "PENDING"
    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"
    MAINTENANCE = "MAINTENANCE"
    DECOMMISSIONED = "DECOMMISSIONED"
    ARCHIVED = "ARCHIVED"
    DELETED = "DELETED"


ProgramDigest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""The SHA-256 of a program."""


def device_stream(device_id: str) -> StreamId:
    return StreamId(f"device-{device_id}")


# --- commands


@value
class _OfDevice(Command):
    device_id: Id

    @property
    def stream(self) -> StreamId:
        return device_stream(self.device_id)


@value
class _Describes(_OfDevice):
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
class RegisterDevice(_Describes):
    hostname: Name


@value
class UpdateDevice(_Describes):
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
class OfferAgent(_OfDevice):
    """Have the device's agent become this version, as a release says; it takes the place of an earlier offer."""

    IS_OURS: ClassVar = True
    release_id: Id
    version: Name
    digest: ProgramDigest


@value
class WithdrawAgent(_OfDevice):
    """Take back what a release offered, where the device does not run it yet and nothing else was offered since."""

    IS_OURS: ClassVar = True
    release_id: Id


CommandOfKnown = UpdateDevice | TagDevice | ChangeDeviceStatus | RetireDevice | OfferAgent | WithdrawAgent
DeviceCommand = RegisterDevice | CommandOfKnown

# --- events


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
class AgentOffered(Event):
    """Shape: `digest` is that of the program; the device says by its `agent_version` that it runs it."""

    TYPE: ClassVar = "device.agent.offered"
    release_id: str
    version: str
    digest: str


@value
class AgentWithdrawn(Event):
    TYPE: ClassVar = "device.agent.withdrawn"
    release_id: str


DeviceEvent = (
    DeviceRegistered
    | DeviceUpdated
    | DeviceTagged
    | DeviceStatusChanged
    | DeviceRetired
    | AgentOffered
    | AgentWithdrawn
)


# --- state


@value
class Device:
    """Shape: `description` holds the fields of `device.registered` that are known; `offered` is for the rules only."""

    status: DeviceStatus
    description: Mapping[str, str]
    tags: Mapping[str, str]
    offered: AgentOffered | None = field(default=None, repr=False)

    def runs(self, version: str) -> bool:
        return self.description.get("agent_version") == version


def evolve_device(state: Device | None, event: DeviceEvent) -> Device:
    match event:
        case DeviceRegistered():
            return Device(status=DeviceStatus.PENDING, description=described(event, DeviceUpdated), tags={})
        case DeviceUpdated():
            device = known(state)
            return replace(device, description={**device.description, **described(event, DeviceUpdated)})
        case DeviceTagged():
            device = known(state)
            return replace(device, tags={**device.tags, event.key: event.value})
        case DeviceStatusChanged():
            return replace(known(state), status=DeviceStatus(event.to_status))
        case DeviceRetired():
            return replace(known(state), status=DeviceStatus.DECOMMISSIONED)
        case AgentOffered():
            return replace(known(state), offered=event)
        case AgentWithdrawn():
            return replace(known(state), offered=None)
        case _:
            assert_never(event)


# --- rules

_PENDING, _ONLINE, _OFFLINE = DeviceStatus.PENDING, DeviceStatus.ONLINE, DeviceStatus.OFFLINE
_MAINTENANCE, _ARCHIVED, _DELETED = DeviceStatus.MAINTENANCE, DeviceStatus.ARCHIVED, DeviceStatus.DELETED
_DECOMMISSIONED = DeviceStatus.DECOMMISSIONED

NEXT: Mapping[DeviceStatus, tuple[DeviceStatus, ...]] = {
    _PENDING: (_ONLINE, _OFFLINE, _MAINTENANCE),
    _ONLINE: (_OFFLINE, _MAINTENANCE),
    _OFFLINE: (_ONLINE, _MAINTENANCE),
    _MAINTENANCE: (_ONLINE, _OFFLINE),
    _DECOMMISSIONED: (_ARCHIVED, _DELETED),
    _ARCHIVED: (_DELETED,),
    _DELETED: (),
}
"""The statuses a device may be given next. DECOMMISSIONED has a command of its own, RetireDevice."""

RETIRED = (_DECOMMISSIONED, _ARCHIVED, _DELETED)


def device_reads(command: DeviceCommand, _actor: Actor) -> tuple[StreamId, ...]:
    """Name the organization that a device is given to."""
    given_to = command.organization_id if isinstance(command, _Describes) else None
    return () if given_to is None else (organization_stream(given_to),)


def decide_device(command: DeviceCommand, state: Device | None, given: Given) -> tuple[DeviceEvent, ...]:
    if isinstance(command, _Describes) and command.organization_id is not None:
        refuse_archived(command.organization_id, given.streams.get(organization_stream(command.organization_id)))
    if isinstance(command, RegisterDevice):
        if state is not None:
            raise conflict(f"device {command.device_id} is registered already")
        return (filled(DeviceRegistered, command),)
    if state is None:
        raise not_found(f"device {command.device_id} is not known; register it first")
    return _go_on(command, state)


def _go_on(command: CommandOfKnown, state: Device) -> tuple[DeviceEvent, ...]:
    match command:
        case UpdateDevice():
            return _update(command, state)
        case TagDevice():
            _refuse_retired(command.device_id, state)
            if state.tags.get(command.key) == command.value:
                return ()
            return (filled(DeviceTagged, command),)
        case ChangeDeviceStatus():
            return _change_status(command, state)
        case RetireDevice():
            return () if state.status in RETIRED else (DeviceRetired(reason=command.reason),)
        case OfferAgent() | WithdrawAgent():
            return _offer(command, state)
        case _:
            assert_never(command)


def _update(command: UpdateDevice, state: Device) -> tuple[DeviceEvent, ...]:
    _refuse_retired(command.device_id, state)
    return changed(DeviceUpdated, command, state.description)


def _change_status(command: ChangeDeviceStatus, state: Device) -> tuple[DeviceEvent, ...]:
    if command.status is state.status:
        return ()
    if command.status is _DECOMMISSIONED and state.status not in RETIRED:
        raise not_allowed(f"device {command.device_id} becomes DECOMMISSIONED by RetireDevice")
    if command.status not in NEXT[state.status]:
        raise not_allowed(f"device {command.device_id} cannot go from {state.status} to {command.status}")
    return (DeviceStatusChanged(from_status=state.status.value, to_status=command.status.value, reason=command.reason),)


def _offer(command: OfferAgent | WithdrawAgent, state: Device) -> tuple[DeviceEvent, ...]:
    offered = state.offered
    if isinstance(command, OfferAgent):
        _refuse_retired(command.device_id, state)
        offer = filled(AgentOffered, command)
        return () if offered == offer else (offer,)
    if offered is None or offered.release_id != command.release_id or state.runs(offered.version):
        return ()
    return (AgentWithdrawn(release_id=command.release_id),)


def _refuse_retired(device_id: str, state: Device) -> None:
    if state.status in RETIRED:
        raise not_allowed(f"device {device_id} is {state.status}")


DEVICE = Decider(
    category="device",
    commands=classes_of(DeviceCommand),
    events=classes_of(DeviceEvent),
    decide=decide_device,
    evolve=evolve_device,
    reads=device_reads,
)
