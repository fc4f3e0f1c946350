"""A layout says how the rows of a view lie in their store, and stores make tables and readers from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, get_type_hints
from zlib import crc32

from projections.question import Question
from projections.rows import Patch, Role

Of = Mapping[str, str | tuple[str, ...]]
"""What rows must be equal in, by column: a text, or several any of which will do."""

_FIRST_DAY = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What every store needs to know of a view's rows.

    Shape: `key` names the columns that are a row's identity, the tenant first. The same key written again replaces the
    row if its `position` is greater, so a repeat changes nothing. Of two different rows with one key and one position,
    which a pure projection never makes, each store keeps another: docs/adr/0013. `day` names the instant that places a
    row in a day; None where rows have none. Who reads the view needs the read scope of `scope`; `example` is a row of
    the answer. `values` says what a filter may be asked for, where that is not any text: an enumeration, a Literal, or
    a text with bounds, whose form it is brought into. A value that is none of these cannot be there, and is refused.
    """

    row: type
    key: tuple[str, ...]
    day: str | None = None
    scope: str = ""
    example: Mapping[str, Any] = field(default_factory=dict, hash=False)
    values: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def role(self) -> Role:
        """Return the kind of store that keeps such rows."""
        raise NotImplementedError

    @property
    def columns(self) -> Mapping[str, type]:
        """Return the columns of a row in their order, each with its plain type: `str` for a TenantId."""
        return {name: getattr(hint, "__supertype__", hint) for name, hint in get_type_hints(self.row).items()}


@dataclass(frozen=True, slots=True)
class Days:
    """Cuts rows by the UTC day of an instant.

    Shape: `of` names the row's column; where a store keeps the number of the day since 1970, it calls it `column`.
    """

    of: str
    column: str = "day"

    def number(self, instant: datetime) -> int:
        return instant.toordinal() - _FIRST_DAY


@dataclass(frozen=True, slots=True)
class Every:
    """Cuts rows by a number that grows, at every multiple of `size`; see `Days`."""

    of: str
    size: int
    column: str = "bucket"

    def number(self, value: int) -> int:
        return value // self.size


@dataclass(frozen=True, slots=True)
class Shards:
    """Cuts rows into `count` parts that are about equal, by a hash of a text; see `Days`."""

    of: str
    count: int
    column: str = "shard"

    def number(self, text: str) -> int:
        return crc32(text.encode()) % self.count


@dataclass(frozen=True, slots=True, kw_only=True)
class Series(Layout):
    """Rows in an order, asked for by range.

    Shape: each column is a text, a whole number, a float or an instant, and always has a value. The texts in the
    columns `series` tell one series from another, and a question is about one of them; without such columns all rows of
    a tenant are one series. Its rows are in the `order` of one or more columns, the least first or `newest_first`; what
    a row has in these columns follows from its key.
    `bucket` cuts a series into parts by the first column of its order, and `shards` cuts these parts where one would
    have more than about 100,000 rows or 100 MB. Where `bucket` is not by the instant `day`, `noted` says that the days
    of a bucket are written down beside it, so that a question about a time passes over the others.
    Questions may name values of the text columns `filters`, and a part of the text in `search`. Points are made of the
    floats in `value`, for rows in the order of `day`. `indexes` are what a store on one disk needs beside its key; each
    names its columns without the tenant, which comes first in all.
    """

    series: tuple[str, ...] = ()
    order: tuple[str, ...]
    newest_first: bool = False
    bucket: Days | Every
    shards: Shards | None = None
    noted: Days | None = None
    filters: tuple[str, ...] = ()
    search: str | None = None
    value: str | None = None
    indexes: tuple[tuple[str, ...], ...] = ()

    @property
    def role(self) -> Role:
        return Role.TIMELINE

    @property
    def ordered_by_day(self) -> str | None:
        """Return the layout's `day` where it is what orders rows first."""
        return self.day if self.day == self.order[0] else None

    def check(self, of: Of, *, after: Sequence[Any] | None = None, **asked: bool) -> None:
        """Do nothing if a question may be asked. Raises: ValueError, it may not.

        Shape: `of` and `after` are those of `TimelineReader`; `asked` says whether the question is about the layout's
        `day`, `search` or `value`, or goes by `ordered_by_day`.
        """
        one = {column for column, wanted in of.items() if isinstance(wanted, str)}
        if not one.issuperset(self.series):
            raise ValueError(f"{self.row.__name__} is read for one {' and '.join(self.series)} at a time; say which")
        if unknown := of.keys() - {*self.series, *self.filters}:
            raise ValueError(f"{self.row.__name__} has no filter {min(unknown)}; there are: {', '.join(self.filters)}")
        if after is not None and len(after) != len(self.order):
            raise ValueError(f"{self.row.__name__} goes on after {', '.join(self.order)}; give a value for each")
        for part, is_asked in asked.items():
            if is_asked and getattr(self, part) is None:
                raise ValueError(f"{self.row.__name__} has no {part}; the layout of its view must name one")

    def last_of_series(self, of: Of) -> str:
        """Return the last column of `series`. Raises: ValueError, `of` is not about all others, or there are none."""
        *others, last = self.series or ("",)
        if not others or of.keys() != set(others) or not all(isinstance(text, str) for text in of.values()):
            raise ValueError(f"{self.row.__name__} lists one column of its series where the others are given")
        return last


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
    in `numbers` too, which may be decimal texts, compare as numbers. Lists may ask for a range of those, and of the
    `sorts` in `instants`. `default_sort` is the order of a list where nobody asks for another, "-" before the field for
    the greatest first. `search` names the fields in whose words, and in those of the id, `q` looks; none may be
    personal. `owner` and `organization` are the filters that say who made a thing and which organization has it, where
    some may see nothing else. The API lists a view that has an example.
    """

    row: type = Patch
    key: tuple[str, ...] = ("tenant_id", "id")
    filters: tuple[str, ...] = ()
    sorts: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    instants: tuple[str, ...] = ()
    default_sort: str = ""
    search: tuple[str, ...] = ()
    owner: str = ""
    organization: str = ""

    @property
    def ranges(self) -> tuple[str, ...]:
        """Return the fields that lists may ask a range of."""
        return (*self.numbers, *self.instants)

    @property
    def role(self) -> Role:
        return Role.DOCUMENTS
