"""This process of the fleet context tells organizations which devices they have."""

from collections.abc import Sequence

from domain.fleet.device import DeviceRegistered, DeviceRetired, DeviceUpdated
from domain.identity.organization_devices import AddDevice, RemoveDevice
from domain.message import Event
from domain.process import Action, Around, Ask, Process, ProcessAnswered
from schemas.envelope import Envelope, StreamId, id_of

_JOIN, _LEAVE = "join", "leave"

_OfDevice = DeviceRegistered | DeviceUpdated | DeviceRetired


def _device_of(event: _OfDevice, envelope: Envelope) -> str | None:
    if not isinstance(event, DeviceRetired) and event.organization_id is None:
        return None
    return id_of(envelope.stream)


def evolve_membership(state: str | None, event: Event) -> str | None:
    """Return the organization that has the device, from what the organizations answered."""
    if not isinstance(event, ProcessAnswered) or event.refused:
        return state
    return id_of(StreamId(event.stream)) if event.step == _JOIN else None


def react_membership(state: str | None, event: _OfDevice | ProcessAnswered, around: Around) -> Sequence[Action]:
    if isinstance(event, ProcessAnswered):
        return []
    wanted = None if isinstance(event, DeviceRetired) else event.organization_id
    if wanted == state:
        return []
    leave = [] if state is None else [Ask(_LEAVE, RemoveDevice(organization_id=state, device_id=around.id))]
    join = [] if wanted is None else [Ask(_JOIN, AddDevice(organization_id=wanted, device_id=around.id))]
    return [*leave, *join]


DEVICE_MEMBERSHIP = Process(
    name="device_membership",
    listens=(DeviceRegistered, DeviceUpdated, DeviceRetired),
    route=_device_of,
    evolve=evolve_membership,
    react=react_membership,
)
