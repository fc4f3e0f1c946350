"""This reads the lines of system logs as facts.

Shape: `Dec 10 06:55:46 host program[pid]: message`, whose year is worked out, or `2026-12-10T06:55:46.123456+01:00 host
…`, as newer systems write it.
"""

import re
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic import ValidationError

from domain.catalog import adapter
from domain.fleet.facts import LogRecorded
from streams.intake.files.text import FactRow, RefusedRow, SourceRow, TextFile, changed
from streams.ports import FactSubmission

HEADER = ["line"]

MAX_CHARACTERS = 65_536
"""Of one line. Source: LogRecorded."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LINE = re.compile(
    r"(?:(?P<month>[A-Z][a-z]{2}) (?P<day>[ 0-3]?[0-9]) (?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})|"
    r"(?P<instant>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2}))) "
    r"(?P<host>[^\s\x00-\x1f\x7f]{1,200}) +(?P<rest>.*)",
    re.DOTALL | re.ASCII,
)
# a word, for `login` after two dashes, for `syslogd` before its version; then the process id and a colon
_TAG = re.compile(
    r"(?P<program>(?:-- )?[^\s:\[\]\x00-\x1f\x7f]{1,150}(?: [0-9][0-9A-Za-z.]{0,30})?)(?:\[(?P<pid>[0-9]{1,20})\])?:"
    r" ?(?P<message>.*)",
    re.DOTALL | re.ASCII,
)
_NOT_SYSLOG = "the line does not look like syslog: Dec 10 06:55:46 host program[pid]: message"
_HALF_A_YEAR = 6
_FACT_BYTES = 400

SEVERITIES = (
    ("error", re.compile(r"\b(?:errors?|fatal|panic|segfault)\b", re.IGNORECASE)),
    (
        "warning",
        re.compile(
            r"\b(?:warn(?:ing)?|fail(?:ed|s|ure|ures)?|denied|refused|invalid|illegal|alert|abnormally|timed out|"
            r"break-in)\b",
            re.IGNORECASE,
        ),
    ),
)
"""A line's severity is that of the first expression that its message matches, else "info".

Shape: a guess, because this format does not say it; "failed" alone is a warning, as most such lines are refused logins.
"""


class _Stamp(NamedTuple):
    month: int
    day: int
    time: str


class _Years:
    """Counts the turns of the year while the lines of a file are read in order.

    Shape: `turns` is 0 in the year of the first line; a step of more than half a year is a turn, forward from December
    to January, and back for a line that came late.
    """

    def __init__(self) -> None:
        self.turns = 0
        self._month: int | None = None

    def next(self, month: int) -> int:
        if self._month is not None:
            step = month - self._month
            self.turns += (step < -_HALF_A_YEAR) - (step > _HALF_A_YEAR)
        self._month = month
        return self.turns


class SyslogFile:
    """Lines of one device's log.

    Shape: `first_year` is the year of the first line: the one given, or the latest one with which every day exists and
    the last line is not after `now`. Lines without an offset are taken as UTC.
    """

    def __init__(self, file: TextFile, device_id: str, first_year: int | None, now: datetime) -> None:
        self._file = file
        self._device_id = device_id
        self.header = HEADER
        self.rows_read = 0
        self.first_year = self._guess_year(now) if first_year is None else first_year

    def items(self) -> Generator[FactRow | RefusedRow, None, None]:
        """Yield a fact for each line that is not blank, in order. Raises: FileError, the file was changed meanwhile."""
        years = _Years()
        for line, text in self._lines():
            self.rows_read += 1
            row = SourceRow(line, (text,))
            try:
                yield self._fact_row(row, text, years)
            except _BadLine as error:
                yield RefusedRow(row, str(error))

    def _fact_row(self, row: SourceRow, text: str, years: _Years) -> FactRow:
        parts = _LINE.fullmatch(text)
        if parts is None:
            raise _BadLine(_NOT_SYSLOG)
        at = self._happened_at(parts, years)
        if len(text) > MAX_CHARACTERS:
            raise _BadLine(f"the line is too long: {len(text)} characters, at most {MAX_CHARACTERS} are taken")
        fact = FactSubmission(self._device_id, at, _log_recorded(parts))
        return FactRow(fact, row, _FACT_BYTES + 2 * len(text))

    def _happened_at(self, parts: re.Match[str], years: _Years) -> datetime:
        if parts["instant"]:
            try:
                return datetime.fromisoformat(parts["instant"]).astimezone(UTC)
            except (ValueError, OverflowError):
                raise _BadLine(f"the day or time does not exist: {parts['instant']}") from None
        stamp = _stamp(parts)
        if stamp is None:
            raise _BadLine(_NOT_SYSLOG)
        at = _instant(self.first_year + years.next(stamp.month), stamp)
        if at is None:
            day = f"{parts['month']} {parts['day']} {parts['time']}"
            raise _BadLine(f"the day or time does not exist: {day} in {self.first_year + years.turns}")
        return at

    def _guess_year(self, now: datetime) -> int:
        years = _Years()
        last: _Stamp | None = None
        leap_turns: set[int] = set()
        for _, text in self._lines():
            parts = _LINE.fullmatch(text)
            if parts and (stamp := _stamp(parts)):
                turn = years.next(stamp.month)
                last = stamp
                if (stamp.month, stamp.day) == (2, 29):
                    leap_turns.add(turn)
        if last is None:
            return now.year
        # a leap year comes at least every eighth year; two of them need not be so far from each other as the turns say
        for year in range(now.year, now.year - 9, -1):
            first = year - years.turns
            at = _instant(year, last)
            if at and at <= now and all(_instant(first + turn, _Stamp(2, 29, "00:00:00")) for turn in leap_turns):
                return first
        return now.year - years.turns

    def _lines(self) -> Iterator[tuple[int, str]]:
        try:
            with self._file.open(newline="\n") as lines:
                for n, line in enumerate(lines, 1):
                    if text := line.rstrip("\r\n"):
                        yield n, text
        except UnicodeDecodeError as error:
            raise changed(self._file.path) from error


class _BadLine(ValueError):  # noqa: N818
    """The line is not taken; the message says why."""


def severity_of(message: str) -> str:
    return next((severity for severity, words in SEVERITIES if words.search(message)), "info")


def _stamp(parts: re.Match[str]) -> _Stamp | None:
    if parts["month"] not in _MONTHS:
        return None
    return _Stamp(_MONTHS.index(parts["month"]) + 1, int(parts["day"]), parts["time"])


def _instant(year: int, stamp: _Stamp) -> datetime | None:
    hour, minute, second = map(int, stamp.time.split(":"))
    try:
        return datetime(year, stamp.month, stamp.day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def _log_recorded(parts: re.Match[str]) -> LogRecorded:
    tag = _TAG.fullmatch(parts["rest"])
    message = tag["message"] if tag else parts["rest"]
    said = {
        "severity": severity_of(message),
        "summary": message,
        "tool_type": "syslog",
        "source_event_type": tag["program"] if tag else None,
        "hostname": parts["host"],
        "details": f"pid={tag['pid']}" if tag and tag["pid"] else "",
    }
    try:
        fact: LogRecorded = adapter(LogRecorded).validate_python(said)
    except ValidationError as error:
        raise _BadLine(f"the line cannot be recorded: {error.errors()[0]['msg']}") from error
    return fact
