"""These are the commands, the events, the state and the rules of an organization."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, assert_never

from pydantic import Field

from domain.given import Given
from domain.message import Command, Decider, Event, changed, classes_of, described, filled, known, value
from domain.rejection import conflict, not_allowed, not_found
from schemas.envelope import Actor, StreamId
from schemas.values import Day, Id, Name, Text

Employees = Annotated[int, Field(strict=True, ge=0)]


def organization_stream(organization_id: str) -> StreamId:
    return StreamId(f"organization-{organization_id}")


def devices_stream(organization_id: str) -> StreamId:
    return StreamId(f"organization_devices-{organization_id}")


# --- commands


@value
class _OfOrganization(Command):
    organization_id: Id

    @property
    def stream(self) -> StreamId:
        return organization_stream(self.organization_id)


@value
class _Describes(_OfOrganization):
    category: Name | None = None
    employees: Employees | None = None
    contract_start: Day | None = None
    contract_end: Day | None = None


@value
class CreateOrganization(_Describes):
    name: Name


@value
class UpdateOrganization(_Describes):
    """What is left out stays as it is."""

    name: Name | None = None


@value
class ArchiveOrganization(_OfOrganization):
    """Refused while it has devices: retire them, or give them to another organization."""

    reason: Text = ""


OrganizationCommand = CreateOrganization | UpdateOrganization | ArchiveOrganization

# --- events


@value
class _Description(Event):
    category: str | None
    employees: int | None
    contract_start: str | None
    contract_end: str | None


@value
class OrganizationCreated(_Description):
    TYPE: ClassVar = "organization.created"
    name: str


@value
class OrganizationUpdated(_Description):
    """Only what changed has a value."""

    TYPE: ClassVar = "organization.updated"
    name: str | None


@value
class OrganizationArchived(Event):
    TYPE: ClassVar = "organization.archived"
    reason: str


OrganizationEvent = OrganizationCreated | OrganizationUpdated | OrganizationArchived


# --- state


@value
class Organization:
    """Shape: `description` holds the fields of `organization.created` that are known."""

    description: Mapping[str, str | int]
    archived: bool = False


def evolve_organization(state: Organization | None, event: OrganizationEvent) -> Organization:
    match event:
        case OrganizationCreated():
            return Organization(description=described(event, OrganizationUpdated))
        case OrganizationUpdated():
            before = known(state)
            return replace(before, description={**before.description, **described(event, OrganizationUpdated)})
        case OrganizationArchived():
            return replace(known(state), archived=True)
        case _:
            assert_never(event)


# --- rules


def organization_reads(command: OrganizationCommand, _actor: Actor) -> tuple[StreamId, ...]:
    """Name the stream of the organization's devices, where they matter."""
    return (devices_stream(command.organization_id),) if isinstance(command, ArchiveOrganization) else ()


def decide_organization(
    command: OrganizationCommand, state: Organization | None, given: Given
) -> tuple[OrganizationEvent, ...]:
    id_ = command.organization_id
    if isinstance(command, CreateOrganization):
        if state is not None:
            raise conflict(f"organization {id_} is created already")
        return (filled(OrganizationCreated, command),)
    if state is None:
        raise not_found(f"organization {id_} is not known; create it first")
    match command:
        case UpdateOrganization():
            return _update(command, state)
        case ArchiveOrganization():
            if devices := given.streams.get(devices_stream(id_)):
                raise not_allowed(f"organization {id_} has {len(devices)} devices; retire or move them first")
            return () if state.archived else (OrganizationArchived(reason=command.reason),)
        case _:
            assert_never(command)


def _update(command: UpdateOrganization, state: Organization) -> tuple[OrganizationUpdated, ...]:
    refuse_archived(command.organization_id, state)
    return changed(OrganizationUpdated, command, state.description)


def refuse_archived(organization_id: str, organization: Organization | None) -> None:
    """Do nothing where an organization takes changes and devices. Raises: CommandRejected, it is archived."""
    if organization is not None and organization.archived:
        raise not_allowed(f"organization {organization_id} is archived")


ORGANIZATION = Decider(
    category="organization",
    commands=classes_of(OrganizationCommand),
    events=classes_of(OrganizationEvent),
    decide=decide_organization,
    evolve=evolve_organization,
    reads=organization_reads,
)
