"""These are the commands, the events, the state and the rules of an alert."""

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, ClassVar, assert_never

from pydantic import Field

from domain.fleet.values import Reading, Severity
from domain.given import Given
from domain.message import Command, Decider, Event, classes_of, filled, known, value
from domain.rejection import conflict, not_allowed, not_found
from schemas.envelope import StreamId
from schemas.values import Id, Name, Text

# --- commands


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
    window: Annotated[int, Field(strict=True, ge=1)] | None = None


@value
class AcknowledgeAlert(_OfAlert):
    note: Text = ""


@value
class ResolveAlert(_OfAlert):
    note: Text = ""


AlertCommand = RaiseAlert | AcknowledgeAlert | ResolveAlert

# --- events


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


AlertEvent = AlertRaised | AlertAcknowledged | AlertResolved

# --- state


class AlertStatus(StrEnum):
    OPEN = "OPEN"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RESOLVED = "RESOLVED"


@value
class Alert:
    status: AlertStatus
    severity: str
    rule: str
    device_id: str | None


def evolve_alert(state: Alert | None, event: AlertEvent) -> Alert:
    match event:
        case AlertRaised():
            return filled(Alert, event, status=AlertStatus.OPEN)
        case AlertAcknowledged():
            return replace(known(state), status=AlertStatus.ACKNOWLEDGED)
        case AlertResolved():
            return replace(known(state), status=AlertStatus.RESOLVED)
        case _:
            assert_never(event)


# --- rules


def decide_alert(command: AlertCommand, state: Alert | None, _given: Given) -> tuple[AlertEvent, ...]:
    if isinstance(command, RaiseAlert):
        if state is not None:
            raise conflict(f"alert {command.alert_id} is raised already; a new occurrence needs a new alert_id")
        return (filled(AlertRaised, command),)
    if state is None:
        raise not_found(f"alert {command.alert_id} is not known")
    match command:
        case AcknowledgeAlert():
            if state.status is AlertStatus.RESOLVED:
                raise not_allowed(f"alert {command.alert_id} is RESOLVED")
            return () if state.status is AlertStatus.ACKNOWLEDGED else (AlertAcknowledged(note=command.note),)
        case ResolveAlert():
            return () if state.status is AlertStatus.RESOLVED else (AlertResolved(note=command.note),)
        case _:
            assert_never(command)


ALERT = Decider(
    category="alert",
    commands=classes_of(AlertCommand),
    events=classes_of(AlertEvent),
    decide=decide_alert,
    evolve=evolve_alert,
)
