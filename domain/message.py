"""Commands, events, facts and the rules of streams are declared with these classes, as values that cannot change."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple, TypeVar, dataclass_transform, get_args

from pydantic import ConfigDict, TypeAdapter

from domain.given import Given
from schemas.envelope import Actor, StreamId

S = TypeVar("S")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def value(cls: type) -> Any:
    """Make an immutable, keyword-only value class."""
    return dataclass(frozen=True, slots=True, kw_only=True)(cls)


class Command:
    """A request to one stream; its name is the class's.

    Shape: IS_OURS says that only a process, the server or the operator gives it, and no caller may send it.
    IS_FOR_OWN says that who may act on what they made themselves, and on nothing else, may give it.
    """

    __slots__ = ()
    IS_OURS: ClassVar[bool] = False
    IS_FOR_OWN: ClassVar[bool] = False
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


class FactRecord(Event):
    """What one request says of one stream, as the log keeps it: its values are arrays, one item for each fact."""

    __slots__ = ()
    NAME: ClassVar[str]
    """The name of its Avro record, which is that of the first version."""


Said = tuple[int, Any, str | None]
"""A fact in a request: when it happened, in microseconds since 1970, the fact, and the id that its sender gave it."""


class Packed(NamedTuple):
    """The payload of one record of facts.

    Shape: `data` is the payload of a FactRecord, whose instants count from `first_us`. `facts` is how many of the
    facts said something that others of the record do not; `items` how many readings, lines or heartbeats it holds.
    Units: `first_us` is microseconds since 1970.
    """

    first_us: int
    facts: int
    items: int
    data: dict[str, Any]


class Unpacked(NamedTuple):
    """A fact that was taken out of a record: its payload as its sender says it, and the id that it had of its own.

    Units: `after_us` counts microseconds from the record's time.
    """

    after_us: int
    data: dict[str, Any]
    id: str | None = None


class Fact(Event):
    """An observation nobody decided, telemetry, as its sender says it. It has no version in its stream.

    Shape: it belongs to a stream of the kind CATEGORY. The log keeps facts of a request together in a RECORD, which
    `pack` makes of those of one stream in their order; earlier versions kept each fact as it is. IS_READING says that
    stream, name and instant tell one from another, so that an id of its own adds nothing. IS_OURS says that only a
    process of ours records it, and nobody may send it.
    """

    __slots__ = ()
    CATEGORY: ClassVar[str] = "device"
    IS_READING: ClassVar[bool] = False
    IS_OURS: ClassVar[bool] = False
    RECORD: ClassVar[type[FactRecord]]

    @staticmethod
    def pack(said: Sequence[Said]) -> Iterator[Packed]:
        """Yield the records that hold what was said of one stream, each small enough for any log."""
        raise NotImplementedError

    @staticmethod
    def unpack(data: Mapping[str, Any]) -> Iterator[Unpacked]:
        """Yield what was packed into the payload of a record, in its order."""
        raise NotImplementedError

    @property
    def about(self) -> str | None:
        """Return the id of another stream of its category that it is about, None where it is about its own."""
        return None


class Personal(NamedTuple):
    """Marks a text field of an event that belongs to a person, in `Annotated`; `of` says whose it is.

    Shape: `of` is the name of the field that names the person, or `stream`, where the event's stream is the person.
    """

    of: str = "stream"


class KeptApart(NamedTuple):
    """Marks a field of an event, in `Annotated`, that is not in its payload: a secret, or what gives one away.

    Shape: such a field may be None, and is None in an event that is read again.
    """


def marked_fields(class_: type[Any], *marks: type) -> tuple[str, ...]:
    """Return the fields of a command or an event that are marked as one of these: Personal, KeptApart."""
    return tuple(
        field.name for field in fields(class_) if any(isinstance(mark, marks) for mark in get_args(field.type)[1:])
    )


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


_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def adapter(message: type) -> TypeAdapter[Any]:
    """Return the validator of a message class, built once."""
    if (found := _ADAPTERS.get(message)) is None:
        found = _ADAPTERS[message] = TypeAdapter(message)
    return found


def classes_of(union: Any) -> tuple[type[Any], ...]:
    """Return the classes of a union in their order; a class that stands alone is a union of one."""
    return get_args(union) or (union,)


def filled(class_: Callable[..., S], source: Any, **more: Any) -> S:
    """Return a value of `class_`: fields that `source` has too are taken from it, the others are given in `more`."""
    names, values_of = _shared_fields(class_, source.__class__)
    return class_(**{**dict(zip(names, values_of(source), strict=True)), **more})


@cache
def _shared_fields(class_: Any, source: Any) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    own = {field.name for field in fields(source)}
    names = tuple(field.name for field in fields(class_) if field.name in own)
    # given fewer than two names, the library's getter returns no tuple
    return names, attrgetter(*names) if len(names) > 1 else lambda one: tuple(getattr(one, name) for name in names)


def described(event: Any, among: Any) -> dict[str, Any]:
    """Return the fields to which an event gives a value, of those that the class `among` has."""
    return {name: given for name in _fields_of(among) if (given := getattr(event, name)) is not None}


def changed(class_: Callable[..., S], command: Command, known_already: Mapping[str, Any]) -> tuple[S, ...]:
    """Return the event of this class that says what a command says and is not known already, () where that is nothing.

    Shape: what is left out of the command, or known, is None in the event.
    """
    unchanged = {name: None for name in _fields_of(class_) if getattr(command, name) == known_already.get(name)}
    event = filled(class_, command, **unchanged)
    return (event,) if described(event, class_) else ()


@cache
def _fields_of(class_: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(class_))


def known(state: S | None) -> S:
    """Return the state that an event other than a stream's first must find."""
    if state is None:
        raise ValueError("the stream does not begin with its first event")
    return state
