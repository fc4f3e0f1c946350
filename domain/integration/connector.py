"""These are the commands, the events and the rules of a connector: a system outside that sends its changes."""

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, ClassVar, assert_never

from pydantic import Field, StringConstraints

from domain.automation.provider_key import Sealed
from domain.given import Given
from domain.integration.personal import FieldName, PersonalFields
from domain.message import Command, Decider, Event, KeptApart, classes_of, filled, known, value
from domain.rejection import conflict, not_allowed, not_found
from schemas.envelope import StreamId
from schemas.values import Id, Name, Text

ConnectorId = Annotated[Id, StringConstraints(max_length=60)]


class ConnectorFormat(StrEnum):
    """What a body is: one message of any kind, or changes of rows as Debezium tells them."""

    WEBHOOK = "webhook"
    DEBEZIUM = "debezium"


def connector_stream(connector_id: str) -> StreamId:
    return StreamId(f"connector-{connector_id}")


# --- commands


@value
class _OfConnector(Command):
    connector_id: ConnectorId

    @property
    def stream(self) -> StreamId:
        return connector_stream(self.connector_id)


@value
class RegisterConnector(_OfConnector):
    """Take what a system outside sends from now on. Shape: the server makes the secret and seals it."""

    IS_OURS: ClassVar = True
    tool_type: Name
    format: ConnectorFormat
    sealed: Sealed
    personal_fields: PersonalFields = ()
    person_field: FieldName | None = None


@value
class RotateConnectorSecret(_OfConnector):
    """Take what comes with another secret from now on; the one before is forgotten."""

    IS_OURS: ClassVar = True
    sealed: Sealed


@value
class PauseConnector(_OfConnector):
    """Take nothing until it is resumed; who sends is told to come again."""

    reason: Text = ""


@value
class ResumeConnector(_OfConnector):
    """Take again what comes."""

    reason: Text = ""


@value
class RemoveConnector(_OfConnector):
    """Take nothing any more, and forget the secret."""

    reason: Text = ""


@value
class NamePersonalFields(_OfConnector):
    """Say which fields are personal in what comes from now on, at any depth, and which one says whose they are.

    Shape: all of it anew. Without `person_field` each record outside is a person by itself.
    """

    personal_fields: PersonalFields
    person_field: FieldName | None = None


@value
class NoteRefusedChanges(_OfConnector):
    """Count what came and could not be recorded."""

    IS_OURS: ClassVar = True
    count: Annotated[int, Field(strict=True, ge=1)]
    reason: Text


ConnectorCommand = (
    RegisterConnector
    | RotateConnectorSecret
    | PauseConnector
    | ResumeConnector
    | RemoveConnector
    | NamePersonalFields
    | NoteRefusedChanges
)

# --- events


@value
class ConnectorRegistered(Event):
    TYPE: ClassVar = "connector.registered"
    tool_type: str
    format: str
    sealed: Annotated[str | None, KeptApart()] = None


@value
class ConnectorSecretRotated(Event):
    """Shape: `number` counts the secrets of the connector."""

    TYPE: ClassVar = "connector.secret.rotated"
    number: int
    sealed: Annotated[str | None, KeptApart()] = None


@value
class ConnectorPaused(Event):
    TYPE: ClassVar = "connector.paused"
    reason: str


@value
class ConnectorResumed(Event):
    TYPE: ClassVar = "connector.resumed"
    reason: str


@value
class ConnectorRemoved(Event):
    TYPE: ClassVar = "connector.removed"
    reason: str


@value
class ConnectorPersonalNamed(Event):
    """Shape: `number` counts how often it was said what is personal."""

    TYPE: ClassVar = "connector.personal.named"
    number: int
    personal_fields: tuple[str, ...]
    person_field: str | None


@value
class ConnectorChangesRefused(Event):
    """Shape: `count` of one request could not be recorded, `total` so far with these; `reason` is the first one's."""

    TYPE: ClassVar = "connector.changes.refused"
    count: int
    total: int
    reason: str


ConnectorEvent = (
    ConnectorRegistered
    | ConnectorSecretRotated
    | ConnectorPaused
    | ConnectorResumed
    | ConnectorRemoved
    | ConnectorPersonalNamed
    | ConnectorChangesRefused
)

# --- state


class ConnectorStatus(StrEnum):
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    REMOVED = "REMOVED"


@value
class Connector:
    """Shape: `secrets` and `refused` count what there was so far, `naming` how often it was said what is personal."""

    tool_type: str
    status: ConnectorStatus = ConnectorStatus.ACTIVE
    secrets: int = 1
    refused: int = 0
    naming: int = 0


def evolve_connector(state: Connector | None, event: ConnectorEvent) -> Connector:
    if isinstance(event, ConnectorRegistered):
        return Connector(tool_type=event.tool_type)
    connector = known(state)
    match event:
        case ConnectorSecretRotated():
            return replace(connector, secrets=event.number)
        case ConnectorPaused():
            return replace(connector, status=ConnectorStatus.PAUSED)
        case ConnectorResumed():
            return replace(connector, status=ConnectorStatus.ACTIVE)
        case ConnectorRemoved():
            return replace(connector, status=ConnectorStatus.REMOVED)
        case ConnectorPersonalNamed():
            return replace(connector, naming=event.number)
        case ConnectorChangesRefused():
            return replace(connector, refused=event.total)
        case _:
            assert_never(event)


# --- rules


def decide_connector(command: ConnectorCommand, state: Connector | None, _given: Given) -> tuple[ConnectorEvent, ...]:
    if isinstance(command, RegisterConnector):
        if state is not None:
            raise conflict(f"connector {command.connector_id} is there already; take another connector_id")
        registered = filled(ConnectorRegistered, command, format=command.format.value)
        is_named = command.personal_fields or command.person_field
        return (registered, _named(command, 1)) if is_named else (registered,)
    if state is None:
        raise not_found(f"connector {command.connector_id} is not known")
    if isinstance(command, RemoveConnector):
        return () if state.status is ConnectorStatus.REMOVED else (filled(ConnectorRemoved, command),)
    if state.status is ConnectorStatus.REMOVED:
        raise not_allowed(f"connector {command.connector_id} is removed; register another one")
    return _manage(command, state)


def _manage(
    command: RotateConnectorSecret | PauseConnector | ResumeConnector | NamePersonalFields | NoteRefusedChanges,
    state: Connector,
) -> tuple[ConnectorEvent, ...]:
    match command:
        case RotateConnectorSecret():
            return (filled(ConnectorSecretRotated, command, number=state.secrets + 1),)
        case PauseConnector():
            return () if state.status is ConnectorStatus.PAUSED else (filled(ConnectorPaused, command),)
        case ResumeConnector():
            return () if state.status is ConnectorStatus.ACTIVE else (filled(ConnectorResumed, command),)
        case NamePersonalFields():
            return (_named(command, state.naming + 1),)
        case NoteRefusedChanges():
            return (filled(ConnectorChangesRefused, command, total=state.refused + command.count),)
        case _:
            assert_never(command)


def _named(command: RegisterConnector | NamePersonalFields, number: int) -> ConnectorPersonalNamed:
    if command.person_field in command.personal_fields:
        raise not_allowed(f"{command.person_field} says whose the personal fields are, so it cannot be one of them")
    return filled(ConnectorPersonalNamed, command, number=number)


CONNECTOR = Decider(
    category="connector",
    commands=classes_of(ConnectorCommand),
    events=classes_of(ConnectorEvent),
    decide=decide_connector,
    evolve=evolve_connector,
)
