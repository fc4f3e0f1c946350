"""How the rows of a view lie in their store: what the stores make tables, indexes and readers from."""

from dataclasses import dataclass

from projections.rows import Patch, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What every store needs to know of a view's rows.

    Shape: `key` names the columns that are a row's identity, the tenant first. The same key written again replaces the
    row if its `position` is greater, so a repeat changes nothing. Of two different rows with one key and one position,
    which a pure projection never makes, each store keeps another: docs/adr/0013. `day` names the instant that places a
    row in a day; None where rows have none.
    """

    row: type
    key: tuple[str, ...]
    day: str | None = None

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
    """Rows that questions are asked over, many at once."""

    @property
    def role(self) -> Role:
        return Role.ANALYTICS


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents(Layout):
    """Documents, each the current state of one thing.

    Shape: `filters` and `sorts` name the fields that lists may use.
    """

    row: type = Patch
    key: tuple[str, ...] = ("tenant_id", "id")
    filters: tuple[str, ...] = ()
    sorts: tuple[str, ...] = ()

    @property
    def role(self) -> Role:
        return Role.DOCUMENTS
