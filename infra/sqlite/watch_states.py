"""This keeps in SQLite what the watches know."""

from collections.abc import Sequence
from pathlib import Path

from infra.sqlite.views import Database
from streams.ports import LogIdentity, WatchState

_SCHEMA = """
CREATE TABLE IF NOT EXISTS states (
    partition INTEGER NOT NULL, key TEXT NOT NULL, position INTEGER NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (partition, key)
) STRICT, WITHOUT ROWID;
"""


class SqliteWatchStates:
    """WatchStates of the embedded profile: all that is kept at once is one transaction."""

    def __init__(self, path: Path | str, belongs_to: LogIdentity | None = None) -> None:
        # NORMAL: what power loss takes back is found again in the log, and leads to the same commands
        self._database = Database(path, _SCHEMA, synchronous="NORMAL", belongs_to=belongs_to)

    def close(self) -> None:
        self._database.close()

    def load(self, partition: int) -> Sequence[WatchState]:
        with self._database.read() as connection:
            found = connection.execute("SELECT key, position, value FROM states WHERE partition = ?", (partition,))
            return [WatchState(*values) for values in found]

    def keep(self, partition: int, states: Sequence[WatchState]) -> None:
        with self._database.write() as connection:
            for key, position, value in states:
                if value is None:
                    connection.execute(
                        "DELETE FROM states WHERE partition = ? AND key = ? AND position <= ?",
                        (partition, key, position),
                    )
                    continue
                connection.execute(
                    """
                    INSERT INTO states VALUES (?, ?, ?, ?)
                    ON CONFLICT (partition, key) DO UPDATE SET position = excluded.position, value = excluded.value
                    WHERE excluded.position >= position
                    """,
                    (partition, key, position, value),
                )
