"""A text file is read whole once, to see that it can be read at all, before anything of it is taken."""

import codecs
import re
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from streams.ports import FactSubmission

MAX_LINE = 1_048_576
"""Characters of one line; what has more is no text file."""

CUT_OFF = (
    "the file does not end with a line end, so this row may be cut off: "
    "if it is whole, add a line end and import the file again, else get the whole file"
)

_CHUNK_BYTES = 262_144
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)")


class FileError(Exception):
    """The file cannot be imported as it is, and nothing of it was; the message says what to do."""


class SourceRow(NamedTuple):
    """A row as the file has it.

    Units: `line` counts the file's lines from 1 and is the row's first; `file` counts the files that are read together
    from 0.
    """

    line: int
    cells: tuple[str, ...]
    file: int = 0


class RefusedRow(NamedTuple):
    """A row that is not taken. Shape: `reason` up to its first ": " names the kind of reason."""

    row: SourceRow
    reason: str


class FactRow(NamedTuple):
    """A fact, the row that says it, and how many readings of the same instant it replaced.

    Units: `size` is bytes of JSON, estimated.
    """

    fact: FactSubmission
    row: SourceRow
    size: int
    replaced: int = 0


class TextFile(NamedTuple):
    """A file that was read whole once. Units: `lines` counts line ends, and the rest after the last one."""

    path: Path
    encoding: str
    lines: int
    ends_with_line_end: bool
    size_bytes: int
    modified_ns: int

    def open(self, newline: str) -> TextIO:
        return self.path.open(encoding=self.encoding, newline=newline)

    def check_unchanged(self) -> None:
        """Raises: FileError, the file is not the one that was checked."""
        found = self.path.stat()
        if (found.st_size, found.st_mtime_ns) != (self.size_bytes, self.modified_ns):
            raise changed(self.path)


def with_fields(text: str, fields: Collection[str], after: str = "") -> str:
    """Name fields of a request where a text names options of a command line."""

    def field(match: re.Match[str]) -> str:
        name = match[1].replace("-", "_")
        return f"`{name}`{after}" if name in fields else match.group()

    return _OPTION.sub(field, text)


def changed(path: Path) -> FileError:
    return FileError(f"{path} changed while it was being imported; import it again")


def check(path: Path, encoding: str) -> TextFile:
    """Read a file to its end and return what is known of it.

    Raises: FileError, it is no regular file, empty, not in this encoding, or has a line longer than MAX_LINE.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise FileError(f"{path} is {_kind(found.st_mode)}; name a file")
        if not found.st_size:
            raise FileError(f"{path} is empty")
        name = _encoding(path, encoding)
        lines, ended = _read_whole(path, name)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    return TextFile(path, name, lines, ended, found.st_size, found.st_mtime_ns)


def _kind(mode: int) -> str:
    return "a directory" if stat.S_ISDIR(mode) else "not a regular file, and an import reads its file twice"


def _encoding(path: Path, encoding: str) -> str:
    name = codecs.lookup(encoding).name
    if name != "utf-8":
        return name
    with path.open("rb") as file:
        start = file.read(2)
    if start in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        raise FileError(f"{path} is UTF-16, not UTF-8; add --encoding utf-16")
    # the same, without the mark that some editors put at the beginning
    return "utf-8-sig"


def _read_whole(path: Path, encoding: str) -> tuple[int, bool]:
    line_ends, since, last = 0, 0, ""
    for text in _decoded(path, encoding):
        head, newline, _ = text.partition("\n")
        if since + len(head) > MAX_LINE:
            raise FileError(f"{path}, line {line_ends + 1}, is longer than {MAX_LINE} characters; is this a text file?")
        line_ends += text.count("\n")
        since = len(text) - text.rfind("\n") - 1 if newline else since + len(text)
        last = text[-1]
    ended = last in {"\n", "\r"}
    return line_ends + (since > 0), ended


def _decoded(path: Path, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with path.open("rb") as file:
        while True:
            chunk = file.read(_CHUNK_BYTES)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].decode(encoding, "ignore").count("\n")
                bad = error.object[error.start]
                raise FileError(_not_decoded(path, encoding, line, bad)) from error
            except UnicodeError as error:
                raise FileError(f"{path} cannot be read as {encoding}: {error}") from error
            if text:
                line += text.count("\n")
                yield text
            if not chunk:
                return


def _not_decoded(path: Path, encoding: str, line: int, bad: int) -> str:
    name = encoding.removesuffix("-sig")
    found = f"{path}, line {line}, is not {name.upper()} (byte 0x{bad:02x}); nothing of it was imported"
    if name == "utf-8":
        return f"{found}. If it comes from Windows, add --encoding cp1252"
    return f"{found}. Name its encoding with --encoding"
