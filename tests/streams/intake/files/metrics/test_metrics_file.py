import csv
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.facts import DeviceMetricsReported
from streams.intake.files.metrics.metrics_file import MetricsFile
from streams.intake.files.metrics.sample import How
from streams.intake.files.text import CUT_OFF, FactRow, FileError, RefusedRow, check
from streams.intake.files.zones import zone_of
from tests.streams.intake.files.samples import REAL_DATA, real_data, refused, write

AT = datetime(2026, 3, 4, 17, 20, 30, tzinfo=UTC)
BERLIN = zone_of("Europe/Berlin")


def source(path: Path, form: str = "", **how: Any) -> MetricsFile:
    return MetricsFile(check(path, "utf-8"), How(**{"device_id": "web-1", **how}), form)


def items(path: Path, form: str = "", **how: Any) -> list[FactRow | RefusedRow]:
    return list(source(path, form, **how).items())


def one(path: Path, **how: Any) -> list[FactRow | RefusedRow]:
    """Return the readings of a file of one metric."""
    return items(path, **{"metrics": ("cpu",), "units": {"": "percent"}, **how})


def readings(found: list[FactRow | RefusedRow]) -> list[FactRow]:
    return [item for item in found if isinstance(item, FactRow)]


def said(found: list[FactRow | RefusedRow]) -> list[tuple[str, float, str]]:
    """Return metric, value and unit of each reading."""
    result = []
    for item in readings(found):
        assert isinstance(item.fact.fact, DeviceMetricsReported)
        [(metric, value)] = item.fact.fact.metrics.items()
        result.append((metric, value, item.fact.fact.unit))
    return result


def times(found: list[FactRow | RefusedRow]) -> list[datetime]:
    return [item.fact.happened_at for item in readings(found)]


def test_a_reading_is_a_fact_of_its_device_at_its_time(tmp_path: Path) -> None:
    path = write(tmp_path / "f", ["timestamp,value", "2014-04-10 00:04:00,251643.0", "2014-04-10T02:09:00+02:00,-1e3"])
    first, second = readings(one(path))
    assert first.fact.fact == DeviceMetricsReported(metrics={"cpu": 251643.0}, unit="percent")
    assert (first.fact.device_id, first.fact.fact_id) == ("web-1", None)
    assert first.fact.happened_at == datetime(2014, 4, 10, 0, 4, tzinfo=UTC)
    assert second.fact.happened_at == datetime(2014, 4, 10, 0, 9, tzinfo=UTC)


@pytest.mark.parametrize("value", ["", "nan", "inf", "-Infinity", "1e999", "1_000", "0x10", '"1,5"', "on"])
def test_a_value_that_is_no_finite_number_is_refused(tmp_path: Path, value: str) -> None:
    found = one(write(tmp_path / "f", ["timestamp,value", f"2014-04-10 00:04:00,{value}", "2014-04-10 00:04:00,1"]))
    assert refused(found)[2].startswith("value is not a finite number")
    assert len(readings(found)) == 1


def test_readings_that_are_no_rows_of_the_header_are_refused(tmp_path: Path) -> None:
    lines = ["timestamp,value", "soon,1", "2014-04-10 00:04:00", "2014-04-10 00:04:00,1,2", "2014-04-10 00:04:00,7"]
    reasons = refused(one(write(tmp_path / "f", lines, end="")))
    assert {line: reason.partition(":")[0] for line, reason in reasons.items()} == {
        2: "timestamp is not an instant",
        3: "the row has not as many columns as the header",
        4: "the row has not as many columns as the header",
        5: CUT_OFF.partition(":")[0],
    }


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1772644830", 0),
        ("1772644830.5", 500_000),
        ("1772644830123", 123_000),
        ("1772644830123456", 123_456),
        ("1772644830123456789", 123_456),
        ("2026-03-04T17:20:30.123456789Z", 123_456),
        ("2026-03-04 18:20:30+0100", 0),
    ],
)
def test_a_time_may_be_a_number_of_any_unit(tmp_path: Path, text: str, micros: int) -> None:
    path = write(tmp_path / "f", ["ts,value", f"{text},1"])
    assert times(one(path)) == [AT + timedelta(microseconds=micros)]


