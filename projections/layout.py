"""How the rows of a view lie in their store: what the stores make tables, indexes and readers from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from projections.question import Question
from projections.rows import Patch, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What every store needs to know of a view's rows.

    Shape: `key` names the columns that are a row's identity, the tenant first. The same key written again replaces the
    row if its `position` is greater, so a repeat changes nothing. Of two different rows with one key and one position,
    which a pure projection never makes, each store keeps another: docs/adr/0013. `day` names the instant that places a
    row in a day; None where rows have none. Who reads the view needs the read scope of `scope`; `example` is a row of
    the answer.
    """

    row: type
    key: tuple[str, ...]
    day: str | None = None
    scope: str = ""
    example: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def role(self) -> Role:
        """Return the kind of store that keeps such rows."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Series(Layout):
    """Rows of a time series, asked for by range."""

    @property
    def role(self) -> Role:
        return Role.TIMELINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts(Layout):
    """Rows that `questions` are asked over, many at once."""

    questions: tuple[Question[Any], ...] = ()

    @property
    def role(self) -> Role:
        return Role.ANALYTICS


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents(Layout):
    """Documents, each the current state of one thing.

    Shape: `filters` and `sorts` name the fields that lists may use. They compare as text; of `sorts`, those that are
    in `numbers` too compare as numbers. `default_sort` is the order of a list where nobody asks for another, "-" before
    the field for the greatest first. The API lists a view that has an example. `found_by_id` says that a document is
    also found by its id alone, whoever it belongs to: only for what tells whose a request is.
    """

    row: type = Patch
    key: tuple[str, ...] = ("tenant_id", "id")
    filters: tuple[str, ...] = ()
    sorts: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    default_sort: str = ""
    found_by_id: bool = False

    @property
    def role(self) -> Role:
        return Role.DOCUMENTS
