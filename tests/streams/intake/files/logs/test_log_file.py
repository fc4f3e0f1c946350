import csv
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.facts import LogRecorded
from streams.intake.files.logs.fields import Names
from streams.intake.files.logs.log_file import How, LogFile, Seen
from streams.intake.files.logs.records import MAX_CHARACTERS
from streams.intake.files.logs.severities import severity_of
from streams.intake.files.text import FactRow, FileError, RefusedRow
from streams.intake.files.zones import zone_of
from tests.streams.intake.files.samples import REAL_DATA, facts, real_data, refused, write

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
AT = datetime(2026, 3, 4, 17, 20, 30, tzinfo=UTC)


def source(path: Path, seen: Seen | None = None, **how: Any) -> LogFile:
    return LogFile(path, How(**{"device_id": "web-1", **how}), NOW, seen or Seen())


def read(path: Path, **how: Any) -> list[FactRow | RefusedRow]:
    return list(source(path, **how).items())


def lines(tmp_path: Path, *texts: str, **how: Any) -> list[FactRow]:
    items = read(write(tmp_path / "log", texts), **how)
    assert not refused(items)
    return facts(items)


def log_of(row: FactRow) -> LogRecorded:
    fact = row.fact.fact
    assert isinstance(fact, LogRecorded)
    return fact


def messages(path: Path, **how: Any) -> list[str]:
    return [log_of(row).summary for row in facts(read(path, **how))]


def days(rows: Sequence[FactRow]) -> list[str]:
    return [f"{row.fact.happened_at:%Y-%m-%d}" for row in rows]


@pytest.mark.parametrize(
    ("rest", "program", "details", "summary"),
    [
        ("sshd[24200]: Invalid user a", "sshd", "pid=24200", "Invalid user a"),
        ("sshd(pam_unix)[19939]: check pass; user unknown", "sshd(pam_unix)", "pid=19939", "check pass; user unknown"),
        ("kernel: Console: colour VGA+ 80x25", "kernel", "", "Console: colour VGA+ 80x25"),
        ("syslogd 1.4.1: restart.", "syslogd 1.4.1", "", "restart."),
        (" -- root[2421]: ROOT LOGIN ON tty2", "-- root", "pid=2421", "ROOT LOGIN ON tty2"),
        ("last message repeated 2 times", None, "", "last message repeated 2 times"),
        ("sshd[1]:", "sshd", "pid=1", ""),
    ],
)
def test_a_line_is_read_in_its_parts(
    tmp_path: Path, rest: str, program: str | None, details: str, summary: str
) -> None:
    [row] = lines(tmp_path, f"Jun  9 06:06:20 combo {rest}", year=2005)
    log = log_of(row)
    assert row.fact.happened_at == datetime(2005, 6, 9, 6, 6, 20, tzinfo=UTC)
    assert (log.hostname, log.tool_type) == ("combo", "syslog")
    assert (log.source_event_type, log.details, log.summary) == (program, details, summary)
    assert log.event_type == program


@pytest.mark.parametrize(
    ("message", "severity"),
    [
        ("fatal: Write failed: Connection reset by peer", "error"),
        ("error: Received disconnect from 103.99.0.122", "error"),
        ("Failed password for root", "warning"),
        ("POSSIBLE BREAK-IN ATTEMPT!", "warning"),
        ("ALERT exited abnormally with [1]", "warning"),
        ("session opened for user test by (uid=509)", "info"),
        ("terrorised by unfailing mirrors", "info"),
    ],
)
def test_severity_is_guessed_from_whole_words(message: str, severity: str) -> None:
    assert severity_of(message) == severity


def test_a_year_that_is_given_is_that_of_the_first_line(tmp_path: Path) -> None:
    texts = ["Dec 31 23:59:59 h p: a", "Jan  1 00:00:01 h p: b"]
    assert days(lines(tmp_path, *texts, year=2004)) == ["2004-12-31", "2005-01-01"]
    quiet = ["Jan  5 08:00:00 h p: a", "Sep 10 08:00:00 h p: b"]
    assert days(lines(tmp_path, *quiet, year=2020)) == ["2020-01-05", "2020-09-10"]


