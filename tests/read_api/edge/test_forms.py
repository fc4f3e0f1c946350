"""The forms of rows."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as some

from read_api.edge.forms import Form, csv_header, csv_rows, form_of, lines


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form.JSON),
        ("*/*", Form.JSON),
        ("text/html,application/xhtml+xml", Form.JSON),
        ("text/csv", Form.CSV),
        ("Text/CSV; charset=utf-8", Form.CSV),
        ("application/x-ndjson, */*", Form.LINES),
        ("text/csv;q=0.5, application/json", Form.JSON),
        ("application/json;q=0.1, text/csv;q=0.5", Form.CSV),
        ("text/csv;q=0", Form.JSON),
        ("text/csv;q=nonsense", Form.JSON),
    ],
)
def test_the_form_is_the_one_that_is_preferred(accept: str, form: Form) -> None:
    assert form_of(accept) is form


TEXT = some.text(some.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(rows=some.lists(some.dictionaries(some.sampled_from(["a", "b", "c"]), TEXT), max_size=4))
def test_csv_reads_back_as_it_was_but_for_formulas(rows: list[dict[str, str]]) -> None:
    text = (csv_header(["a", "b"]) + csv_rows(rows, ["a", "b"])).decode()
    found = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(found) == len(rows)
    for row, read in zip(rows, found, strict=True):
        for column in ("a", "b"):
            assert read[column] in {row.get(column, ""), f"'{row.get(column, '')}"}
            assert not read[column].startswith(("=", "@", "\t", "\r"))


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("-2+3", "'-2+3"),
        ("@sum", "'@sum"),
        ("-12.5000", "-12.5000"),
        ("+4912345", "+4912345"),
        (-3, "-3"),
        (True, "true"),
        (None, ""),
        (["x"], '"[""x""]"'),
    ],
)
def test_a_cell_is_never_a_formula_and_a_number_stays_one(value: object, cell: str) -> None:
    assert csv_rows([{"a": value}], ["a"]).decode() == f"{cell},\r\n"


def test_what_has_no_column_is_in_the_last_one() -> None:
    assert csv_header(["id"]) == b"id,other\r\n"
    assert csv_rows([{"id": "d", "tag:site": "Oslo"}], ["id"]) == b'd,"{""tag:site"":""Oslo""}"\r\n'
    assert lines([{"id": "d"}, {"id": "e"}]) == b'{"id":"d"}\n{"id":"e"}\n'
