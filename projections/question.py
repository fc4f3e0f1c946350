"""A question about many rows at once is SQL with named parameters, and stands beside its view."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

from pydantic import StringConstraints

R = TypeVar("R")

Party = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""A customer or supplier, as invoices name them."""


class Choice(NamedTuple):
    """A parameter with a closed set of values, each with the piece of SQL that it puts into the question."""

    default: str
    sql: Mapping[str, str]


class Longest(NamedTuple):
    """How long a time may be asked about, and what a longer one would have too many of."""

    time: timedelta
    rows: str


class Span(NamedTuple):
    """From when to when there is data; the instants mean nothing where there are no rows."""

    first: datetime
    last: datetime
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Generic[R]):
    """A question, as stores answer it and as the API offers it, under `/v1/analytics/<name>` or its own `path`.

    Shape: `sql` reads `view` by that name, which stands for the asking tenant's own rows in the live build, each once:
    no question can forget the tenant or count a repeat. It reads the views `beside` in the same way, which are of the
    same store. In it `{limit:UInt32}` is the value of a parameter, `{by}` the SQL of a Choice. `parameters` has the
    type of each; `start` and `end` are instants, in SQL `{start:Int64}`, microseconds since 1970. `row` is made of the
    columns of the answer, in their order. The API calls its field `group` what the parameter `by` says, and writes
    Money with all its decimals. With `longest` a question is about the last day where nobody says a time, without it
    about all times. `span` takes some of the same parameters and says where the data is, if there is none in that day.
    """

    name: str
    summary: str
    view: str
    sql: str
    parameters: Mapping[str, Any]
    row: Callable[..., R]
    example: Mapping[str, Any]
    path: str = ""
    longest: Longest | None = None
    span: "Question[Span] | None" = None
    beside: tuple[str, ...] = ()

    @property
    def views(self) -> tuple[str, ...]:
        """Return all views that the question reads."""
        return (self.view, *self.beside)