def test_the_year_turns_from_december_to_january_and_back_for_a_late_line(tmp_path: Path) -> None:
    dates = ("Nov 30", "Dec 31", "Jan  1", "Dec 31", "Jan  1", "Dec 26", "Jan  2")
    assert days(lines(tmp_path, *(f"{day} 00:00:00 h p: a" for day in dates))) == [
        "2025-11-30",
        "2025-12-31",
        "2026-01-01",
        "2025-12-31",
        "2026-01-01",
        "2025-12-26",
        "2026-01-02",
    ]


def test_the_year_is_near_to_the_time_at_which_the_file_was_written(tmp_path: Path) -> None:
    path = write(tmp_path / "log", ["Mar  4 10:00:00 h p: a"])
    written = datetime(2019, 3, 5, tzinfo=UTC).timestamp()
    os.utime(path, (written, written))
    assert days(facts(read(path))) == ["2019-03-04"]


def test_a_line_of_which_the_clock_is_ahead_is_of_this_year(tmp_path: Path) -> None:
    ahead = NOW + timedelta(hours=14)
    [row] = lines(tmp_path, f"{ahead:%b %d %H:%M:%S} h p: a")
    assert row.fact.happened_at == ahead


def test_a_day_that_its_year_has_not_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "log", ["Feb 28 10:00:00 h p: a", "Feb 29 10:00:00 h p: b", "Feb 28 25:00:00 h p: c"])
    assert refused(read(path, year=2025)) == {
        2: "the day or time does not exist: Feb 29 10:00:00 in 2025",
        3: "the day or time does not exist: Feb 28 25:00:00 in 2025",
    }


def test_equal_lines_of_one_second_are_kept_and_known_again(tmp_path: Path) -> None:
    texts = ["Jun  9 06:06:20 h p: a", "Jun  9 06:06:20 h p: a", "Jun  9 06:06:21 h p: a", "Jun  9 06:06:20 h p: a"]
    first = [row.fact.fact_id for row in lines(tmp_path, *texts)]
    assert len(set(first)) == 4
    assert [row.fact.fact_id for row in lines(tmp_path, *texts)] == first
    other = read(write(tmp_path / "log", texts), device_id="web-2")
    assert {row.fact.fact_id for row in facts(other)}.isdisjoint(first)


def test_equal_lines_of_rotated_files_are_lines_of_their_own(tmp_path: Path) -> None:
    old = write(tmp_path / "log.1", ["Mar  4 10:00:00 h p: tick"] * 2)
    new = write(tmp_path / "log", ["Mar  4 10:00:00 h p: tick", "Mar  4 10:00:01 h p: tock"])
    seen = Seen()
    items = [row for path in (old, new) for row in facts(list(source(path, seen).items()))]
    assert len({row.fact.fact_id for row in items}) == 4


def test_a_file_that_is_named_twice_has_its_lines_once(tmp_path: Path) -> None:
    path = write(tmp_path / "log", ["Mar  4 10:00:00 h p: tick", "Mar  4 10:00:01 h p: tock"])
    seen = Seen()
    once, twice = ([row.fact.fact_id for row in facts(list(source(path, seen).items()))] for _ in range(2))
    assert once == twice


def test_an_unfinished_last_line_waits_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"Jun  9 06:06:20 h p: a\r\n\r\nJun  9 06:06:21 h p: Failed pass")
    file = source(path)
    [first] = facts(list(file.items()))
    assert "line 3 has no line end yet and was not imported" in file.notes()[0]
    assert messages(path, take_last=True) == ["a", "Failed pass"]
    with path.open("ab") as more:
        more.write(b"word\n")
    again, whole = facts(read(path))
    assert (again.fact.fact_id, log_of(whole).summary) == (first.fact.fact_id, "Failed password")