def test_the_unit_of_small_numbers_can_be_told(tmp_path: Path) -> None:
    path = write(tmp_path / "f", ["ts,value", "1000,1"])
    assert times(one(path, time_unit="ms")) == [datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)]


def test_a_time_that_the_clocks_skipped_is_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "f", ["timestamp,value", "2026-03-29 02:30:00,1", "2026-03-29 03:00:00,2"])
    found = one(path, zone=BERLIN)
    assert refused(found) == {
        2: "timestamp is a time that does not exist: '2026-03-29 02:30:00'; the clocks of Europe/Berlin skipped"
        " 2026-03-29 02:30:00; name the zone of the file with --timezone"
    }
    assert times(found) == [datetime(2026, 3, 29, 1, tzinfo=UTC)]


@pytest.mark.parametrize("falling", [False, True])
def test_an_hour_that_comes_twice_is_told_apart_by_the_order_of_the_rows(tmp_path: Path, *, falling: bool) -> None:
    clock = ["02:00", "02:30", "02:00", "02:30", "03:00"]
    rows = [f"2026-10-25 {time}:00,1" for time in clock]
    found = times(one(write(tmp_path / "f", ["timestamp,value", *(rows[::-1] if falling else rows)]), zone=BERLIN))
    assert [f"{at:%H:%M}" for at in sorted(found)] == ["00:00", "00:30", "01:00", "01:30", "02:00"]


def test_an_hour_that_comes_twice_is_told_apart_by_its_offset(tmp_path: Path) -> None:
    rows = ["2026-10-25 02:30:00+01:00,1", "2026-10-25 02:30:00+02:00,2"]
    found = times(one(write(tmp_path / "f", ["timestamp,value", *rows]), zone=BERLIN))
    assert [f"{at:%H:%M}" for at in found] == ["01:30", "00:30"]


def test_of_readings_of_one_instant_the_last_one_is_sent(tmp_path: Path) -> None:
    rows = ["2026-03-04 17:20:30,1", "2026-03-04 17:20:31,2", "2026-03-04 18:20:30+01:00,3"]
    file = source(write(tmp_path / "f", ["timestamp,value", *rows]), metrics=("cpu",))
    found = list(file.items())
    assert sorted(said(found)) == [("cpu", 2.0, ""), ("cpu", 3.0, "")]
    assert (file.rows_read, [item.replaced for item in readings(found)]) == (3, [0, 1])
    assert file.notes() == ["readings of an instant that has a later one in the file: 1; the last one counts"]


def test_columns_may_have_other_names_and_a_row_several_metrics(tmp_path: Path) -> None:
    path = write(
        tmp_path / "f", ["at,rack,inlet,outlet,note", f"{AT.isoformat()},9,20.5,,x", "2026-03-04 17:20:31,9,21,40,y"]
    )
    wide = items(path, time="at", values=("inlet", "outlet"), units={"": "celsius", "outlet": "K"})
    assert said(wide) == [("inlet", 20.5, "celsius"), ("inlet", 21.0, "celsius"), ("outlet", 40.0, "K")]
    named = items(path, time="at", values=("inlet",), metrics=("temperature",))
    assert [metric for metric, _, _ in said(named)] == ["temperature"] * 2
    # a column that is none is refused, reading by reading
    all_ = items(path, time="at")
    assert [reason.partition(":")[0] for reason in refused(all_).values()] == ["note is not a finite number"] * 2
    assert len(readings(all_)) == 5


def test_a_row_may_name_its_metric_its_unit_and_its_device(tmp_path: Path) -> None:
    path = write(
        tmp_path / "f",
        [
            "time,host,sensor,value,unit",
            "1772644830,web-1,cpu,5,percent",
            "1772644830,db-1,load,0.5,",
            "1772644830,db-1,,0.5,",
        ],
    )
    found = items(path, device_id="", long=True, metrics=("sensor",))
    assert [(item.fact.device_id, *one) for item, one in zip(readings(found), said(found), strict=True)] == [
        ("web-1", "cpu", 5.0, "percent"),
        ("db-1", "load", 0.5, ""),
    ]
    assert refused(found)[4].startswith("the row does not say what it is of")


