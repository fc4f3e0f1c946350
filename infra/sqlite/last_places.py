"""The last places of the names of a large file are kept in a temporary file, so that memory stays flat."""

import sqlite3
from collections.abc import Iterator


class PlacesInFile:
    """Holds `in_memory` names at most in memory; the others are in a file without a name, gone when it is closed."""

    def __init__(self, in_memory: int = 50_000) -> None:
        self._in_memory = in_memory
        self._last: dict[str, int] = {}
        # SQLite makes a file of its own where no name is given, once its cache is full
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute("CREATE TABLE last (name TEXT PRIMARY KEY, place INTEGER) WITHOUT ROWID")

    def say(self, name: str, place: int) -> None:
        self._last[name] = place
        if len(self._last) >= self._in_memory:
            self._write()

    def __iter__(self) -> Iterator[tuple[int, str]]:
        self._write()
        try:
            yield from self._file.execute("SELECT place, name FROM last ORDER BY place, name")
        finally:
            self._file.close()

    def _write(self) -> None:
        self._file.execute("BEGIN")
        self._file.executemany(
            "INSERT INTO last VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET place = excluded.place", self._last.items()
        )
        self._file.execute("COMMIT")
        self._last.clear()
