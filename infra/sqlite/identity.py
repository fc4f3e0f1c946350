"""Which log a SQLite file belongs to: written into it once, and compared whenever it is opened."""

import sqlite3

from streams.ports import LogDamaged, LogIdentity, LogUnavailable

_CREATE = "CREATE TABLE IF NOT EXISTS belongs_to (log_id TEXT NOT NULL, epoch INTEGER NOT NULL)"

DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
"""What SQLite answers where the bytes of a file are not those that were written."""


def claim(connection: sqlite3.Connection, identity: LogIdentity, name: str) -> None:
    """Write the log's identity into a file that has none yet. Raises: LogDamaged, it belongs to another log."""
    connection.execute(_CREATE)
    found = connection.execute("SELECT log_id, epoch FROM belongs_to").fetchone()
    if found is None:
        connection.execute("INSERT INTO belongs_to VALUES (?, ?)", identity)
    elif tuple(found) != identity:
        raise LogDamaged(
            f"{name} belongs to the log {found[0]}, epoch {found[1]}, and not to this one, {identity.id}, epoch"
            f" {identity.epoch}; put the file of this log back, or restore a backup"
        )


def check(connection: sqlite3.Connection, name: str) -> None:
    """Look through a whole file. Raises: LogDamaged, a part of it is not what it should be; LogUnavailable."""
    try:
        problems = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            # whoever restored a backup for this would lose what the file has
            raise LogUnavailable(f"{name} cannot be read: {error}; see whether its disk is full or failing") from error
        problems = [str(error)]
    if problems != ["ok"]:
        raise LogDamaged(f"{name} is damaged ({'; '.join(problems)[:300]}); restore a backup with `factline restore`")


def is_damage(error: BaseException | None) -> bool:
    """Return whether SQLite said that a file is damaged, also where a library has wrapped its error."""
    while error is not None:
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE:
            return True
        error = error.__cause__
    return False
