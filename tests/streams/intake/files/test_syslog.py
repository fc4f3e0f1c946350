import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.facts import LogRecorded
from streams.intake.files.syslog import MAX_CHARACTERS, SyslogFile, severity_of
from streams.intake.files.text import FactRow, RefusedRow, check
from tests.streams.intake.files.samples import REAL_DATA, facts, real_data, refused, write

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def read(path: Path, *, year: int | None = None, device: str = "web-1") -> list[FactRow | RefusedRow]:
    return list(SyslogFile(check(path, "utf-8"), device, year, NOW).items())


def lines(tmp_path: Path, *texts: str, year: int | None = None) -> list[FactRow]:
    items = read(write(tmp_path / "log", texts), year=year)
    assert not refused(items)
    return facts(items)


def log_of(row: FactRow) -> LogRecorded:
    fact = row.fact.fact
    assert isinstance(fact, LogRecorded)
    return fact


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


@pytest.mark.parametrize(
    ("instant", "microsecond"), [("05:06:20Z", 0), ("06:06:20.5+01:00", 500_000), ("01:06:20.000007-04:00", 7)]
)
def test_a_line_of_a_newer_system_says_its_year_and_its_offset(tmp_path: Path, instant: str, microsecond: int) -> None:
    [row] = lines(tmp_path, f"2005-06-09T{instant} combo sshd[1]: hello", year=1999)
    assert row.fact.happened_at == datetime(2005, 6, 9, 5, 6, 20, microsecond, tzinfo=UTC)
    assert (log_of(row).hostname, log_of(row).source_event_type, log_of(row).summary) == ("combo", "sshd", "hello")


def test_a_newer_line_whose_instant_does_not_exist_is_refused(tmp_path: Path) -> None:
    texts = ["2025-02-29T10:00:00Z h p: a", "0001-01-01T00:00:00+23:00 h p: b", "2025-02-28 10:00:00 h p: c"]
    assert refused(read(write(tmp_path / "log", texts))) == {
        1: "the day or time does not exist: 2025-02-29T10:00:00Z",
        2: "the day or time does not exist: 0001-01-01T00:00:00+23:00",
        3: "the line does not look like syslog: Dec 10 06:55:46 host program[pid]: message",
    }


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


def test_without_a_year_the_last_line_is_not_in_the_future(tmp_path: Path) -> None:
    assert days(lines(tmp_path, "Nov 21 12:00:00 h p: a")) == ["2026-11-21"]
    assert days(lines(tmp_path, "Nov 21 12:00:01 h p: a")) == ["2025-11-21"]


def test_a_year_that_is_given_is_that_of_the_first_line(tmp_path: Path) -> None:
    assert days(lines(tmp_path, "Dec 31 23:59:59 h p: a", "Jan  1 00:00:01 h p: b", year=2004)) == [
        "2004-12-31",
        "2005-01-01",
    ]


def test_the_year_turns_from_december_to_january_and_back_for_a_late_line(tmp_path: Path) -> None:
    texts = [f"{day} 00:00:00 h p: a" for day in ("Nov 30", "Dec 31", "Jan  1", "Dec 31", "Jan  1", "Nov 20", "Jan  2")]
    assert days(lines(tmp_path, *texts)) == [
        "2025-11-30",
        "2025-12-31",
        "2026-01-01",
        "2025-12-31",
        "2026-01-01",
        "2025-11-20",
        "2026-01-02",
    ]


def test_a_leap_day_moves_the_guess_to_a_year_that_has_it(tmp_path: Path) -> None:
    assert days(lines(tmp_path, "Feb 29 10:00:00 h p: a", "Mar  1 10:00:00 h p: b")) == ["2024-02-29", "2024-03-01"]
    assert days(lines(tmp_path, "Dec 31 10:00:00 h p: a", "Feb 29 10:00:00 h p: b")) == ["2023-12-31", "2024-02-29"]


def test_a_day_that_its_year_has_not_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "log", ["Feb 28 10:00:00 h p: a", "Feb 29 10:00:00 h p: b", "Feb 28 25:00:00 h p: c"])
    assert refused(read(path, year=2025)) == {
        2: "the day or time does not exist: Feb 29 10:00:00 in 2025",
        3: "the day or time does not exist: Feb 28 25:00:00 in 2025",
    }


def test_equal_lines_of_one_second_are_kept_and_the_import_gives_them_their_ids(tmp_path: Path) -> None:
    found = lines(tmp_path, "Jun  9 06:06:20 h p: a", "Jun  9 06:06:20 h p: a")
    assert [row.fact.fact_id for row in found] == [None, None]


def test_a_last_line_without_a_line_end_and_windows_line_ends_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"Jun  9 06:06:20 h p: a\r\n\r\nJun  9 06:06:20 h p: b")
    items = read(path)
    assert [(row.row.line, log_of(row).summary) for row in facts(items)] == [(1, "a"), (3, "b")]
    assert len(items) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("  at java.lang.Thread.run", "the line does not look like syslog"),
        ("Foo  9 06:06:20 h p: a", "the line does not look like syslog"),
        ("Jun  9 06:06:20", "the line does not look like syslog"),
        ("Jun  9 06:06:20 h\0st p: a", "the line does not look like syslog"),
        ("1700000000 h p: a", "the line does not look like syslog"),
        ("Jun  9 06:06:20 h p: " + "x" * MAX_CHARACTERS, "the line is too long"),
    ],
)
def test_a_line_that_is_no_log_line_is_refused_and_the_others_are_not(tmp_path: Path, text: str, reason: str) -> None:
    items = read(write(tmp_path / "log", [text, "Jun  9 06:06:20 h p: a"]))
    assert refused(items)[1].startswith(reason)
    assert len(facts(items)) == 1


@real_data
@pytest.mark.parametrize("name", ["OpenSSH_2k", "Linux_2k"])
def test_every_real_line_is_taken_and_says_what_its_labels_say(name: str) -> None:
    items = read(REAL_DATA / "loghub" / f"{name}.log")
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
        assert log.details == (f"pid={pid}" if pid else "")
        assert log.summary.strip() == label["Content"].strip()


@given(texts=st.lists(st.one_of(st.text(max_size=30), st.sampled_from(["Jun  9 06:06:20 h p: a", "Feb 29 0:0:0"]))))
def test_every_line_of_any_file_is_taken_or_refused_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    path = write(tmp_path_factory.mktemp("any") / "log", texts)
    source = SyslogFile(check(path, "utf-8"), "web-1", None, NOW)
    seen = [item.row.line for item in source.items()]
    assert len(seen) == len(set(seen)) == source.rows_read
    raw = path.read_bytes().decode().split("\n")
    assert len(seen) == sum(bool(line.rstrip("\r")) for line in raw)
