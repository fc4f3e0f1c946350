"""These are the commands, the events, the state and the rules of planned maintenance, in which no alert is raised."""

from dataclasses import replace
from datetime import datetime
from typing import ClassVar, assert_never

from domain.fleet.values import TagKey
from domain.given import Given
from domain.message import Command, Decider, Event, classes_of, filled, known, value
from domain.rejection import invalid, not_allowed, not_found
from schemas.envelope import StreamId
from schemas.values import Id, Instant, Name, Text

# --- commands


@value
class _OfMaintenance(Command):
    maintenance_id: Id

    @property
    def stream(self) -> StreamId:
        return StreamId(f"maintenance-{self.maintenance_id}")


@value
class PlanMaintenance(_OfMaintenance):
    """What a device reports from `begins_at` to before `ends_at` is not shown to the watches.

    Shape: of one device, or of each device that has the tag `tag_key` then, with `tag_value` only of those where it has
    that value. Planned again it is at the other time.
    """

    begins_at: Instant
    ends_at: Instant
    device_id: Id | None = None
    tag_key: TagKey | None = None
    tag_value: Name | None = None
    reason: Text = ""


@value
class CancelMaintenance(_OfMaintenance):
    """What goes on ends now."""

    reason: Text = ""


MaintenanceCommand = PlanMaintenance | CancelMaintenance

# --- events


@value
class MaintenancePlanned(Event):
    TYPE: ClassVar = "maintenance.planned"
    begins_at: datetime
    ends_at: datetime
    device_id: str | None
    tag_key: str | None
    tag_value: str | None
    reason: str


@value
class MaintenanceCancelled(Event):
    TYPE: ClassVar = "maintenance.cancelled"
    reason: str


MaintenanceEvent = MaintenancePlanned | MaintenanceCancelled

# --- state


@value
class Maintenance:
    planned: MaintenancePlanned
    cancelled: bool = False


def evolve_maintenance(state: Maintenance | None, event: MaintenanceEvent) -> Maintenance:
    match event:
        case MaintenancePlanned():
            return Maintenance(planned=event)
        case MaintenanceCancelled():
            return replace(known(state), cancelled=True)
        case _:
            assert_never(event)


# --- rules


def decide_maintenance(
    command: MaintenanceCommand, state: Maintenance | None, given: Given
) -> tuple[MaintenanceEvent, ...]:
    match command:
        case PlanMaintenance():
            _check(command)
            planned = filled(MaintenancePlanned, command)
            return () if state == Maintenance(planned=planned) else (planned,)
        case CancelMaintenance():
            if state is None:
                raise not_found(f"maintenance {command.maintenance_id} is not known")
            if state.cancelled:
                return ()
            if state.planned.ends_at <= given.now:
                raise not_allowed(f"maintenance {command.maintenance_id} is over")
            return (MaintenanceCancelled(reason=command.reason),)
        case _:
            assert_never(command)


def _check(command: PlanMaintenance) -> None:
    if command.begins_at >= command.ends_at:
        raise invalid("`begins_at` must be before `ends_at`")
    if (command.device_id is None) == (command.tag_key is None):
        raise invalid("a maintenance is of a `device_id` or of a `tag_key`; name one of them")
    if command.tag_value is not None and command.tag_key is None:
        raise invalid("`tag_value` needs a `tag_key`")


MAINTENANCE = Decider(
    category="maintenance",
    commands=classes_of(MaintenanceCommand),
    events=classes_of(MaintenanceEvent),
    decide=decide_maintenance,
    evolve=evolve_maintenance,
)
