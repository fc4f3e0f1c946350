"""Commands, events, facts and contexts are declared with these classes, as values that cannot change."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar, NamedTuple, TypeVar, dataclass_transform, get_args

from pydantic import ConfigDict

from domain.given import Given
from schemas.envelope import Actor, StreamId

S = TypeVar("S")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def value(cls: type) -> Any:
    """Make an immutable, keyword-only value class."""
    return dataclass(frozen=True, slots=True, kw_only=True)(cls)


class Command:
    """A request to one stream; its name is the class's."""

    __slots__ = ()
    # a field nobody knows is a mistake of the sender: to drop it would lose what was meant
    __pydantic_config__ = ConfigDict(extra="forbid")

    @property
    def stream(self) -> StreamId:
        """Return the stream that decides this command."""
        raise NotImplementedError


class Event:
    """Something that happened; `TYPE` and `VERSION` name its Avro schema and never change."""

    __slots__ = ()
    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1


class Fact(Event):
    """An observation nobody decided: telemetry. It has no version in its stream."""

    __slots__ = ()


class Personal(NamedTuple):
    """Marks a text field of an event that belongs to a person, in `Annotated`; `of` says whose it is.

    Shape: `of` is the name of the field that names the person, or `stream`, where the event's stream is the person.
    """

    of: str = "stream"


class KeptApart(NamedTuple):
    """Marks a field of an event, in `Annotated`, that is not in its payload: a secret, or what gives one away."""


@dataclass(frozen=True, slots=True)
class Decider:
    """The rules of one kind of stream.

    Shape: `decide(command, state, given)` gives the events, none for a request that changes nothing; `evolve(state,
    event)` gives the next state; the state of a stream that does not exist yet is None. The first command begins a
    stream. `reads(command, actor)` names the other streams of the tenant whose states are wanted in `given`.
    Raises: CommandRejected, from `decide` only.
    Source: the decider pattern, docs/adr/0001.
    """

    category: str
    commands: tuple[type[Command], ...]
    events: tuple[type[Event], ...]
    decide: Callable[[Any, Any, Given], tuple[Event, ...]]
    evolve: Callable[[Any, Any], Any]
    reads: Callable[[Any, Actor], tuple[StreamId, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Process:
    """A saga: `react(event)` gives the commands that answer an event, to be recorded in the same transaction."""

    name: str
    events: tuple[type[Event], ...]
    react: Callable[[Event, Any], tuple[Command, ...]]


@dataclass(frozen=True, slots=True)
class Context:
    """One part of the business: all that the catalog knows of it."""

    name: str
    deciders: tuple[Decider, ...]
    facts: tuple[type[Fact], ...] = ()
    processes: tuple[Process, ...] = ()


def classes_of(union: Any) -> tuple[type[Any], ...]:
    """Return the classes of a union in their order; a class that stands alone is a union of one."""
    return get_args(union) or (union,)


def filled(class_: Callable[..., S], source: Any, **more: Any) -> S:
    """Return a value of `class_`: fields that `source` has too are taken from it, the others are given in `more`."""
    taken = {name: getattr(source, name) for name in _shared_fields(class_, source.__class__)}
    return class_(**(taken | more))


@cache
def _shared_fields(class_: Any, source: Any) -> tuple[str, ...]:
    names = {field.name for field in fields(source)}
    return tuple(field.name for field in fields(class_) if field.name in names)


def known(state: S | None) -> S:
    """Return the state that an event other than a stream's first must find."""
    if state is None:
        raise ValueError("the stream does not begin with its first event")
    return state
