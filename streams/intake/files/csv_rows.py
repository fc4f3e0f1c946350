"""This reads the rows of a CSV file with their line numbers; one that it cannot read becomes a problem."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, TextIO

from streams.intake.files.text import CUT_OFF, FileError, SourceRow, TextFile, changed

DELIMITERS: Mapping[str, str] = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}

_QUOTE = '"'
_NO_LINES: tuple[str, ...] = ()
_LONGEST = csv.field_size_limit()
"""What is longer, the reader of CSV refuses."""

_SEP = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)


class Record(NamedTuple):
    """A row, or what stands in a row's place.

    Shape: `problem` says why it is none; `more_lines` are the lines after the first of a row that has several.
    """

    row: SourceRow
    problem: str | None = None
    more_lines: tuple[str, ...] = ()


class Layout(NamedTuple):
    """How a file is laid out.

    Units: `lines_before` are the lines above the header. `whole_without_end` says that a last row of all columns is
    taken where no line end follows it, as RFC 4180 has it.
    """

    delimiter: str = ","
    lines_before: int = 0
    whole_without_end: bool = False


PLAIN = Layout()


class CsvRows:
    """Reads a checked file from its beginning, as often as it is asked.

    Shape: `places` says which cells of a row are the columns asked for, in their order; other columns are left alone.
    Raises: FileError, a column is missing.
    """

    def __init__(self, file: TextFile, columns: Sequence[str], layout: Layout = PLAIN, *, file_number: int = 0) -> None:
        self.file = file
        self._layout = layout
        self._file_number = file_number
        self.header = header_of(file, layout, columns)
        self.places = tuple(self.header.index(column) for column in columns)

    def records(self) -> Iterator[Record]:
        """Yield the rows that are not blank, in order. Raises: FileError, the file was changed in the meantime."""
        last: Record | None = None
        try:
            for record in self._parsed():
                if last:
                    yield last
                last = record
        except UnicodeDecodeError as error:
            raise changed(self.file.path) from error
        if last:
            yield last if self.file.ends_with_line_end else _cut_off(last, self._layout)

    def _parsed(self) -> Iterator[Record]:
        width, delimiter, number = len(self.header), self._layout.delimiter, self._file_number
        with self.file.open(newline="") as lines:
            _skip(lines, self._layout)
            line = self._layout.lines_before + 1
            is_header = True
            for text in lines:
                if _QUOTE not in text and len(text) <= _LONGEST:
                    # what has no quotes is split at once, as the reader of CSV would
                    bare = text.rstrip("\r\n")
                    row = SourceRow(line, tuple(bare.split(delimiter)) if bare else (), number)
                    problem, more = None, _NO_LINES
                else:
                    row, problem, more = self._read(line, text, lines)
                line += 1 + len(more)
                if is_header:
                    is_header = False
                elif row.cells:
                    if problem is None and len(row.cells) != width:
                        problem = _wrong_width(len(row.cells), width)
                    yield Record(row, problem, more)

    def _read(self, line: int, text: str, lines: Iterator[str]) -> tuple[SourceRow, str | None, tuple[str, ...]]:
        """Return the row that begins with a line, what is wrong with it, and its further lines."""
        raw: list[str] = []
        reader = csv.reader(_remembered(chain((text,), lines), raw), delimiter=self._layout.delimiter, strict=True)
        try:
            cells, problem = tuple(next(reader)), None
        except csv.Error as error:
            cells = tuple("".join(raw).rstrip("\r\n").split(self._layout.delimiter))
            problem = _unreadable(error)
        return SourceRow(line, cells, self._file_number), problem, tuple(raw[1:])


def _remembered(lines: Iterable[str], raw: list[str]) -> Iterator[str]:
    for line in lines:
        raw.append(line)
        yield line


def _skip(lines: TextIO, layout: Layout) -> None:
    for _ in range(layout.lines_before):
        lines.readline()


def lines_above(file: TextFile) -> tuple[int, str | None]:
    """Return how many lines stand above the header, and the delimiter that Excel's line `sep=;` names."""
    with file.open(newline="") as lines:
        blank = 0
        first = lines.readline()
        while first and not first.strip():
            blank += 1
            first = lines.readline()
    found = _SEP.fullmatch(first)
    return (blank + 1, found[1]) if found else (blank, None)


def layout_of(file: TextFile) -> Layout:
    """Return how a file is laid out: the delimiter that it names, or that which makes most columns."""
    lines_before, said = lines_above(file)
    tried = [Layout(one, lines_before) for one in ([said] if said else DELIMITERS)]
    return max(tried, key=lambda layout: _width(file, layout))


def _width(file: TextFile, layout: Layout) -> int:
    try:
        return len(header_of(file, layout))
    except FileError:
        return 0


def header_of(file: TextFile, layout: Layout, columns: Sequence[str] = ()) -> list[str]:
    """Return the names of a file's columns. Raises: FileError, one of those asked for is missing, or there twice."""
    with file.open(newline="") as lines:
        _skip(lines, layout)
        try:
            header = [name.strip() for name in next(csv.reader(lines, delimiter=layout.delimiter, strict=True), [])]
        except csv.Error as error:
            line = layout.lines_before + 1
            raise FileError(f"{file.path}, line {line}, is no header: {error}") from error
    missing = [column for column in columns if column not in header]
    if missing:
        raise FileError(f"{file.path} lacks the columns {', '.join(missing)}; {first_line(header)}")
    if doubled := [column for column in columns if header.count(column) > 1]:
        raise FileError(f"{file.path} has a column twice: {', '.join(doubled)}")
    return header


def first_line(header: Sequence[str]) -> str:
    """Say what a header holds, for one who looks for a column in it."""
    nul = "; it holds NUL characters: if it is UTF-16, add --encoding utf-16-le" if "\0" in "".join(header) else ""
    return f"its first line is: {', '.join(header)[:200]}{nul}".replace("\0", "")


def _wrong_width(found: int, width: int) -> str:
    return f"the row has not as many columns as the header: {found} instead of {width}"


def _unreadable(error: csv.Error) -> str:
    return f"the row is not readable as CSV: {error}; look at the quotes in it"


def _cut_off(record: Record, layout: Layout) -> Record:
    if record.problem is None:
        return record if layout.whole_without_end else record._replace(problem=CUT_OFF)
    return record._replace(
        problem=f"the file ends in the middle of this row: {record.problem}; get the whole file and import it again"
    )
