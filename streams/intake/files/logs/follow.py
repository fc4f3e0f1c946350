"""A growing log file is followed: from where reading stopped, over its rotation, to its end."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from glob import escape
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple

from streams.identifiers import named_uuid
from streams.intake.files.lines import RawLine, decoded
from streams.intake.files.logs.instants import Instants, nearest
from streams.intake.files.logs.line import BadLine
from streams.intake.files.logs.log_file import How
from streams.intake.files.logs.recorded import fact_row, log_recorded
from streams.intake.files.logs.records import Reader, Record
from streams.intake.files.text import MAX_LINE, FactRow, FileError, RefusedRow, SourceRow

BATCH_LINES = 2_000

_HEAD_BYTES = 256


class Place(NamedTuple):
    """How far a file was read.

    Shape: `device`, `inode` and the digest of its first `head_bytes` say which file it is, whatever its name is now.
    Units: `offset` is bytes, `line` counts lines.
    """

    device: int
    inode: int
    head_bytes: int
    head: str
    offset: int = 0
    line: int = 0


class Read(NamedTuple):
    """What was read in one step. Shape: `place` is to be kept once the facts are recorded."""

    facts: Sequence[FactRow]
    refused: Sequence[RefusedRow]
    place: Place
    notes: Sequence[str] = ()


class Followed:
    """Follows one path. Raises: FileError, it holds a line that is longer than MAX_LINE."""

    def __init__(self, path: Path, how: How, place: Place | None) -> None:
        self.path = path
        self.place = place
        self._how = how
        self._reader = Reader(how.form, how.names)
        self._instants = Instants(how.zone, nearest(datetime.now(UTC)))

    def step(self, *, at_rest: bool) -> Read | None:
        """Return what follows the place, None if nothing does.

        Shape: a line may still be gone on with below it, so the last one waits, unless the file is `at_rest`.
        """
        self._instants.year_of = nearest(datetime.now(UTC))
        if self.place is not None and (old := self._rotated(self.place)) is not None:
            with old:
                read = self._read(old, self.place, to_its_end=True)
            if read.place.offset > self.place.offset:
                return read
            self.place = None
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            # between two files of a rotation there is none
            return None
        with file:
            notes: list[str] = []
            place = self.place
            if place is None or not is_of(file, place):
                if place is not None:
                    notes.append("it is another file or was cut short, and is read from its beginning")
                place = place_of(file)
            read = self._read(file, place, to_its_end=at_rest)
            return read._replace(notes=notes) if notes or read.place.offset > place.offset else None

    def _rotated(self, place: Place) -> BinaryIO | None:
        """Return the file of the place where it has another name now."""
        try:
            here = self.path.stat()
            if (here.st_dev, here.st_ino) == (place.device, place.inode):
                return None
        except FileNotFoundError:
            pass
        for other in self.path.parent.glob(f"{escape(self.path.name)}*"):
            if other.stat().st_ino == place.inode:
                file = other.open("rb")
                if is_of(file, place):
                    return file
                file.close()
        return None

    def _read(self, file: BinaryIO, place: Place, *, to_its_end: bool) -> Read:
        lines, ends = self._lines(file, place, to_its_end=to_its_end)
        records = list(self._reader.joined(lines))
        is_end = len(ends) < BATCH_LINES
        # a record that fills a batch is taken as far as it goes
        may_go_on = not to_its_end if is_end else len(records) > 1
        held = records.pop() if records and may_go_on else None
        facts: list[FactRow] = []
        refused: list[RefusedRow] = []
        for record in records:
            row = SourceRow(record.number, (record.first,))
            try:
                facts.append(self._fact(row, record, ends.get(record.number - 1, place.offset), place))
            except BadLine as error:
                refused.append(RefusedRow(row, str(error)))
        line = held.number - 1 if held else max(ends, default=place.line)
        moved = head_of(file, place)._replace(offset=ends.get(line, place.offset), line=line)
        return Read(facts, refused, moved)

    def _lines(self, file: BinaryIO, place: Place, *, to_its_end: bool) -> tuple[list[RawLine], dict[int, int]]:
        """Return whole lines that follow a place, and where each ends, by its number; blank ones have an end too."""
        file.seek(place.offset)
        lines: list[RawLine] = []
        ends: dict[int, int] = {}
        number, offset = place.line, place.offset
        while len(ends) < BATCH_LINES:
            raw = file.readline(MAX_LINE + 1)
            if len(raw) > MAX_LINE:
                where = f"{self.path}, line {number + 1}"
                raise FileError(f"{where}, is longer than {MAX_LINE} bytes; is this a text file?")
            # the last line of a rotated file is as long as it will ever be
            if not raw or not (raw.endswith(b"\n") or (to_its_end and file.name != str(self.path))):
                break
            number, offset = number + 1, offset + len(raw)
            ends[number] = offset
            line = decoded(raw, self._how.encoding, self._how.errors, number)
            if line.text:
                lines.append(line)
        return lines, ends

    def _fact(self, row: SourceRow, record: Record, offset: int, place: Place) -> FactRow:
        if record.line is None:
            raise BadLine(record.problem)
        at = datetime.now(UTC) if record.line.when is None else self._instants.of(record.line.when, record.line.stamp)
        device_id = self._how.device_of(record.line)
        fact = log_recorded(record.line)
        # a line that is sent again after a crash is known by its place
        id_ = named_uuid(device_id, str(place.inode), str(offset), record.first)
        return fact_row(row, device_id, at, fact, id_)


def place_of(file: BinaryIO) -> Place:
    """Return the beginning of a file."""
    found = os.fstat(file.fileno())
    return head_of(file, Place(found.st_dev, found.st_ino, 0, ""))


def head_of(file: BinaryIO, place: Place) -> Place:
    """Return a place with as much of the file's beginning as is there now."""
    if place.head_bytes == _HEAD_BYTES:
        return place
    head = _head(file, _HEAD_BYTES)
    return place._replace(head_bytes=len(head), head=sha256(head).hexdigest())


def is_of(file: BinaryIO, place: Place) -> bool:
    """Return whether a place is in this file: it was neither cut short nor written anew."""
    found = os.fstat(file.fileno())
    if (found.st_dev, found.st_ino) != (place.device, place.inode) or found.st_size < place.offset:
        return False
    return sha256(_head(file, place.head_bytes)).hexdigest() == place.head


def _head(file: BinaryIO, count: int) -> bytes:
    file.seek(0)
    return file.read(count)
