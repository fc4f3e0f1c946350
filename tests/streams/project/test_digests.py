"""Digests tell rows apart, and nothing else: not how a store cuts its answer, nor what it calls the same amount."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest

from projections.columns import Columns
from projections.finance.invoice_facts import InvoiceLineRow
from projections.fleet.metric_rows import MetricRow
from projections.rows import Row, View
from streams.project.digests import Digest, Piece, digests_of, digests_of_columns
from tests.contracts.samples import ACME, LAYOUTS, sample, samples

V1 = View("things", 1)


class Kept:
    """Rows in a store that answers in blocks of some size."""

    def __init__(self, row: type, rows: Sequence[Row], size: int) -> None:
        self._columns = Columns.of(row, rows).values
        self._size = size

    def scan_columns(self, _view: View, _tenant_id: str) -> Iterator[Sequence[Sequence[Any]]]:
        for at in range(0, len(self._columns[0]), self._size):
            yield [column[at : at + self._size] for column in self._columns]

    def count(self, *_of: Any) -> None:
        """Nobody asks."""


def digests(row: type, rows: Sequence[Row], size: int = 100) -> Mapping[Piece, Digest]:
    store: Any = Kept(row, rows, size)
    return digests_of(store, V1, ACME, LAYOUTS[row])


@pytest.mark.parametrize("row", [MetricRow, InvoiceLineRow])
def test_how_an_answer_is_cut_does_not_matter(row: type) -> None:
    rows = [sample(row, 0), *samples(row, 9)]
    whole = digests(row, rows)
    first = date(1970, 1, 1).toordinal()
    days = {date.fromordinal(first + piece.day): digest.rows for piece, digest in whole.items()}
    assert days == {date(2026, 1, 31): 1, date(2026, 2, 1): 9}
    assert all(digests(row, rows, size) == whole for size in (1, 2, 3, 7))


@pytest.mark.parametrize(
    "change",
    [
        {"value": 0.5},
        {"value": nan},
        {"value": inf},
        {"value": None},
        {"value": "1"},
        {"unit": ""},
        {"unit": None},
        {"device_id": 'device-1","'},
        {"position": 3},
        {"position": 2**70},
    ],
    ids=str,
)
def test_any_other_value_is_another_digest(change: dict[str, Any]) -> None:
    rows: Any = samples(MetricRow, 3)
    changed = digests(MetricRow, [rows[0], rows[1]._replace(**change), rows[2]])
    assert changed != digests(MetricRow, rows)
    assert changed.keys() == digests(MetricRow, rows).keys()


def test_values_do_not_run_into_each_other() -> None:
    one, two = (sample(MetricRow, n) for n in (1, 2))
    texts = [("a", "bc"), ("ab", "c")]
    found = [digests(MetricRow, [one._replace(unit=a), two._replace(unit=b)]) for a, b in texts]  # type: ignore[attr-defined]
    assert found[0] != found[1]


def test_one_amount_has_one_digest_however_it_is_written() -> None:
    row: Any = sample(InvoiceLineRow, 1)
    same = [row._replace(quantity=Decimal(text)) for text in ("2.5", "2.5000", "25E-1")]
    assert len({str(digests(InvoiceLineRow, [one])) for one in same}) == 1
    assert digests(InvoiceLineRow, [row._replace(quantity=Decimal("2.51"))]) != digests(InvoiceLineRow, same[:1])


def test_rows_of_several_tenants_and_days_are_told_apart() -> None:
    rows: Any = [sample(MetricRow, n) for n in range(4)]
    rows = [rows[0], rows[1]._replace(tenant_id="bolt"), rows[2], rows[3]._replace(tenant_id="bolt")]
    found = digests_of_columns(Columns.of(MetricRow, rows).values, LAYOUTS[MetricRow])
    apart = [digests_of_columns(Columns.of(MetricRow, [row]).values, LAYOUTS[MetricRow]) for row in rows]
    assert len(found) == 3
    (group,) = apart[1]
    assert group[0] == "bolt"
    assert found[group] == apart[1][group].plus(apart[3][group])
    assert {group: digest.rows for group, digest in found.items()} == {**dict.fromkeys(found, 1), group: 2}


def test_order_does_not_matter_but_what_belongs_together_does() -> None:
    rows: Any = samples(MetricRow, 3)
    assert digests(MetricRow, rows[::-1]) == digests(MetricRow, rows)
    swapped = [rows[0]._replace(value=rows[1].value), rows[1]._replace(value=rows[0].value), rows[2]]
    assert digests(MetricRow, swapped) != digests(MetricRow, rows)


def test_a_zero_has_one_sign() -> None:
    row: Any = sample(MetricRow, 1)
    assert digests(MetricRow, [row._replace(value=-0.0)]) == digests(MetricRow, [row._replace(value=0.0)])


def test_rows_are_told_apart_by_the_segment_in_which_they_were_recorded() -> None:
    rows: Any = [sample(MetricRow, n) for n in (1, 2, 3, 4)]
    found = digests_of_columns(Columns.of(MetricRow, rows).values, LAYOUTS[MetricRow], (2, 3))
    assert [piece.segment for _, piece in found] == [0, 1, 2]
    assert [digest.rows for digest in found.values()] == [2, 1, 1]
