"""A context is one part of the business: all that the catalog knows of it stands in this value."""

from dataclasses import dataclass

from domain.message import Decider, Fact
from domain.process import Process


@dataclass(frozen=True, slots=True)
class Context:
    """One part of the business."""

    name: str
    deciders: tuple[Decider, ...]
    facts: tuple[type[Fact], ...] = ()
    processes: tuple[Process, ...] = ()
