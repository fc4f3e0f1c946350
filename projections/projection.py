"""A projection has a name, the events that it wants, and a function from an event to rows."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from domain.message import Event
from projections.columns import Columns
from projections.layout import Documents, Facts, Layout, Series
from projections.rows import Role, Row
from schemas.envelope import Envelope, Topic
from schemas.personal import personal_fields
from schemas.raw_facts import RawFacts


@dataclass(frozen=True, slots=True)
class Projection:
    """One view of the log.

    Shape: `project(envelope, event)` gives the rows an event changes, from these two values alone; `events` None means
    every decided event. `event` is None then, and for a fact: the envelope is enough. `layout` says
    how its store keeps the rows, and so which of the three stores it is.
    A view of facts may have `project_columns` too: the same rows in the same order, of many records at once.
    `project_raw` makes the same of records that were not decoded, and may be left out again. Both raise whatever they
    like where a record is not as most are; these records then go through `project`.
    """

    name: str
    layout: Layout
    topics: tuple[Topic, ...]
    events: tuple[type[Event], ...] | None
    project: Callable[[Envelope, Any], Iterable[Row]]
    project_columns: Callable[[Sequence[Envelope]], Columns] | None = None
    project_raw: Callable[[RawFacts], Columns] | None = None

    @property
    def role(self) -> Role:
        return self.layout.role

    @property
    def personal(self) -> frozenset[str]:
        """Return the fields of documents that may be sealed: those that its events have marked."""
        events = self.events or ()
        return frozenset(name for event in events for name in personal_fields(event.TYPE, event.VERSION))

    @property
    def documents(self) -> Documents:
        """Return the layout of a view of documents."""
        assert isinstance(self.layout, Documents)  # noqa: S101 - asked by those of that role only
        return self.layout

    @property
    def analytics(self) -> Facts:
        """Return the layout of a view of analytics."""
        assert isinstance(self.layout, Facts)  # noqa: S101 - asked by those of that role only
        return self.layout

    @property
    def timeline(self) -> Series:
        """Return the layout of a view of the timeline."""
        assert isinstance(self.layout, Series)  # noqa: S101 - asked by the store of that role only
        return self.layout
