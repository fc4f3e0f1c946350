"""A log file is read line by line here; bytes that are not of its encoding are replaced and counted."""

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from streams.intake.files.text import MAX_LINE, FileError

Errors = Literal["replace", "backslashreplace", "ignore", "strict"]
"""What becomes of bytes that are not of the encoding; "strict" refuses their line."""

_WIDE = frozenset({"utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"})
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class RawLine(NamedTuple):
    """A line without its end.

    Shape: `bad` counts the bytes that were not of the encoding, `nuls` the NUL characters that were dropped; `ended`
    says whether the line has an end.
    """

    number: int
    text: str
    bad: int = 0
    nuls: int = 0
    ended: bool = True


def encoding_of(path: Path, encoding: str) -> str:
    """Return the name of a file's encoding: the one that was asked for, or what its first bytes say."""
    name = codecs.lookup(encoding).name
    if name in {"utf-8", "utf-8-sig"}:
        with path.open("rb") as file:
            start = file.read(3)
        return next((found for bom, found in _BOMS if start.startswith(bom)), "utf-8")
    return name


def raw_lines(file: BinaryIO, encoding: str, errors: Errors) -> Iterator[RawLine]:
    """Yield the lines of a file that are not blank.

    Raises: FileError, a line is longer than MAX_LINE: this is no text file.
    """
    if encoding in _WIDE:
        yield from _wide_lines(file, encoding, errors)
        return
    number = 0
    while raw := file.readline(MAX_LINE + 1):
        number += 1
        if len(raw) > MAX_LINE:
            raise _too_long(number)
        line = decoded(raw, encoding, errors, number)
        if line.text:
            yield line


def decoded(raw: bytes, encoding: str, errors: Errors, number: int) -> RawLine:
    """Return a line as text; with the errors "strict" too, so that a reason can show it."""
    if number > 1 and b"\0" not in raw and raw[-1:] == b"\n":
        try:
            return RawLine(number, raw.decode(encoding).rstrip("\r\n"))
        except UnicodeDecodeError:
            return _told(raw, encoding, errors, number)
    return _told(raw, encoding, errors, number)


def _told(raw: bytes, encoding: str, errors: Errors, number: int) -> RawLine:
    """Return a line of which something is unusual."""
    ended = raw.endswith(b"\n")
    nuls = 0
    if b"\0" in raw:
        nuls = raw.count(b"\0")
        raw = raw.replace(b"\0", b"")
    if number == 1:
        raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return RawLine(number, raw.decode(encoding).rstrip("\r\n"), 0, nuls, ended)
    except UnicodeDecodeError:
        bad = raw.decode(encoding, "surrogateescape")
        count = sum("\udc80" <= character <= "\udcff" for character in bad)
        text = raw.decode(encoding, "replace" if errors == "strict" else errors)
        return RawLine(number, text.rstrip("\r\n"), count, nuls, ended)


def _wide_lines(file: BinaryIO, encoding: str, errors: Errors) -> Iterator[RawLine]:
    number = 0
    text = io.TextIOWrapper(file, encoding=encoding, errors="replace" if errors == "strict" else errors, newline="\n")
    try:
        while line := _wide_line(text, encoding):
            number += 1
            if len(line) > MAX_LINE:
                raise _too_long(number)
            plain = line.replace("\0", "").rstrip("\r\n")
            if plain:
                yield RawLine(number, plain, plain.count("\ufffd"), line.count("\0"), line.endswith("\n"))
    finally:
        text.detach()


def _wide_line(text: io.TextIOWrapper, encoding: str) -> str:
    try:
        return text.readline(MAX_LINE + 1)
    except UnicodeError as error:
        raise FileError(f"the file cannot be read as {encoding}: {error}") from error


def _too_long(number: int) -> FileError:
    return FileError(f"line {number} is longer than {MAX_LINE} bytes; is this a text file?")