def test_a_bad_byte_is_replaced_and_counted_and_the_rest_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes("Jun  9 06:06:20 h p: Jürgen ".encode() + b"\x81\n" + "Jun  9 06:06:21 h p: é\n".encode())
    file = source(path)
    assert [log_of(row).summary for row in facts(list(file.items()))] == ["Jürgen \ufffd", "é"]
    assert file.notes() == [
        "bytes that are not UTF-8: 1, first in line 1 (replace; --encoding and --errors say otherwise)"
    ]
    assert messages(path, errors="ignore") == ["Jürgen ", "é"]
    assert messages(path, errors="backslashreplace") == ["Jürgen \\x81", "é"]
    strict = read(path, errors="strict")
    assert refused(strict) == {1: "the line has bytes that are not UTF-8: name its encoding with --encoding"}
    assert [log_of(row).summary for row in facts(strict)] == ["é"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp1252"])
def test_a_file_of_windows_is_read_in_its_encoding(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "log", ["Jun  9 06:06:20 h p: é", "Jun  9 06:06:21 h p: b"], encoding=encoding, end="\r\n")
    how = {"encoding": encoding} if encoding == "cp1252" else {}
    assert messages(path, **how) == ["é", "b"]


def test_a_block_of_nuls_is_dropped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"Jun  9 06:06:20 h p: a\n" + b"\0" * 900 + b"Jun  9 06:06:21 h p: b\n" + b"\0" * 9)
    file = source(path)
    assert [log_of(row).summary for row in facts(list(file.items()))] == ["a", "b"]
    assert "NUL characters dropped: 900, first in line 2" in file.notes()


def test_a_stack_trace_is_joined_to_its_line(tmp_path: Path) -> None:
    texts = [
        "2026-03-04 17:20:30,655 ERROR it broke",
        "java.lang.IllegalStateException: no",
        "    at a.B.c(B.java:9)",
        "Caused by: a.Other: why",
        "\t... 3 more",
        "2026-03-04 17:20:31,655 ERROR again",
        "Traceback (most recent call last):",
        '  File "x.py", line 1, in <module>',
        "shop.OutOfStock: none left",
        "2026-03-04 17:20:32,655 INFO good",
    ]
    file = source(write(tmp_path / "log", texts))
    rows = facts(list(file.items()))
    assert [log_of(row).summary.count("\n") for row in rows] == [4, 3, 0]
    assert log_of(rows[1]).summary.splitlines()[0] == "again"
    assert [row.row.line for row in rows] == [1, 6, 10]
    assert "lines joined to the line before: 7" in file.notes()


@pytest.mark.parametrize("first", ["java.lang.Exception: none left", "Exception: none left", "Error: none left"])
def test_a_trace_may_begin_with_an_exception_of_no_other_name(tmp_path: Path, first: str) -> None:
    file = source(write(tmp_path / "log", ["2026-03-04 17:20:30,655 ERROR [main] bad", first, "\tat a.b.c(D.java:1)"]))
    assert [log_of(row).summary for row in facts(list(file.items()))] == [f"[main] bad\n{first}\n\tat a.b.c(D.java:1)"]


def test_logfmt_may_say_its_time_after_its_level(tmp_path: Path) -> None:
    rows = facts(read(write(tmp_path / "log", ['level=warn caller="a b" ts=2026-03-04T17:20:30Z msg="slow disk"'])))
    assert [(row.fact.happened_at, log_of(row).summary, log_of(row).severity) for row in rows] == [
        (datetime(2026, 3, 4, 17, 20, 30, tzinfo=UTC), "slow disk", "warning")
    ]


def test_what_does_not_belong_to_a_line_is_refused(tmp_path: Path) -> None:
    texts = ["  at first", "Jun  9 06:06:20 h p: a", "no log line", "Foo  9 06:06:20 h p: a", "[    0.123456] usb 1"]
    found = refused(read(write(tmp_path / "log", texts)))
    assert {line: reason.partition(":")[0] for line, reason in found.items()} == {
        1: "the line is in no form that is known",
        3: "the line is in no form that is known",
        4: "the line is in no form that is known",
        5: "the line tells seconds since the start only",
    }


@pytest.mark.parametrize("more", [0, 1])
def test_a_line_that_is_too_long_is_refused_and_the_others_are_not(tmp_path: Path, more: int) -> None:
    rest = [" " + "x" * (MAX_CHARACTERS // 2)] * 2 if more else []
    long = "x" * (9 if more else MAX_CHARACTERS)
    items = read(write(tmp_path / "log", [f"Jun  9 06:06:20 h p: {long}", *rest, "Jun  9 06:06:20 h p: a"]))
    assert refused(items)[1].startswith("the line is too long: ")
    assert len(facts(items)) == 1


def test_a_file_without_line_ends_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"log, line 1 is longer than 1048576 bytes; is this a text file"):
        source(write(tmp_path / "log", ["x" * 1_100_000]))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="none cannot be read: No such file"):
        source(tmp_path / "none")


