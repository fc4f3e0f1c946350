"""What a store is sent is what it has, also where one write is large: subclass WideRowsContract."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from random import Random
from typing import Any

import pytest

from projections.projection import Projection
from projections.rows import Patch, Row, StoredRow
from tests.contracts.samples import ACME, checkpoint, sample, stored
from tests.contracts.view_writer import V1, Store, projections_of

ROWS = 100_000
WIDTH = 300


def wide(row: type, n: int, random: Random) -> Row:
    made: Any = sample(row, n)
    # hexadecimal digits: what compresses well would be sent in one piece
    text = random.randbytes(WIDTH // 2).hex()
    if isinstance(made, Patch):
        return made._replace(fields={"text": text})
    name = next(name for name in ("summary", "data", "description") if hasattr(made, name))
    return made._replace(**{name: text})  # type: ignore[no-any-return]


class WideRowsContract:
    """Inherit it in a class named Test…, override `open`, `row` and `place` as for ViewWriterContract."""

    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def row(self) -> type:
        raise NotImplementedError

    @pytest.fixture
    def place(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def store(self, place: str, row: type) -> Iterator[Store]:
        with closing(self.open(place, projections_of(row))) as store:
            yield store

    def test_a_hundred_thousand_wide_rows_are_all_there(self, store: Store, row: type) -> None:
        store.create(V1)
        random = Random(0)
        rows = [wide(row, n, random) for n in range(1, ROWS + 1)]
        store.apply(V1, rows, checkpoint(ROWS))
        expected: list[StoredRow] = stored(rows)
        assert sum(found == wanted for found, wanted in zip(store.scan(V1, ACME), expected, strict=True)) == ROWS