@pytest.mark.parametrize(
    ("header", "how", "reason"),
    [
        (
            "when,value",
            {"metrics": ("cpu",)},
            "has no column of times; its columns are when, value; name one with --time",
        ),
        ("time,value", {}, "does not say what it measures; name it with --metric"),
        ("time,value", {"device_id": "", "metrics": ("cpu",)}, "does not say which device it is of"),
        ("time,a,b", {"values": ("a", "b"), "metrics": ("x",)}, "has 2 columns of values"),
        ("time,value", {"long": True}, "has no column that names the metric"),
        ("time,a", {"values": ("b",)}, "lacks the columns b"),
        ("time", {}, "has no column of values"),
    ],
)
def test_a_file_that_lacks_a_column_is_told_what_to_do(
    tmp_path: Path, header: str, how: dict[str, Any], reason: str
) -> None:
    with pytest.raises(FileError, match=reason):
        source(write(tmp_path / "f", [header]), "csv", **how)


@pytest.mark.parametrize("first", ["time;temp", "sep=;\ntime;temp"])
def test_semicolons_and_decimal_commas_are_read(tmp_path: Path, first: str) -> None:
    rows = ["2026-03-04 17:20:30;21,5", "2026-03-04 17:20:31;-0,125", "2026-03-04 17:20:32;1,000"]
    found = items(write(tmp_path / "f", [first, *rows]))
    assert said(found) == [("temp", 21.5, ""), ("temp", -0.125, "")]
    assert list(refused(found).values()) == ["temp may be read in two ways: '1,000'; write a decimal point"]


@pytest.mark.parametrize("time", ["1520879607.789", "1520879607789"])
@pytest.mark.parametrize("exemplar", ["", ' # {id="x"} 0.67', ' # {id="x"} 0.67 1520879607.5', " # {} 1"])
def test_an_exemplar_of_openmetrics_is_no_time(tmp_path: Path, time: str, exemplar: str) -> None:
    found = items(write(tmp_path / "f", ["# TYPE foo counter", f"foo_total 17.0 {time}{exemplar}", "# EOF"]))
    assert times(found) == [datetime(2018, 3, 12, 18, 33, 27, 789_000, tzinfo=UTC)]
    assert said(found) == [("foo_total", 17.0, "")]


def test_a_name_with_a_line_break_is_refused_in_words(tmp_path: Path) -> None:
    found = refused(items(write(tmp_path / "f", ["# TYPE a gauge", r'a{path="b\nc"} 1 1520879607789'])))
    assert found == {
        2: "the reading cannot be recorded: the metric's name must be one line of text without control characters:"
        " 'a{path=b\\nc}'"
    }


def test_prometheus_text_is_read(tmp_path: Path) -> None:
    lines = [
        "# HELP http_requests_total The total.",
        "# TYPE http_requests_total counter",
        'http_requests_total{method="post",code="200",instance="web-1:9100"} 1027 1772644830000',
        "process_resident_memory_bytes 5e6",
        "go_gc_duration_seconds NaN",
        "broken line of text",
    ]
    path = write(tmp_path / "f", lines)
    os.utime(path, (AT.timestamp(), AT.timestamp()))
    file = source(path)
    found = list(file.items())
    assert said(found) == [
        ("http_requests_total{code=200,instance=web-1:9100,method=post}", 1027.0, ""),
        ("process_resident_memory_bytes", 5e6, "bytes"),
    ]
    assert times(found) == [AT, AT]
    assert refused(found) == {
        5: "the value is not a finite number: go_gc_duration_seconds is nan",
        6: "the line is no sample of Prometheus: could not convert string to float: 'line'",
    }
    assert file.notes() == ["readings without a time, taken as of when the file was written: 1"]
    [by_instance] = [item.fact.device_id for item in readings(items(write(path, lines[:3]), device_id=""))]
    assert by_instance == "web-1:9100"


