"""Every command, event and fact by its stored name: a literal you can read."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from domain.finance import decide as finance
from domain.fleet import decide as fleet
from domain.fleet.facts import DeviceHeartbeat, DeviceMetricsReported, LogRecorded
from domain.identity import decide as identity
from domain.message import Command, Decider, Event, Fact, Process
from schemas.envelope import Envelope

DECIDERS: Mapping[str, tuple[Decider, ...]] = {
    "identity": (identity.TENANT, identity.API_KEY),
    "fleet": (fleet.DEVICE, fleet.ALERT, fleet.WATCH),
    "finance": (finance.INVOICE,),
}

FACTS: tuple[type[Fact], ...] = (DeviceHeartbeat, DeviceMetricsReported, LogRecorded)

PROCESSES: tuple[Process, ...] = ()

COMMANDS: Mapping[str, type[Command]] = {
    f"{context}.{command.__name__}": command
    for context, deciders in DECIDERS.items()
    for decider in deciders
    for command in decider.commands
}
EVENTS: Mapping[str, type[Event]] = {
    event.TYPE: event for deciders in DECIDERS.values() for decider in deciders for event in decider.events
} | {fact.TYPE: fact for fact in FACTS}

_DECIDER_OF: Mapping[type[Command], Decider] = {
    command: decider for deciders in DECIDERS.values() for decider in deciders for command in decider.commands
}
_DECIDER_BY_CATEGORY: Mapping[str, Decider] = {
    decider.category: decider for deciders in DECIDERS.values() for decider in deciders
}


def decider_of(command: type[Command]) -> Decider:
    return _DECIDER_OF[command]


def decider_for_category(category: str) -> Decider | None:
    return _DECIDER_BY_CATEGORY.get(category)


_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def adapter(message: type) -> TypeAdapter[Any]:
    """Return the validator of a message class, built once."""
    if (found := _ADAPTERS.get(message)) is None:
        found = _ADAPTERS[message] = TypeAdapter(message)
    return found


def event_from(envelope: Envelope) -> Event:
    """Return the typed event of an envelope. Raises: KeyError or ValueError, no released event looks like this."""
    event: Event = adapter(EVENTS[envelope.type]).validate_python(envelope.data)
    return event


def payload_of(event: Event) -> dict[str, Any]:
    """Return an event's payload in the shape of its Avro schema."""
    payload: dict[str, Any] = adapter(type(event)).dump_python(event, by_alias=True)
    return payload