def test_times_without_an_offset_are_of_the_zone_and_the_order_tells_a_repeated_hour_apart(tmp_path: Path) -> None:
    times = ["Oct 25 01:59:00", "Oct 25 02:30:00", "Oct 25 02:59:59", "Oct 25 02:00:00", "Oct 25 02:30:00"]
    rows = lines(tmp_path, *(f"{time} h p: a" for time in times), zone=zone_of("Europe/Berlin"))
    assert [f"{row.fact.happened_at:%H:%M:%S}" for row in rows] == [
        "23:59:00",
        "00:30:00",
        "00:59:59",
        "01:00:00",
        "01:30:00",
    ]
    # 02:30 on this day was skipped
    [row] = lines(tmp_path, "2026-03-29 02:30:00 h p: a", zone=zone_of("Europe/Berlin"))
    assert f"{row.fact.happened_at:%H:%M}" == "01:30"


def test_without_a_device_each_line_is_of_its_host(tmp_path: Path) -> None:
    items = read(
        write(tmp_path / "log", ["Jun  9 06:06:20 gw!1 p: a", "Jun  9 06:06:20 p[1]: b", "Jun  9 06:06:20 db p: c"]),
        device_id="",
    )
    assert [row.fact.device_id for row in facts(items)] == ["gw-1", "db"]
    assert refused(items) == {2: "the line names no host: say which device it is of with --device"}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"time": "2026-03-04T17:20:30Z", "level": "warn", "msg": "m"}, ("m", "warning", None, None)),
        ({"@timestamp": "2026-03-04T17:20:30Z", "message": "m", "log": {"level": "error"}}, ("m", "error", None, None)),
        ({"ts": 1772644830, "msg": "m", "level": 50, "name": "api"}, ("m", "error", None, "api")),
        ({"t": {"$date": "2026-03-04T18:20:30+01:00"}, "s": "W", "c": "REPL", "msg": "m"},
         ("m", "warning", None, "REPL")),
        ({"timestamp": 1772644830000, "message": "m", "host": "h"}, ("m", "info", "h", None)),
        ({"time": "1772644830.000", "text": "m", "host": {"name": "h"}}, ("m", "info", "h", None)),
        ({"log": "m\n", "stream": "stderr", "time": "2026-03-04T17:20:30.000000000Z"}, ("m", "info", None, None)),
        (
            {
                "__REALTIME_TIMESTAMP": "1772644830000000",
                "MESSAGE": "m",
                "PRIORITY": "3",
                "_HOSTNAME": "h",
                "SYSLOG_IDENTIFIER": "sshd",
                "_PID": "7",
            },
            ("m", "error", "h", "sshd"),
        ),
        ({"__REALTIME_TIMESTAMP": "1772644830000000", "MESSAGE": [109, 255], "_COMM": "x"},
         ("m\ufffd", "info", None, "x")),
        ({"TimeCreated": "/Date(1772644830000)/", "Message": "m", "LevelDisplayName": "Fehler", "ProviderName": "disk",
          "MachineName": "h"}, ("m", "error", "h", "disk")),
    ],
)  # fmt: skip
def test_json_lines_are_found_out(
    tmp_path: Path, record: dict[str, Any], expected: tuple[str, str, str | None, str | None]
) -> None:
    [row] = lines(tmp_path, json.dumps(record))
    log = log_of(row)
    assert row.fact.happened_at == AT
    assert (log.summary, log.severity, log.hostname, log.source_event_type) == expected


def test_a_line_of_logfmt_has_fields(tmp_path: Path) -> None:
    [row] = lines(tmp_path, 'time="2026-03-04T17:20:30Z" level=warning msg="a \\"b\\" c" app=shop')
    log = log_of(row)
    assert (row.fact.happened_at, log.severity, log.summary, log.event_type) == (AT, "warning", 'a "b" c', "shop")


def test_fields_of_json_lines_can_be_named(tmp_path: Path) -> None:
    record = {"event": {"at": "2026-03-04T17:20:30Z"}, "what": "m", "message": "other"}
    [row] = lines(tmp_path, json.dumps(record), names=Names("event.at", "what"))
    assert (row.fact.happened_at, log_of(row).summary) == (AT, "m")