@pytest.mark.parametrize("time", ["1772644830000000000", "1772644830000", "1772644830"])
def test_influx_lines_are_read(tmp_path: Path, time: str) -> None:
    lines = [
        f'cpu,host=web-1,cpu=cpu0 usage=1.5,count=2i,state="a b",up=true {time}',
        f"disk,host=db-1 free=9i {time}",
        f"disk,host=db-1 free=NaN {time}",
    ]
    file = source(write(tmp_path / "f", lines), device_id="")
    found = list(file.items())
    assert sorted(said(found)) == [
        ("cpu.count{cpu=cpu0}", 2.0, ""),
        ("cpu.usage{cpu=cpu0}", 1.5, ""),
        ("disk.free", 9.0, ""),
    ]
    assert {item.fact.device_id for item in readings(found)} == {"web-1", "db-1"}
    assert set(times(found)) == {AT}
    assert refused(found) == {3: "the line is not of the line protocol: NaN and Inf are no readings"}
    assert file.notes() == ["fields that are no numbers, left out: 2"]


@real_data
def test_every_real_series_is_read_whole() -> None:
    for path in sorted((REAL_DATA / "nab").glob("*.csv")):
        with path.open(newline="") as file:
            expected = {row["timestamp"]: float(row["value"]) for row in csv.DictReader(file)}
        found = one(path)
        by_time = {
            f"{item.fact.happened_at:%Y-%m-%d %H:%M:%S}": value
            for item, (_, value, _) in zip(readings(found), said(found), strict=True)
        }
        assert by_time == expected
        assert not refused(found)


CELLS = st.sampled_from(["1", "", "2010-12-01 08:26:00", "x", '"', '"a', '"q""q"', "\0", "é", "1.5", "-2", "1e30"])


@given(lines=st.lists(st.one_of(st.lists(CELLS, max_size=3).map(",".join), st.text(max_size=20)), max_size=12))
def test_every_reading_of_any_file_is_taken_or_refused_or_replaced_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    file = source(write(tmp_path_factory.mktemp("any") / "f", ["timestamp,value", *lines]), "csv", metrics=("cpu",))
    found = list(file.items())
    seen = [item.row.line for item in found]
    assert len(seen) == len(set(seen)) == file.rows_read - sum(item.replaced for item in readings(found))


@given(text=st.text(max_size=60), form=st.sampled_from(["prometheus", "influx"]))
def test_any_line_is_read_or_refused_without_a_fault(
    tmp_path_factory: pytest.TempPathFactory, text: str, form: str
) -> None:
    items(write(tmp_path_factory.mktemp("any") / "f", [text]), form)


def test_a_file_of_windows_performance_monitor_has_its_month_first_and_a_blank_is_no_reading(tmp_path: Path) -> None:
    header = r'"(PDH-CSV 4.0) (W. Europe Standard Time)(-60)","\\PC\Memory\Available MBytes","\\PC\System\Threads"'
    path = write(tmp_path / "f", [header, '"03/04/2026 18:20:30.123"," ","512"', '"03/04/2026 18:20:30.623","9","513"'])
    found = items(path, zone=BERLIN)
    assert said(found) == [
        (r"\\PC\System\Threads", 512.0, ""),
        (r"\\PC\Memory\Available MBytes", 9.0, ""),
        (r"\\PC\System\Threads", 513.0, ""),
    ]
    first = AT + timedelta(milliseconds=123)
    assert times(found) == [first, first + timedelta(milliseconds=500), first + timedelta(milliseconds=500)]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("3/31/2026 5:20 PM", datetime(2026, 3, 31, 17, 20, tzinfo=UTC)),
        ("2026-03-31 17:20+02", datetime(2026, 3, 31, 15, 20, tzinfo=UTC)),
        ("2026-03-31T17:20-05", datetime(2026, 3, 31, 22, 20, tzinfo=UTC)),
        ("31.03.2026 17:20", datetime(2026, 3, 31, 17, 20, tzinfo=UTC)),
        ("31.03.2026 17:20:30.655028", datetime(2026, 3, 31, 17, 20, 30, 655028, tzinfo=UTC)),
    ],
)
def test_dates_of_tables_are_read_with_all_that_they_say(tmp_path: Path, text: str, at: datetime) -> None:
    assert times(one(write(tmp_path / "f", ["time,value", f"{text},1"]))) == [at]
