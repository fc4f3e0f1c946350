"""This reads the rows of a CSV file with their line numbers; one that it cannot read becomes a problem."""

import csv
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TextIO

from streams.intake.files.text import CUT_OFF, FileError, SourceRow, TextFile, changed


class Record(NamedTuple):
    """A row, or what stands in a row's place.

    Shape: `problem` says why it is none; `more_lines` are the lines after the first of a row that has several.
    """

    row: SourceRow
    problem: str | None = None
    more_lines: tuple[str, ...] = ()


class CsvRows:
    """Reads a checked file from its beginning, as often as it is asked.

    Shape: `places` says which cells of a row are the columns asked for, in their order; other columns are left alone.
    Raises: FileError, a column is missing.
    """

    def __init__(self, file: TextFile, columns: Sequence[str]) -> None:
        self.file = file
        with file.open(newline="") as lines:
            self.header = _header(file, lines, columns)
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
            yield last if self.file.ends_with_line_end else _cut_off(last)

    def _parsed(self) -> Iterator[Record]:
        width = len(self.header)
        raw: list[str] = []
        with self.file.open(newline="") as lines:
            reader = csv.reader(_remembered(lines, raw), strict=True)
            next(reader, None)
            while True:
                raw.clear()
                line = reader.line_num + 1
                try:
                    cells = tuple(next(reader))
                except StopIteration:
                    return
                except csv.Error as error:
                    row = SourceRow(line, tuple("".join(raw).rstrip("\r\n").split(",")))
                    yield Record(row, _unreadable(error), tuple(raw[1:]))
                    continue
                if cells:
                    problem = None if len(cells) == width else _wrong_width(len(cells), width)
                    yield Record(SourceRow(line, cells), problem, tuple(raw[1:]))


def _remembered(lines: TextIO, raw: list[str]) -> Iterator[str]:
    for line in lines:
        raw.append(line)
        yield line


def _header(file: TextFile, lines: TextIO, columns: Sequence[str]) -> list[str]:
    try:
        header = [name.strip() for name in next(csv.reader(lines, strict=True), [])]
    except csv.Error as error:
        raise FileError(f"{file.path}, line 1, is no header: {error}") from error
    missing = [column for column in columns if column not in header]
    if missing:
        nul = "; it holds NUL characters: if it is UTF-16, add --encoding utf-16-le" if "\0" in "".join(header) else ""
        found = ", ".join(header)[:200].replace("\0", "")
        raise FileError(f"{file.path} lacks the columns {', '.join(missing)}; its first line is: {found}{nul}")
    if doubled := [column for column in columns if header.count(column) > 1]:
        raise FileError(f"{file.path} has a column twice: {', '.join(doubled)}")
    return header


def _wrong_width(found: int, width: int) -> str:
    return f"the row has not as many columns as the header: {found} instead of {width}"


def _unreadable(error: csv.Error) -> str:
    return f"the row is not readable as CSV: {error}; look at the quotes in it"


def _cut_off(record: Record) -> Record:
    if record.problem is None:
        return record._replace(problem=CUT_OFF)
    return record._replace(
        problem=f"the file ends in the middle of this row: {record.problem}; get the whole file and import it again"
    )
