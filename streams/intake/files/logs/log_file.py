"""This reads a file of log lines as facts, of one device or of the devices that its lines name."""

from collections import OrderedDict
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from itertools import chain
from pathlib import Path

from streams.identifiers import named_uuid
from streams.intake.files.lines import Errors, RawLine, encoding_of, raw_lines
from streams.intake.files.logs.fields import Names
from streams.intake.files.logs.instants import InOrder, Instants, seconds_of
from streams.intake.files.logs.line import BadLine, Line, Stamp
from streams.intake.files.logs.recorded import fact_row, log_recorded
from streams.intake.files.logs.records import Reader, Record, header_of
from streams.intake.files.logs.syslog import stamp_without_year
from streams.intake.files.logs.years import Turns, first_year, near
from streams.intake.files.text import FactRow, FileError, RefusedRow, SourceRow, changed
from streams.intake.hosts import host_device_id

HEADER = ["line"]

_REMEMBERED = 200_000
_NO_TIME = "the line says no time: it has - in its place; a listener gives such a line the time at which it came"


@dataclass(frozen=True)
class How:
    """How files of log lines are read: what the caller said, else what is usual.

    Shape: `device_id` "" means that each line is of the device that its host is.
    """

    device_id: str = ""
    zone: tzinfo = UTC
    form: str = ""
    names: Names = field(default_factory=Names)
    year: int | None = None
    encoding: str = "utf-8"
    errors: Errors = "replace"
    take_last: bool = False

    def device_of(self, line: Line) -> str:
        """Return the device that a line is of. Raises: BadLine, neither the caller nor the line says one."""
        if not self.device_id and not line.host:
            raise BadLine("the line names no host: say which device it is of with --device")
        return self.device_id or host_device_id(line.host)


@dataclass
class Counts:
    """What a file's lines were like. Shape: each `first_…` is the number of the first such line, 0 for none."""

    joined: int = 0
    late: int = 0
    bad_bytes: int = 0
    first_bad: int = 0
    nuls: int = 0
    first_nul: int = 0
    waiting: int = 0


class Seen:
    """Counts equal lines of an instant, so that each is one of its own, over all files of a call.

    Shape: the same files in the same order give the same numbers, so a second import adds nothing, and a file that is
    named twice neither. A file that begins with the instant at which the file before it ended goes on with the numbers
    of that instant: a log that was rotated within a second has all its lines.
    """

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[datetime, str], int] = OrderedDict()
        self._last: datetime | None = None
        self._goes_on: datetime | None = None

    def begin_file(self) -> None:
        self._goes_on, self._last = self._last, None

    def occurrence(self, at: datetime, text: str) -> int:
        self._last = at if self._last is None else max(at, self._last)
        if self._goes_on is not None and at != self._goes_on:
            self._counts.clear()
            self._goes_on = None
        found = self._counts.pop((at, text), 0)
        self._counts[at, text] = found + 1
        if len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)
        return found


