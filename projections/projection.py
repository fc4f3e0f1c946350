"""What a projection is: a name, the events it wants, and a function from an event to rows."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from domain.message import Event
from projections.rows import Role, Row
from schemas.envelope import Envelope, Topic


@dataclass(frozen=True, slots=True)
class Projection:
    """One view of the log.

    Shape: `project(envelope, event)` gives the rows an event changes, from these two values alone; `events` None means
    every decided event. `event` is None then, and for a fact: the envelope is enough. `row` is the class its store
    keeps.
    `filters` and `sorts` name the fields of a document view that lists may use.
    """

    name: str
    role: Role
    row: type
    topics: tuple[Topic, ...]
    events: tuple[type[Event], ...] | None
    project: Callable[[Envelope, Any], Iterable[Row]]
    filters: tuple[str, ...] = ()
    sorts: tuple[str, ...] = ()
