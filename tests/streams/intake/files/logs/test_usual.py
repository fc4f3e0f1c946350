"""What is read in one step is read as the table of forms and the validator read it."""

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.facts import LogRecorded
from streams.intake.files.logs import recorded, records
from streams.intake.files.logs.line import BadLine, Line
from streams.intake.files.logs.recorded import log_recorded
from streams.intake.files.logs.records import Reader
from streams.intake.files.logs.severities import GUESSES, SEVERITIES, severity_of
from streams.intake.files.logs.usual import usual_line

STAMPS = (
    *("2026-03-04T17:20:30.655028+00:00", "2026-03-04 17:20:30", "2026-03-04T17:20:30Z", "2026-03-04T17:20:30.1-04:30"),
    *("2026-03-04T17:20:60Z", "2026-13-04T17:20:30Z", "0001-01-01T00:00:00+09:00", "2026-03-04t17:20:30"),
    *("Mar  4 17:20:30", "Mar 04 17:20:30", "Feb 31 17:20:30", "Mar 4 17:20:30", "mar  4 17:20:30"),
    *("Mar  4 25:00:00", "<13>Mar  4 17:20:30", "Mar  4 2026 17:20:30"),
)
HOSTS = (
    *("web-1", "h", "a.example.org", "UTC", "GMT", "Z", "z", "INFO", "ERROR", "WARN", "ERRORS", "stdout", "stderr"),
    *("auth.info", "kern.x", "authx.info", "local0.notice", "CET", "CET:", "host:", "1", "[8]", "-", "x,", "Info"),
)
PROGRAMS = ("sshd", "F", "P", "CBS", "a/b.c-d", "syslogd 1.4.1", "-- root", "(cron)", "ts=1", "%SYS-5-CONFIG_I", "x y")
MESSAGES = (
    *(
        "",
        " ",
        "text",
        "a: b",
        "%SYS-5-CONFIG_I: m",
        "100% [x] 5#0: , std",
        "ERROR - x",
        "time=1 ts=2",
        "[Warning] [MY] x",
    ),
    *("Failed password for kim from 192.0.2.1 port 5 ssh2", '"GET / HTTP/1.1" 200 5', "} ]", "a\tb", "ü\u017f"),
)
USUAL = (
    ("2026-03-04T17:20:30.655028+00:00", "2026-03-04 17:20:30", "Mar  4 17:20:30"),
    (" ",),
    ("web-1", "a.example.org"),
    (" ",),
    ("sshd", "CRON"),
    ("[1]: ", ": ", "[1]:"),
    ("text", "Failed password for kim from 192.0.2.1 port 5 ssh2", ""),
)
UNUSUAL = (
    st.sampled_from(STAMPS),
    st.sampled_from(("  ", ": ", ", ", "")),
    st.sampled_from(HOSTS) | st.text("aZ.1-: ", max_size=4),
    st.sampled_from(("  ", "")),
    st.sampled_from(PROGRAMS),
    st.sampled_from((":", "[x]: ", "[1] ", "[1]", "")),
    st.sampled_from(MESSAGES) | st.text(max_size=5),
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Draw a line of which at most two parts are not as most are: with more of them none would be usual."""
    parts = [draw(st.sampled_from(usual)) for usual in USUAL]
    for place in draw(st.lists(st.integers(0, len(parts) - 1), max_size=2)):
        parts[place] = draw(UNUSUAL[place])
    return "".join(parts)


def read(text: str) -> Line | str | None:
    try:
        return Reader().read(text)
    except BadLine as error:
        return str(error)


@given(text=texts())
def test_a_usual_line_is_read_as_the_table_reads_it(text: str) -> None:
    found = read(text)
    with patch.object(records, "usual_line", lambda _text: None):
        assert found == read(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-04T17:20:30.655028+00:00 web-1 sshd[4711]: Failed password for kim",
        "2026-03-04 17:20:30 web-1.example.org CRON: (root) CMD",
        "Mar  4 17:20:30 web-1 sshd[4711]: Failed password for kim",
        "Mar 14 17:20:30 web-1 kernel: x",
    ],
)
def test_what_is_usual_is_not_left_to_the_table(text: str) -> None:
    assert usual_line(text) is not None


WORDS = (
    "error",
    "errors",
    "terror",
    "FATAL",
    "panic",
    "failed",
    "failing",
    "Invalid",
    "timed out",
    "timed",
    "break-in",
)


@given(words=st.lists(st.sampled_from((*WORDS, "e\u017f", "erro\u017f", "warn\u0131ng", "x")) | st.text(max_size=3)))
def test_a_severity_is_guessed_as_the_expressions_do(words: list[str]) -> None:
    message = " ".join(words)
    expected = next((severity for severity, expression in GUESSES if expression.search(message)), "info")
    assert severity_of(message) == expected


NAMES = st.sampled_from(("", "sshd", "x" * 201, "a\x07b", "ü", "\ud800")) | st.text(max_size=3)
LINES = st.builds(
    Line,
    st.none(),
    st.sampled_from(("m", "x" * 65_537, "ü" * 65_536, "\ud800")) | st.text(max_size=9),
    host=NAMES,
    program=NAMES,
    pid=st.sampled_from(("", "1")),
    severity=st.none() | st.sampled_from((*SEVERITIES, "Error", "9", "")),
    user=NAMES,
    ip=st.sampled_from(("", "192.0.2.1")),
    said=st.lists(st.sampled_from(("status=404", "ü=1", "x" * 65_536)), max_size=2).map(tuple),
)


def fact_of(line: Line) -> LogRecorded | str:
    try:
        return log_recorded(line)
    except BadLine as error:
        return str(error)


@given(line=LINES)
def test_a_usual_fact_is_what_the_validator_makes_of_it(line: Line) -> None:
    found = fact_of(line)
    with patch.object(recorded, "_is_usual", lambda _fact: False):
        assert found == fact_of(line)
