"""One valid example of every command, event and fact, found in the module of its context, and envelopes of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any, TypeVar

from domain.catalog import CONTEXTS, DECIDERS, PROCESSES, payload_of
from domain.message import Command, Event, Fact, FactRecord
from domain.process import PROCESS_EVENTS
from schemas.envelope import Actor, ActorType, Envelope, StreamId, TenantId, Topic
from schemas.payload import decode_payload, encode_payload
from tests.examples.moments import HAPPENED_AT, RECORDED_AT

M = TypeVar("M")
ACME = TenantId("acme")


def _found(kind: type[M]) -> Iterator[M]:
    for name in (*(context.name for context in CONTEXTS), "agents", "vectors", "process"):
        module = import_module(f"tests.examples.{name}")
        yield from (value for value in vars(module).values() if isinstance(value, kind))


def _by_class(kind: type[M]) -> Mapping[type[M], M]:
    examples: dict[type[M], M] = {}
    for example in _found(kind):
        first = examples.setdefault(type(example), example)
        assert first is example, f"there are two examples of {type(example).__name__}; one goes where it is used"
    return examples


COMMANDS: Mapping[type[Command], Command] = _by_class(Command)
FACTS: Mapping[type[Fact], Fact] = _by_class(Fact)
"""As senders say them, and as earlier versions kept them."""
EVENTS: Mapping[type[Event], Event] = {
    class_: event for class_, event in _by_class(Event).items() if class_ not in FACTS
}

_STREAMS: dict[type[Event], StreamId] = {
    event: COMMANDS[decider.commands[0]].stream for decider in DECIDERS for event in decider.events
}
_STREAMS |= {event: process.stream("acme") for process in PROCESSES for event in process.events}
_STREAMS |= dict.fromkeys(PROCESS_EVENTS, StreamId("invitation_expiry-ann"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an event stands in the log, and when it was put there."""

    version: int = 1
    position: int = 7
    happened_at: datetime = HAPPENED_AT
    recorded_at: datetime = RECORDED_AT


def stored(event: Event) -> dict[str, Any]:
    """Return an event's payload as the log gives it back."""
    raw = encode_payload(event.TYPE, event.VERSION, payload_of(event))
    return decode_payload(event.TYPE, event.VERSION, raw)


def envelope_of(event: Event, place: Place | None = None) -> Envelope:
    at = place or Place()
    observed = isinstance(event, Fact | FactRecord)
    return Envelope(
        event_id="01943b1e-7a00-7000-8000-000000000001",
        type=event.TYPE,
        schema_version=event.VERSION,
        tenant_id=ACME,
        stream=StreamId("device-42") if observed else _STREAMS[type(event)],
        version=0 if observed else at.version,
        topic=Topic.TELEMETRY if observed else Topic.EVENTS,
        partition=0,
        position=at.position,
        happened_at=at.happened_at,
        recorded_at=at.recorded_at,
        actor=Actor(ActorType.USER, "ann"),
        correlation_id="request-1",
        causation_id="command-1",
        data=stored(event),
        organization_id="org-1",
        command_id="" if observed else "command-1",
        command_hash=b"" if observed else bytes(range(16)),
    )
