"""How commands, events and facts are declared: frozen values with a stored name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, dataclass_transform

from pydantic import ConfigDict

from schemas.envelope import StreamId

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


@dataclass(frozen=True, slots=True)
class Decider:
    """The rules of one kind of stream.

    Shape: `decide(command, state)` gives the events, none for a request that changes nothing; `evolve(state, event)`
    gives the next state; the state of a stream that does not exist yet is None.
    Raises: CommandRejected, from `decide` only.
    Source: the decider pattern, docs/adr/0001.
    """

    category: str
    commands: tuple[type[Command], ...]
    events: tuple[type[Event], ...]
    decide: Callable[[Any, Any], tuple[Event, ...]]
    evolve: Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Process:
    """A saga: `react(event)` gives the commands that answer an event, to be recorded in the same transaction."""

    name: str
    events: tuple[type[Event], ...]
    react: Callable[[Event, Any], tuple[Command, ...]]


def known(state: S | None) -> S:
    """Return the state that an event other than a stream's first must find."""
    if state is None:
        raise ValueError("the stream does not begin with its first event")
    return state
