"""These are the commands, the events, the state and the rules of the devices that one organization has."""

from collections.abc import Mapping
from typing import ClassVar, assert_never

from domain.given import Given
from domain.identity.organization import devices_stream, organization_stream, refuse_archived
from domain.message import Command, Decider, Event, classes_of, value
from domain.rejection import not_found
from schemas.envelope import Actor, StreamId
from schemas.values import Id

# --- commands


@value
class _OfDevices(Command):
    # an organization could be archived while devices still name it
    IS_OURS: ClassVar = True
    organization_id: Id
    device_id: Id

    @property
    def stream(self) -> StreamId:
        return devices_stream(self.organization_id)


@value
class AddDevice(_OfDevices):
    """A process sends it for each device that is registered or updated with the organization's id.

    Shape: the organization may be created later.
    """


@value
class RemoveDevice(_OfDevices):
    pass


DevicesCommand = AddDevice | RemoveDevice

# --- events


@value
class OrganizationDeviceAdded(Event):
    """Shape: `devices` is how many the organization has now."""

    TYPE: ClassVar = "organization.device.added"
    device_id: str
    devices: int


@value
class OrganizationDeviceRemoved(Event):
    TYPE: ClassVar = "organization.device.removed"
    device_id: str
    devices: int


DevicesEvent = OrganizationDeviceAdded | OrganizationDeviceRemoved

# --- state

Devices = Mapping[str, bool]
"""The ids of the devices: a set that can be shown, in the order in which they came."""


@value
class OrganizationDevices:
    ids: Devices

    def __len__(self) -> int:
        return len(self.ids)


def evolve_devices(state: OrganizationDevices | None, event: DevicesEvent) -> OrganizationDevices:
    ids = {} if state is None else state.ids
    match event:
        case OrganizationDeviceAdded():
            return OrganizationDevices(ids={**ids, event.device_id: True})
        case OrganizationDeviceRemoved():
            return OrganizationDevices(ids={id_: True for id_ in ids if id_ != event.device_id})
        case _:
            assert_never(event)


# --- rules


def devices_reads(command: DevicesCommand, _actor: Actor) -> tuple[StreamId, ...]:
    return (organization_stream(command.organization_id),) if isinstance(command, AddDevice) else ()


def decide_devices(
    command: DevicesCommand, state: OrganizationDevices | None, given: Given
) -> tuple[DevicesEvent, ...]:
    ids, id_ = {} if state is None else state.ids, command.device_id
    match command:
        case AddDevice():
            refuse_archived(command.organization_id, given.streams.get(organization_stream(command.organization_id)))
            return () if id_ in ids else (OrganizationDeviceAdded(device_id=id_, devices=len(ids) + 1),)
        case RemoveDevice():
            if state is None:
                raise not_found(f"organization {command.organization_id} never had a device")
            return (OrganizationDeviceRemoved(device_id=id_, devices=len(ids) - 1),) if id_ in ids else ()
        case _:
            assert_never(command)


ORGANIZATION_DEVICES = Decider(
    category="organization_devices",
    commands=classes_of(DevicesCommand),
    events=classes_of(DevicesEvent),
    decide=decide_devices,
    evolve=evolve_devices,
    reads=devices_reads,
)