def test_json_lines_that_lack_something_say_what(tmp_path: Path) -> None:
    texts = [
        '{"msg": "m"}',
        '{"time": "2026-03-04T17:20:30Z", "a": 1}',
        '{"time": "soon", "msg": "m"}',
        '{"time": "2026',
    ]
    found = refused(read(write(tmp_path / "log", texts)))
    assert found[1] == "the record has no time: its fields are msg; name one with --time-field"
    assert found[2] == "the record has no message: its fields are time, a; name one with --message-field"
    assert found[3].startswith("the time is in no form that is known: 'soon'")
    assert found[4].startswith("the line is no JSON object")


def test_events_that_windows_exported_are_rows(tmp_path: Path) -> None:
    viewer = [
        "Level,Date and Time,Source,Event ID,Task Category",
        'Error,3/4/2026 5:20:30 PM,disk,7,None,"The device, \\Device\\Harddisk0,',
        'has a bad block."',
        "Information,04.03.2026 17:20:30,Kernel-General,12,(1),Started",
    ]
    first, second = lines(tmp_path, *viewer)
    assert (first.fact.happened_at, second.fact.happened_at, second.row.line) == (AT, AT, 4)
    assert (log_of(first).severity, log_of(first).source_event_type, log_of(first).details) == (
        "error",
        "disk",
        "event_id=7",
    )
    assert log_of(first).summary == "The device, \\Device\\Harddisk0,\nhas a bad block."
    evtx = [
        "RecordNumber,EventRecordId,TimeCreated,EventId,Level,Provider,Channel,ProcessId,Computer,MapDescription,UserName",
        "1,900,2026-03-04 17:20:30.1234567,4625,LogAlways,Security-Auditing,Security,7,dc-1,Failed logon,EXAMPLE\\kim",
    ]
    [row] = lines(tmp_path, *evtx, device_id="")
    log = log_of(row)
    assert (row.fact.device_id, log.severity, log.source_event_type, log.summary, log.user_id) == (
        "dc-1",
        "info",
        "Security-Auditing",
        "Failed logon",
        "EXAMPLE\\kim",
    )


def test_a_date_that_may_be_read_in_two_ways_is_refused(tmp_path: Path) -> None:
    [reason] = refused(
        read(write(tmp_path / "log", ["Level,Date and Time,Source", "Error,03/04/2026 17:20:30,x,m"]))
    ).values()
    assert reason.startswith("the time may have its day or its month first: '03/04/2026 17:20:30'")


@real_data
@pytest.mark.parametrize("name", ["OpenSSH_2k", "Linux_2k"])
def test_every_real_line_is_taken_and_says_what_its_labels_say(name: str) -> None:
    items = read(REAL_DATA / "loghub" / f"{name}.log", take_last=True)
    assert not refused(items)
    with (REAL_DATA / "loghub" / f"{name}.log_structured.csv").open(newline="") as file:
        labels = list(csv.DictReader(file))
    assert len(items) == len(labels) == 2_000
    for row, label in zip(facts(items), labels, strict=True):
        log = log_of(row)
        # the labels of OpenSSH have the host where those of Linux have the program
        part = log.hostname if "Day" in label else log.source_event_type
        pid = label.get("PID") or label.get("Pid")
        assert part == label["Component"]
        first, *others = log.details.split(" ") if log.details else [""]
        assert first == (f"pid={pid}" if pid else "")
        assert {other.partition("=")[0] for other in others} <= {"user", "ip"}
        assert log.summary.strip() == label["Content"].strip()
    assert len({row.fact.fact_id for row in facts(items)}) == 2_000


@real_data
@pytest.mark.parametrize("name", ["OpenSSH_2k", "Linux_2k"])
def test_every_row_of_the_real_labels_is_taken(name: str) -> None:
    items = read(REAL_DATA / "loghub" / f"{name}.log_structured.csv")
    assert (len(facts(items)), refused(items)) == (2_000, {})


@given(
    texts=st.lists(st.one_of(st.text(max_size=30), st.sampled_from(["Jun  9 06:06:20 h p: a", "Feb 29 0:0:0", " x"])))
)
def test_every_line_of_any_file_is_taken_or_refused_or_joined_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    path = write(tmp_path_factory.mktemp("any") / "log", texts)
    file = source(path)
    seen = [item.row.line for item in file.items()]
    assert len(seen) == len(set(seen)) == file.rows_read
    assert file.rows == file.rows_read + file.counts.joined
    raw = path.read_bytes().decode().replace("\0", "").split("\n")
    assert len(seen) + file.counts.joined == sum(bool(line.rstrip("\r")) for line in raw)
