"""These are the command, the event and the rules of a record outside: what a connector's system says became of it."""

import re
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import StringConstraints

from domain.given import Given
from domain.integration.connector import Connector, ConnectorId, ConnectorStatus, connector_stream
from domain.message import Command, Decider, Event, Personal, filled, value
from domain.rejection import not_allowed, not_now
from schemas.envelope import Actor, StreamId
from schemas.values import Id, Text

UNKNOWN = "UNKNOWN"
"""What a source says that is known to nobody here is recorded as this, with all that came."""

_SLUG = 30
SourceName = Annotated[str, StringConstraints(max_length=200)]
PersonName = Annotated[str, StringConstraints(max_length=300)]
"""A person of a connector: the value of a field, and before it the connector."""

RecordId = Annotated[Id, StringConstraints(max_length=32)]


class Op(StrEnum):
    """What became of the record. Source: Debezium's envelope, `op`."""

    CREATED = "c"
    READ = "r"
    UPDATED = "u"
    DELETED = "d"
    TRUNCATED = "t"
    MESSAGE = "m"
    UNKNOWN = "UNKNOWN"


def change_stream(connector_id: str, table: str, record: str) -> StreamId:
    """Return the stream of one record. Shape: `record` alone tells it from others; the table is for people."""
    slug = re.sub(r"[^A-Za-z0-9_]", "_", table)[:_SLUG]
    return StreamId(f"change-{connector_id}~{slug}~{record}")


@value
class IngestChange(Command):
    """Record what a connector's system says. Shape: `record` is a digest of what names the record there.

    `key` and `payload` are JSON, "" where there is no key. `personal` is a JSON object with the values that were taken
    out of the payload, of `person`, "" where the record is a person by itself; what is personal was said `naming`
    times by then.
    """

    IS_OURS: ClassVar = True
    connector_id: ConnectorId
    record: RecordId
    source_event_type: SourceName
    op: Op
    database: SourceName = ""
    schema_name: SourceName = ""
    table: SourceName = ""
    key: Text = ""
    source_position: Text = ""
    payload: Text
    person: PersonName = ""
    personal: Annotated[Text | None, Personal("person")] = None
    naming: int = 0

    @property
    def stream(self) -> StreamId:
        return change_stream(self.connector_id, self.table, self.record)


@value
class ChangeReceived(Event):
    """Shape: `key`, `source_position` and `payload` are JSON as the source sent it, "" for what it did not say.

    Where the payload says `[personal]`, `personal` has the value, by its JSON Pointer; it is of `person`, which is
    None where nothing is personal.
    """

    TYPE: ClassVar = "integration.received"
    VERSION: ClassVar = 2
    connector_id: str
    tool_type: str
    source_event_type: str
    op: str
    database: str
    schema_name: str
    table: str
    key: str
    source_position: str
    payload: str
    person: str | None = None
    personal: Annotated[str | None, Personal("person")] = None


@value
class Change:
    """Shape: what became of the record last."""

    op: str


def decide_change(command: IngestChange, _state: Change | None, given: Given) -> tuple[ChangeReceived]:
    connector: Connector | None = given.streams.get(connector_stream(command.connector_id))
    if connector is None or connector.status is ConnectorStatus.REMOVED:
        raise not_allowed(f"connector {command.connector_id} is not registered, or is removed")
    if connector.status is ConnectorStatus.PAUSED:
        raise not_now(f"connector {command.connector_id} is paused; send it again later")
    if command.naming != connector.naming:
        raise not_now(
            f"what is personal in what connector {command.connector_id} sends has just changed; send it again"
        )
    person = (command.person or str(command.stream)) if command.personal else None
    return (filled(ChangeReceived, command, tool_type=connector.tool_type, op=command.op.value, person=person),)


def evolve_change(_state: Change | None, event: ChangeReceived) -> Change:
    return Change(op=event.op)


def _connector_of(command: IngestChange, _actor: Actor) -> tuple[StreamId, ...]:
    return (connector_stream(command.connector_id),)


CHANGE = Decider(
    category="change",
    commands=(IngestChange,),
    events=(ChangeReceived,),
    decide=decide_change,
    evolve=evolve_change,
    reads=_connector_of,
)
