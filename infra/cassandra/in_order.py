"""This puts more rows in order than memory should hold: runs that are sorted go to disk, and are merged from there."""

import pickle
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from heapq import merge
from itertools import islice
from tempfile import TemporaryFile
from typing import IO, Any

RUN_ROWS = 50_000
_CHUNK_ROWS = 1_000

Row = tuple[Any, ...]


def in_order(rows: Iterator[Row], key: Callable[[Row], Any]) -> Iterator[Row]:
    """Yield all rows by their key."""
    run = sorted(islice(rows, RUN_ROWS), key=key)
    with ExitStack() as files:
        runs: list[Iterator[Row]] = []
        while more := list(islice(rows, RUN_ROWS)):
            runs.append(_kept(run, files.enter_context(TemporaryFile())))
            run = sorted(more, key=key)
        yield from merge(*runs, run, key=key)


def _kept(run: list[Row], file: IO[bytes]) -> Iterator[Row]:
    chunks = range(0, len(run), _CHUNK_ROWS)
    for at in chunks:
        pickle.dump(run[at : at + _CHUNK_ROWS], file)
    file.seek(0)
    return (row for _ in chunks for row in pickle.load(file))  # noqa: S301 - what this process wrote a moment ago
