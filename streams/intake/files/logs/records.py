"""A file of log lines becomes records: a line and those that go on with it, or an object, or a row of CSV."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

import orjson

from streams.intake.files.lines import RawLine
from streams.intake.files.logs.fields import TIME_FIELDS, Names, line_of
from streams.intake.files.logs.forms import read_line
from streams.intake.files.logs.line import BadLine, Line
from streams.intake.files.logs.usual import usual_line

MAX_CHARACTERS = 65_536
"""Of one line with what was joined to it. Source: LogRecorded."""

UNKNOWN = (
    "the line is in no form that is known: it begins with no time, like Dec 10 06:55:46 host program[pid]: message;"
    " `factline import logs --help` lists the forms"
)

_CONTINUES = re.compile(
    r"[ \t]|Exception in thread \"|Caused by: |Suppressed: |Traceback \(most recent call last\)|"
    r"(?:During handling of|The above exception)|"
    r"\.\.\. [0-9]+ (?:more|common)|#[0-9]+ |at \S|--- |goroutine [0-9]+ |Stack trace:|\[stacktrace\]|\"?[}\])]+;? ?$|"
    r"(?:[A-Za-z_$][\w$]*\.)*(?:[A-Za-z_$][\w$]*)?(?:Error|Exception|Exit|Interrupt|Warning|Fault|Failure)(?::|$)"
)
# the last line of a Python trace names an exception, whatever it is called
_ENDS_TRACE = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:: |$)")
_STAMP_LIKE = re.compile(
    r"(?:<[0-9]{1,3}>|[*.\[]|[0-9]+: )?(?:[A-Z][a-z]{2},? )?"
    r"(?:[A-Za-z]{3} [ 0-9][0-9]|[0-9]{1,4}[-/][0-9]{1,2}[-/][0-9]{1,4})[ T,]"
)
# what journalctl and PowerShell write around the lines
_NO_LINE = re.compile(r"-- (?:Logs begin|Journal begins|Boot|Reboot|No entries).*--$|#TYPE ")
# the time is often the first pair, but some write the level before it
_LOGFMT = re.compile(r'(?:[A-Za-z_][\w.]*=(?:"(?:[^"\\]|\\.)*"|[^\s"]*) ){0,8}(?:ts|t|time|timestamp)=\S')
_PAIR = re.compile(r'([^\s="]{1,100})=("(?:[^"\\]|\\.)*"|\S*)')
_SINCE_BOOT = re.compile(r"\[ *[0-9]+\.[0-9]{6}\] ")


class Record(NamedTuple):
    """What is taken or refused as one.

    Shape: either `line` or `problem`; `first` is the text of its first line, which names it; `joined` counts the lines
    that were joined to it.
    """

    number: int
    first: str
    line: Line | None
    problem: str = ""
    joined: int = 0


class Reader:
    """Makes records of lines. Not for more than one file: what a line goes on with is of its own file.

    Shape: `form` is a name of the table, "" to find that of each line.
    """

    def __init__(self, form: str = "", names: Names = Names()) -> None:  # noqa: B008 - immutable
        self._form = form
        self._names = names

    def records(self, lines: Iterable[RawLine]) -> Iterator[Record]:
        lines = (line for line in lines if not _NO_LINE.match(line.text))
        first = next(lines, None)
        if first is None:
            return
        delimiter = header_of(first.text) if self._form in {"", "csv"} else ""
        if self._form == "csv" or delimiter:
            yield from self._rows(first, lines, delimiter or ",")
        else:
            yield from self.joined(chain((first,), lines))

    def joined(self, lines: Iterable[RawLine]) -> Iterator[Record]:
        """Yield the records of lines, none of which is the header of a CSV file."""
        last: _Open | None = None
        for raw in lines:
            record = self._record(raw, last)
            if record is None and last is not None:
                last.join(raw)
                continue
            if last is not None:
                yield last.closed()
            assert record is not None  # noqa: S101 - only what follows a line is joined
            last = _Open(record)
        if last is not None:
            yield last.closed()

    def _record(self, raw: RawLine, last: "_Open | None") -> Record | None:
        """Return the record that a line begins, None for a line that goes on with the one before."""
        text = raw.text
        try:
            line = self.read(text)
        except BadLine as error:
            return Record(raw.number, text, None, str(error))
        if line is not None:
            if len(text) > MAX_CHARACTERS:
                return Record(raw.number, text, None, _too_long(len(text)))
            return Record(raw.number, text, line)
        if last is not None and last.goes_on(text):
            return None
        if _SINCE_BOOT.match(text):
            return Record(raw.number, text, None, _no_clock(text))
        return Record(raw.number, text, None, UNKNOWN)

    def read(self, text: str) -> Line | None:
        """Return what a line says, None if it has none of the forms. Raises: BadLine."""
        if not self._form and (usual := usual_line(text)) is not None:
            return usual
        if self._form == "logfmt" or (not self._form and _LOGFMT.match(text)):
            return line_of({name: _unquoted(value) for name, value in _PAIR.findall(text)}, self._names)
        if self._form not in {"", "json"}:
            return read_line(text, self._form)
        if text[:1] == "{" or self._form == "json":
            record = _object(text)
            if record is not None:
                return line_of(record, self._names)
            if self._form or text.rstrip()[-1:] == "}" or text[1:2] == '"':
                raise BadLine("the line is no JSON object: it begins with { and does not end as one")
        return read_line(text)

    def _rows(self, header: RawLine, lines: Iterable[RawLine], delimiter: str) -> Iterator[Record]:
        names = next(csv.reader([header.text], delimiter=delimiter))
        numbers = _Numbered(lines)
        rows = csv.reader(numbers, delimiter=delimiter)
        while True:
            numbers.begin()
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield Record(numbers.first, numbers.text, None, f"the row is not readable as CSV: {error}")
                continue
            # Windows' own export leaves out the name of its last column
            record = dict(zip([*names, "Message"], cells, strict=False))
            try:
                line = line_of(record, self._names)
                if "Message" in record and not self._names.message and "Message" not in names:
                    line = line._replace(message=record["Message"])
            except BadLine as error:
                yield Record(numbers.first, numbers.text, None, str(error), numbers.more)
            else:
                problem = _too_long(len(line.message)) if len(line.message) > MAX_CHARACTERS else ""
                yield Record(numbers.first, numbers.text, None if problem else line, problem, numbers.more)


class _Open:
    """A record to which lines may still be joined."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._texts: list[str] = []
        self._length = len(record.line.message) if record.line else 0
        self._in_trace = False

    def goes_on(self, text: str) -> bool:
        if self._record.line is None or _STAMP_LIKE.match(text):
            return False
        return bool(_CONTINUES.match(text) or (self._in_trace and _ENDS_TRACE.match(text)))

    def join(self, raw: RawLine) -> None:
        self._in_trace = raw.text[:1] in {" ", "\t"} or raw.text.startswith("Traceback ")
        self._texts.append(raw.text if self._length <= MAX_CHARACTERS else "")
        self._length += len(raw.text) + 1

    def closed(self) -> Record:
        record = self._record
        if not self._texts or record.line is None:
            return record
        if self._length > MAX_CHARACTERS:
            return record._replace(line=None, problem=_too_long(self._length), joined=len(self._texts))
        message = "\n".join((record.line.message, *self._texts))
        return record._replace(line=record.line._replace(message=message), joined=len(self._texts))


