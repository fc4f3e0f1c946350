"""Rows beyond one run come back in order, whole."""

from operator import itemgetter
from random import Random

import pytest

from infra.cassandra import in_order as in_order_module
from infra.cassandra.in_order import in_order


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 95])
def test_rows_come_in_order_whatever_fits_in_a_run(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_order_module, "RUN_ROWS", 10)
    monkeypatch.setattr(in_order_module, "_CHUNK_ROWS", 3)
    rows = [(n, f"row {n}", None) for n in range(count)]
    shuffled = rows.copy()
    Random(1).shuffle(shuffled)
    assert list(in_order(iter(shuffled), itemgetter(0))) == rows
