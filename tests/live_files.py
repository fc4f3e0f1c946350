"""The files of a folder are looked through while a server works in it."""

from pathlib import Path

_WALKS = 50


def files_with(text: str, folder: Path) -> list[Path]:
    """Return the files that have a text in them, as bytes of UTF-8; at least one file has to be there.

    Shape: an engine removes and renames what it writes; where something went away, all is looked through again.
    """
    for _ in range(_WALKS):
        try:
            files = [path for path in folder.rglob("*") if path.is_file()]
            found = [path for path in files if text.encode() in path.read_bytes()]
        except FileNotFoundError:
            continue
        assert files
        return found
    raise AssertionError(f"{folder} did not stay as it was for long enough to look through it")
