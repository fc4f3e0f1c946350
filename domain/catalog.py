"""The catalog lists all contexts and finds every command, event and fact by its stored name."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args

from pydantic import TypeAdapter

from domain.finance.context import CONTEXT as FINANCE
from domain.fleet.context import CONTEXT as FLEET
from domain.identity.context import CONTEXT as IDENTITY
from domain.message import Command, Context, Decider, Event, Fact, KeptApart, Process
from domain.sales.context import CONTEXT as SALES
from schemas import upcast
from schemas.envelope import Envelope

CONTEXTS: tuple[Context, ...] = (IDENTITY, FLEET, FINANCE, SALES)

DECIDERS: tuple[Decider, ...] = tuple(decider for context in CONTEXTS for decider in context.deciders)
FACTS: tuple[type[Fact], ...] = tuple(fact for context in CONTEXTS for fact in context.facts)
PROCESSES: tuple[Process, ...] = tuple(process for context in CONTEXTS for process in context.processes)

COMMANDS: Mapping[str, type[Command]] = {
    f"{context.name}.{command.__name__}": command
    for context in CONTEXTS
    for decider in context.deciders
    for command in decider.commands
}
EVENTS: Mapping[str, type[Event]] = {event.TYPE: event for decider in DECIDERS for event in decider.events} | {
    fact.TYPE: fact for fact in FACTS
}

_NAMES: Mapping[type[Command], str] = {command: name for name, command in COMMANDS.items()}
_DECIDER_OF: Mapping[type[Command], Decider] = {
    command: decider for decider in DECIDERS for command in decider.commands
}
_DECIDER_BY_CATEGORY: Mapping[str, Decider] = {decider.category: decider for decider in DECIDERS}


def name_of(command: type[Command]) -> str:
    """Return the name under which a command is sent, like `fleet.RegisterDevice`."""
    return _NAMES[command]


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
    """Return the typed event of an envelope, made new where an old version wrote it.

    Raises: KeyError or ValueError, no released event looks like this.
    """
    _, data = upcast.to_newest(envelope.type, envelope.schema_version, envelope.data)
    event: Event = adapter(EVENTS[envelope.type]).validate_python(data)
    return event


def payload_of(event: Event) -> dict[str, Any]:
    """Return an event's payload in the shape of its Avro schema, without what is kept apart from it."""
    class_ = type(event)
    payload: dict[str, Any] = adapter(class_).dump_python(event, by_alias=True, exclude=_kept_apart(class_) or None)
    return payload


def apart_of(event: Event) -> Mapping[str, Any]:
    """Return the fields of an event that are kept apart from its payload."""
    return {name: getattr(event, name) for name in _kept_apart(type(event))}


_KEPT_APART: dict[type, set[str]] = {}


def _kept_apart(event: type[Event]) -> set[str]:
    if (found := _KEPT_APART.get(event)) is None:
        marks = {field.name: get_args(field.type)[1:] for field in fields(event)}  # type: ignore[arg-type]
        found = {name for name, of in marks.items() if any(isinstance(mark, KeptApart) for mark in of)}
        _KEPT_APART[event] = found
    return found
