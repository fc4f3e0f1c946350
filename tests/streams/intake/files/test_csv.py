import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.facts import DeviceMetricsReported
from streams.intake.files.csv import MetricsFile, Series
from streams.intake.files.text import CUT_OFF, FactRow, check
from tests.streams.intake.files.samples import CELLS, REAL_DATA, facts, metrics, real_data, refused, rows_of, write


def test_a_reading_is_a_fact_of_its_device_at_its_time(tmp_path: Path) -> None:
    path = write(tmp_path / "f", ["timestamp,value", "2014-04-10 00:04:00,251643.0", "2014-04-10T02:09:00+02:00,-1e3"])
    first, second = facts(metrics(path))
    assert first.fact.fact == DeviceMetricsReported(metrics={"cpu": 251643.0}, unit="percent")
    assert (first.fact.device_id, first.fact.fact_id) == ("web-1", None)
    assert first.fact.happened_at == datetime(2014, 4, 10, 0, 4, tzinfo=UTC)
    assert second.fact.happened_at == datetime(2014, 4, 10, 0, 9, tzinfo=UTC)


@pytest.mark.parametrize("value", ["", "nan", "inf", "-Infinity", "1e999", "1_000", "0x10", '"1,5"', "on"])
def test_a_value_that_is_no_finite_number_is_refused(tmp_path: Path, value: str) -> None:
    items = metrics(write(tmp_path / "f", ["timestamp,value", f"2014-04-10 00:04:00,{value}", "2014-04-10 00:04:00,1"]))
    assert refused(items)[2].startswith("value is not a finite number")
    assert len(facts(items)) == 1


def test_readings_that_are_no_rows_of_the_header_are_refused(tmp_path: Path) -> None:
    lines = [
        "timestamp,value",
        "1397088240,1",
        "2014-04-10 00:04:00",
        "2014-04-10 00:04:00,1,2",
        "2014-04-10 00:04:00,7",
    ]
    reasons = refused(metrics(write(tmp_path / "f", lines, end="")))
    assert {line: reason.partition(":")[0] for line, reason in reasons.items()} == {
        2: "timestamp is not an instant",
        3: "the row has not as many columns as the header",
        4: "the row has not as many columns as the header",
        5: CUT_OFF.partition(":")[0],
    }


@real_data
def test_every_real_series_is_read_whole() -> None:
    for path in sorted((REAL_DATA / "nab").glob("*.csv")):
        with path.open(newline="") as file:
            expected = [float(row["value"]) for row in csv.DictReader(file)]
        items = metrics(path)
        assert [reading(item) for item in facts(items)] == expected
        assert not refused(items)


def reading(row: FactRow) -> float:
    fact = row.fact.fact
    assert isinstance(fact, DeviceMetricsReported)
    return fact.metrics["cpu"]


@given(lines=st.lists(st.one_of(st.lists(CELLS, max_size=3).map(",".join), st.text(max_size=20)), max_size=12))
def test_every_reading_of_any_file_is_taken_or_refused_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = write(tmp_path_factory.mktemp("any") / "f", ["timestamp,value", *lines])
    source = MetricsFile(check(path, "utf-8"), Series("web-1", "cpu", ""))
    seen = rows_of(list(source.items()))
    assert len(seen) == len(set(seen)) == source.rows_read
