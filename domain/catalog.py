"""The catalog lists all contexts and finds every command, event and fact by its stored name."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from domain.automation.context import CONTEXT as AUTOMATION
from domain.content.context import CONTEXT as CONTENT
from domain.context import Context
from domain.execution.context import CONTEXT as EXECUTION
from domain.finance.context import CONTEXT as FINANCE
from domain.fleet.context import CONTEXT as FLEET
from domain.identity.context import CONTEXT as IDENTITY
from domain.integration.context import integration_beside, offered_by
from domain.message import Command, Decider, Event, Fact, KeptApart, adapter, marked_fields
from domain.operations.context import CONTEXT as OPERATIONS
from domain.process import PROCESS_EVENTS, Process, evolve_process
from domain.sales.context import CONTEXT as SALES
from schemas import upcast
from schemas.envelope import Envelope

_CONTEXTS: tuple[Context, ...] = (IDENTITY, FLEET, FINANCE, SALES, CONTENT, EXECUTION, OPERATIONS, AUTOMATION)
CONTEXTS: tuple[Context, ...] = (*_CONTEXTS, integration_beside(_CONTEXTS))

DECIDERS: tuple[Decider, ...] = tuple(decider for context in CONTEXTS for decider in context.deciders)
FACTS: tuple[type[Fact], ...] = tuple(fact for context in CONTEXTS for fact in context.facts)
SENT: tuple[type[Fact], ...] = tuple(fact for fact in FACTS if not fact.IS_OURS)
"""The facts that may come from outside."""
PROCESSES: tuple[Process, ...] = tuple(process for context in CONTEXTS for process in context.processes)

COMMANDS: Mapping[str, type[Command]] = {
    f"{context.name}.{command.__name__}": command
    for context in CONTEXTS
    for decider in context.deciders
    for command in decider.commands
}
EVENTS: Mapping[str, type[Event]] = {
    event.TYPE: event
    for events in (
        *(decider.events for decider in DECIDERS),
        *(process.events for process in PROCESSES),
        PROCESS_EVENTS,
    )
    for event in events
} | {fact.TYPE: fact.RECORD for fact in FACTS}
"""What the log keeps, by its type: of facts, their records."""

DECIDED: tuple[str, ...] = tuple(event.TYPE for decider in DECIDERS for event in decider.events)
"""The types of the events that commands give: of all but the facts, and what processes record in their own streams."""

OFFERED: frozenset[str] = frozenset(event.TYPE for event in offered_by(_CONTEXTS))
"""The types of the events that webhooks tell of."""

_NAMES: Mapping[type[Command], str] = {command: name for name, command in COMMANDS.items()}
_DECIDER_OF: Mapping[type[Command], Decider] = {
    command: decider for decider in DECIDERS for command in decider.commands
}
_DECIDER_BY_CATEGORY: Mapping[str, Decider] = {decider.category: decider for decider in DECIDERS}
PROCESS_BY_NAME: Mapping[str, Process] = {process.name: process for process in PROCESSES}


def name_of(command: type[Command]) -> str:
    """Return the name under which a command is sent, like `fleet.RegisterDevice`."""
    return _NAMES[command]


def decider_of(command: type[Command]) -> Decider:
    return _DECIDER_OF[command]


def decider_for_category(category: str) -> Decider | None:
    return _DECIDER_BY_CATEGORY.get(category)


def evolve_for_category(
    category: str, processes: Mapping[str, Process] = PROCESS_BY_NAME
) -> Callable[[Any, Any], Any] | None:
    """Return what gives the next state of a stream of this category; None where no rule is about such streams."""
    if decider := decider_for_category(category):
        return decider.evolve
    process = processes.get(category)
    return None if process is None else partial(evolve_process, process)


def event_from(envelope: Envelope) -> Event:
    """Return the typed event of an envelope, or its record of facts, made new where an old version wrote it.

    Raises: KeyError or ValueError, no released event looks like this.
    """
    _, data = upcast.to_newest(envelope.type, envelope.schema_version, envelope.data)
    event: Event = adapter(EVENTS[envelope.type]).validate_python(data)
    return event


_FACT_OF: Mapping[str, type[Fact]] = {fact.TYPE: fact for fact in FACTS}


def facts_of(envelope: Envelope) -> Iterator[Envelope]:
    """Yield the facts of a record in their order, each as a sender says it: for those who look at one at a time.

    Shape: all have the record's position; `place` tells them apart. A fact that an earlier version kept by itself is
    that fact.
    Raises: KeyError, no released fact is of this type.
    """
    fact = _FACT_OF[envelope.type]
    if envelope.schema_version < fact.RECORD.VERSION:
        yield envelope
        return
    for place, (after_us, data, id_) in enumerate(fact.unpack(envelope.data)):
        yield envelope._replace(
            event_id=id_ or envelope.id_at(place),
            schema_version=fact.VERSION,
            place=place,
            happened_at=envelope.happened_at + timedelta(microseconds=after_us),
            data=data,
        )


def payload_of(event: Event) -> dict[str, Any]:
    """Return an event's payload in the shape of its Avro schema, without what is kept apart from it."""
    class_ = type(event)
    payload: dict[str, Any] = adapter(class_).dump_python(event, by_alias=True, exclude=_kept_apart(class_) or None)
    return payload


def apart_of(event: Event) -> Mapping[str, Any]:
    """Return the fields of an event that are kept apart from its payload."""
    return {name: getattr(event, name) for name in _kept_apart(type(event))}


def as_recorded(event: Event) -> Event:
    """Return an event as its history will give it, so that a stream has one state, live and read again."""
    apart = _kept_apart(type(event))
    return replace(event, **dict.fromkeys(apart)) if apart else event  # type: ignore[type-var]


_KEPT_APART: dict[type, set[str]] = {}


def _kept_apart(event: type[Event]) -> set[str]:
    if (found := _KEPT_APART.get(event)) is None:
        found = _KEPT_APART[event] = set(marked_fields(event, KeptApart))
    return found
