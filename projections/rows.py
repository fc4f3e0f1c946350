"""A view is made of tables and rows, and of checkpoints that say how far it has read the log."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from schemas.envelope import TenantId, Topic


class Role(StrEnum):
    """The three kinds of store, each with its own worker."""

    TIMELINE = "timeline"
    ANALYTICS = "analytics"
    DOCUMENTS = "documents"


@dataclass(frozen=True, slots=True, order=True)
class View:
    """One table of a projection: `devices_v2` is the second build of `devices`."""

    name: str
    build: int

    @property
    def table(self) -> str:
        return f"{self.name}_v{self.build}"

    @classmethod
    def of_table(cls, table: str) -> "View | None":
        """Return the build whose table is called so, None where it is the table of none."""
        name, _, build = table.rpartition("_v")
        return cls(name, int(build)) if name and build.isdecimal() and build == str(int(build)) else None


class Checkpoint(NamedTuple):
    """How far a view has read a partition; kept in the store itself, with the rows.

    Shape: `log` says of which log, and of which epoch of it, the position is; "" where nobody said it.
    """

    topic: Topic
    partition: int
    position: int
    recorded_at: datetime
    log: str = ""


class Patch(NamedTuple):
    """devices, alerts, invoices, …: set some fields of one document.

    Shape: `fields` replace those of the document, others stay. Two lanes set disjoint fields: "events" in the order of
    the stream's version, "telemetry" in the order of the log's position; a patch whose `order` is not past the
    document's order in that lane changes nothing.
    """

    tenant_id: TenantId
    id: str
    lane: Literal["events", "telemetry"]
    order: int
    fields: Mapping[str, Any]


class Document(NamedTuple):
    """A stored document as it is read back; `fields` is JSON-like, amounts are decimal strings, instants RFC 3339."""

    tenant_id: TenantId
    id: str
    version: int
    fields: Mapping[str, Any]


def as_text(value: Any) -> str | None:
    """Return how a document's field compares and filters; None for a field without a value."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


Row = tuple[Any, ...]
"""What a projection writes: a named tuple of the class that its layout names, with the tenant first."""

StoredRow = tuple[Any, ...]
"""What a store reads back: a row as it was written, but for patches a `Document`."""
