"""Where each name of a large file occurs last is kept here, in memory for a small one and else in a temporary file."""

import sqlite3
from collections.abc import Iterator

_IN_MEMORY = 50_000


class LastPlaces:
    """Takes names with growing places and gives the last place of each, in the order of the places."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._file: sqlite3.Connection | None = None

    def say(self, name: str, place: int) -> None:
        self._last[name] = place
        if len(self._last) >= _IN_MEMORY:
            self._write()

    def __iter__(self) -> Iterator[tuple[int, str]]:
        if self._file is None:
            yield from sorted((place, name) for name, place in self._last.items())
            return
        self._write()
        try:
            yield from self._file.execute("SELECT place, name FROM last ORDER BY place, name")
        finally:
            self._file.close()

    def _write(self) -> None:
        if self._file is None:
            # without a name SQLite makes a file of its own, which is gone when it is closed
            self._file = sqlite3.connect("", isolation_level=None)
            self._file.execute("CREATE TABLE last (name TEXT PRIMARY KEY, place INTEGER) WITHOUT ROWID")
        self._file.execute("BEGIN")
        self._file.executemany(
            "INSERT INTO last VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET place = excluded.place", self._last.items()
        )
        self._file.execute("COMMIT")
        self._last.clear()
