"""Every stored event has this envelope: who, what, when, why, and its place in the log."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, NewType, Self

TenantId = NewType("TenantId", str)
StreamId = NewType("StreamId", str)
StreamKey = tuple[TenantId, StreamId]


def category_of(stream: StreamId) -> str:
    return stream.partition("-")[0]


def id_of(stream: StreamId) -> str:
    return stream.partition("-")[2]


def id_at(event_id: str, place: int) -> str:
    """Return the id of what stands at a place of a record: that of the first is the record's."""
    return f"{event_id}.{place}" if place else event_id


SYSTEM_TENANT = TenantId("system")
"""The operator's own tenant: its keys may do what no other tenant's may."""


class Topic(StrEnum):
    """The two logs of a partition: what was decided, and what was observed."""

    EVENTS = "events"
    TELEMETRY = "telemetry"


class Position(NamedTuple):
    """A place in the log; as text (`events/0/42`) it is the read-your-writes token.

    Units: `position` grows from 1 within the topic's partition; that of events without a hole or a repeat.
    """

    topic: Topic
    partition: int
    position: int

    def __str__(self) -> str:
        return f"{self.topic.value}/{self.partition}/{self.position}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `events/0/42`, also as a token with its log. Raises: ValueError, the text is not a position."""
        topic, _, rest = text.strip().partition("@")[0].partition("/")
        partition, _, position = rest.partition("/")
        if not (partition.isascii() and partition.isdigit() and position.isascii() and position.isdigit()):
            raise ValueError(f"position {text!r} must look like events/0/42")
        return cls(Topic(topic), int(partition), int(position))


class ActorType(StrEnum):
    USER = "user"
    API_KEY = "api_key"
    AGENT = "agent"
    TOOL = "tool"
    SYSTEM = "system"


class Actor(NamedTuple):
    type: ActorType
    id: str


class Envelope(NamedTuple):
    """One immutable event or fact, as every reader of the log gets it.

    Shape: `data` is the payload as the Avro schema of its version describes it; `stream` is category, dash, id, as in
    `device-42`.
    `command_id` is the idempotency key of the command that was decided, `causation_id` what led to that command: the
    request itself, or the event that a process answered. `command_hash` is the command's fingerprint, b"" where it
    has none (docs/adr/0023); a fact has neither. A record of facts holds all that a request says of one stream;
    `place` is the one in it of a fact that was taken out (docs/adr/0030), and 0 of everything else.
    Units: instants are UTC; `version` counts a stream's events from 1 and is 0 for a fact of telemetry, which has none.
    Source: CloudEvents 1.0 for the attribute meanings; docs/adr for what was added.
    """

    event_id: str
    type: str
    schema_version: int
    tenant_id: TenantId
    stream: StreamId
    version: int
    topic: Topic
    partition: int
    position: int
    happened_at: datetime
    recorded_at: datetime
    actor: Actor
    correlation_id: str
    causation_id: str
    data: Mapping[str, Any]
    organization_id: str | None = None
    traceparent: str | None = None
    command_id: str = ""
    command_hash: bytes = b""
    place: int = 0

    @property
    def key(self) -> StreamKey:
        return (self.tenant_id, self.stream)

    def id_at(self, place: int) -> str:
        """Return the id of what stands at a place of a record."""
        return id_at(self.event_id, place)

    def shown(self) -> dict[str, Any]:
        """Return the fields by their names, to be shown; `command_id` where it is not the cause, and no fingerprint."""
        fields = self._asdict()
        del fields["command_hash"], fields["place"]
        if self.command_id in ("", self.causation_id):
            del fields["command_id"]
        return fields


UNKNOWN_TYPE = "?"
"""The type of a record of which not even the type can be read; every view of its topic has missed something."""


class Undecodable(NamedTuple):
    """A stored record whose bytes do not give an event: what is known of it, for the dead letters.

    Shape: `newer` says that its type, its version or its format is none that this release knows: a newer one wrote it.
    """

    tenant_id: TenantId
    stream: StreamId
    type: str
    topic: Topic
    partition: int
    position: int
    raw: bytes
    reason: str
    newer: bool = False

    @property
    def key(self) -> StreamKey:
        return (self.tenant_id, self.stream)


Entry = Envelope | Undecodable