class LogFile:
    """One file of log lines. Raises: FileError, it cannot be read."""

    def __init__(self, path: Path, how: How, now: datetime, seen: Seen, *, opened: Path | None = None) -> None:
        self.path = path
        self._opened = opened or path
        self.header = HEADER
        self.rows_read = 0
        self.counts = Counts()
        self.rows = 0
        self._how = how
        self._seen = seen
        try:
            found = self._opened.stat()
            self.size_bytes = found.st_size
            self._encoding = encoding_of(self._opened, how.encoding)
            turns = self._turns()
        except OSError as error:
            raise FileError(f"{path} cannot be read: {error.strerror}") from error
        self.says_no_year = turns.newest is not None
        modified = datetime.fromtimestamp(found.st_mtime, UTC)
        self.first_year = first_year(turns, near(now, modified)) if how.year is None else how.year

    def items(self) -> Generator[FactRow | RefusedRow, None, None]:
        """Yield a fact for each line, in order, or why it is refused. Raises: FileError, the file is none of text."""
        self._seen.begin_file()
        years = InOrder(self.first_year)
        instants = Instants(self._how.zone, years)
        for record in self._records(self.counts):
            self.rows_read += 1
            self.counts.joined += record.joined
            row = SourceRow(record.number, (record.first,))
            try:
                yield self._fact_row(row, record, instants)
            except BadLine as error:
                yield RefusedRow(row, str(error))
        self.counts.late = years.turns.late

    def _fact_row(self, row: SourceRow, record: Record, instants: Instants) -> FactRow:
        if record.line is None:
            raise BadLine(record.problem)
        if record.line.when is None:
            raise BadLine(_NO_TIME)
        at = instants.of(record.line.when, record.line.stamp)
        fact = log_recorded(record.line)
        device_id = self._how.device_of(record.line)
        # the first line alone: those that a growing file joins to it later change nothing of what it is
        occurrence = self._seen.occurrence(at, record.first)
        id_ = named_uuid(device_id, at.isoformat(), record.first, str(occurrence))
        return fact_row(row, device_id, at, fact, id_)

    def _turns(self) -> Turns:
        """Read the file once to see how often its year turns, and how many lines there are."""
        turns = Turns()
        lines = self._lines(Counts(), set())
        first = next(lines, None)
        if first is None:
            return turns
        whole = chain((first,), lines)
        named = self._how.form in {"json", "csv", "logfmt"} or first.text[:1] == "{" or bool(header_of(first.text))
        for when in self._of_records(whole) if named else self._of_lines(whole):
            turns.next(when.month, when.day, seconds_of(when))
        return turns

    def _of_records(self, lines: Iterable[RawLine]) -> Iterator[Stamp]:
        """Yield the stamps without a year of records that have named fields."""
        for record in Reader(self._how.form, self._how.names).records(lines):
            self.rows += 1
            if record.line and isinstance(when := record.line.when, Stamp) and when.year is None:
                yield when

    def _of_lines(self, lines: Iterable[RawLine]) -> Iterator[Stamp]:
        """Yield the stamps without a year that lines begin with: all other forms say theirs."""
        for line in lines:
            self.rows += 1
            if (when := stamp_without_year(line.text)) is not None:
                yield when

    def _records(self, counts: Counts) -> Iterator[Record]:
        reader = Reader(self._how.form, self._how.names)
        bad: set[int] = set()
        for record in reader.records(self._lines(counts, bad)):
            if bad and record.number in bad:
                bad.discard(record.number)
                yield record._replace(line=None, problem=f"the line has bytes that are not {self._encoding.upper()}: "
                                      "name its encoding with --encoding")  # fmt: skip
            else:
                yield record

    def _lines(self, counts: Counts, bad: set[int]) -> Iterator[RawLine]:
        try:
            with self._opened.open("rb") as file:
                for raw in raw_lines(file, self._encoding, self._how.errors):
                    if not raw.ended and not self._how.take_last:
                        counts.waiting = raw.number
                        return
                    if raw.bad:
                        counts.bad_bytes += raw.bad
                        counts.first_bad = counts.first_bad or raw.number
                        if self._how.errors == "strict":
                            bad.add(raw.number)
                    if raw.nuls:
                        counts.nuls += raw.nuls
                        counts.first_nul = counts.first_nul or raw.number
                    yield raw
        except FileError as error:
            raise FileError(f"{self.path}, {error}") from error

    def notes(self) -> Sequence[str]:
        """Return what there is to say of the lines besides how many were taken, a sentence for each."""
        counts, said = self.counts, []
        if counts.waiting:
            said.append(
                f"line {counts.waiting} has no line end yet and was not imported; import the file again when it has"
                " one, or take it as it is with --take-last"
            )
        if counts.joined:
            said.append(f"lines joined to the line before: {counts.joined}")
        if counts.late:
            said.append(f"lines on an earlier day than one before them: {counts.late}")
        if counts.bad_bytes:
            became = "refused" if self._how.errors == "strict" else self._how.errors
            said.append(
                f"bytes that are not {self._encoding.upper()}: {counts.bad_bytes}, first in line {counts.first_bad}"
                f" ({became}; --encoding and --errors say otherwise)"
            )
        if counts.nuls:
            said.append(f"NUL characters dropped: {counts.nuls}, first in line {counts.first_nul}")
        return said

    def check_unchanged(self) -> None:
        """Raises: FileError, the file is shorter than it was: another one has its name."""
        if self._opened.stat().st_size < self.size_bytes:
            raise changed(self.path)
