"""A question about many rows at once is SQL with named parameters, and stands beside its view."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, NamedTuple, TypeVar

R = TypeVar("R")


class Choice(NamedTuple):
    """A parameter with a closed set of values, each with the piece of SQL that it puts into the question."""

    default: str
    sql: Mapping[str, str]


class Longest(NamedTuple):
    """How long a time may be asked about, and what a longer one would have too many of."""

    time: timedelta
    rows: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Generic[R]):
    """A question, as stores answer it and as the API offers it under `/v1/analytics/<name>`.

    Shape: `sql` reads `view` by that name, which stands for the asking tenant's own rows in the live build, each once:
    no question can forget the tenant or count a repeat. It reads the views `beside` in the same way, which are of the
    same store. In it `{limit:UInt32}` is the value of a parameter, `{by}` the SQL of a Choice. `parameters` has the
    type of each; `start` and `end` are instants, in SQL `{start:Int64}`, microseconds since 1970. `row` is made of the
    columns of the answer, in their order. The API calls its field `group` what the parameter `by` says, and writes
    Money with all its decimals. With `longest` a question is about the last day where nobody says a time, without it
    about all times.
    """

    name: str
    summary: str
    view: str
    sql: str
    parameters: Mapping[str, Any]
    row: Callable[..., R]
    example: Mapping[str, Any]
    longest: Longest | None = None
    beside: tuple[str, ...] = ()

    @property
    def views(self) -> tuple[str, ...]:
        """Return all views that the question reads."""
        return (self.view, *self.beside)