class _Numbered:
    """The lines of a CSV file, as the reader of its rows takes them; a row may have several."""

    def __init__(self, lines: Iterable[RawLine]) -> None:
        self._lines = iter(lines)
        self._taken: list[RawLine] = []

    def begin(self) -> None:
        self._taken = []

    def __iter__(self) -> "_Numbered":
        return self

    def __next__(self) -> str:
        raw = next(self._lines)
        self._taken.append(raw)
        return f"{raw.text}\n"

    @property
    def first(self) -> int:
        return self._taken[0].number if self._taken else 0

    @property
    def more(self) -> int:
        return max(len(self._taken) - 1, 0)

    @property
    def text(self) -> str:
        return "\n".join(raw.text for raw in self._taken)


def header_of(text: str) -> str:
    """Return the delimiter of a header of CSV that names a time, "" where the line is none."""
    for delimiter in ",;\t":
        names = [name.strip().strip('"') for name in text.split(delimiter)]
        if len(names) > 1 and (set(TIME_FIELDS) & set(names) or {"Date", "Time"} <= set(names)):
            return delimiter
    return ""


def _object(text: str) -> Mapping[str, Any] | None:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value[:1] == '"' else value


def _too_long(length: int) -> str:
    return f"the line is too long: {length} characters, at most {MAX_CHARACTERS} are taken"


def _no_clock(text: str) -> str:
    return f"the line tells seconds since the start only: {text[:30]}; write the log with journalctl -o short-iso"
