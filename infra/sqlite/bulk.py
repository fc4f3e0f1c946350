"""This writes many rows with one SQLite statement, and asks for many values with few."""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from eventsourcing.sqlite import SQLiteCursor

_ROWS = 500
MOST_VALUES = 30_000
"""Less than SQLite's own bound of 32,766 values in a statement."""

_QUERY_KEYS = 500
"""Values that a statement asks for: SQLite's parser allows many more, but gains nothing by them."""


def insert_many(
    target: sqlite3.Connection | SQLiteCursor, into: str, rows: Sequence[Sequence[Any]], rest: str = ""
) -> None:
    """Insert rows of the same width; `into` is all before VALUES, `rest` all behind.

    The sqlite3 module gives up the interpreter's lock for each step of a statement: with one row a statement, a thread
    beside a busy one waits for the lock once a row, which took projectors to a third of their speed.
    """
    if not rows:
        return
    width = len(rows[0])
    size = min(_ROWS, MOST_VALUES // width)
    row = f"({','.join('?' * width)})"
    for at in range(0, len(rows), size):
        part = rows[at : at + size]
        target.execute(f"{into} VALUES {','.join([row] * len(part))} {rest}", list(chain.from_iterable(part)))


def parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield values in parts that one statement takes."""
    for at in range(0, len(values), _QUERY_KEYS):
        yield values[at : at + _QUERY_KEYS]


def question_marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))
