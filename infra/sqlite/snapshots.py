"""A writer's snapshots of long streams, in a file that may be removed at any time while nothing runs."""

import logging
import sqlite3
from collections.abc import Collection, Mapping
from pathlib import Path

from schemas.envelope import StreamId, StreamKey, TenantId
from streams.write.snapshots import Snapshot

_LOG = logging.getLogger(__name__)
_CREATE = """
    CREATE TABLE IF NOT EXISTS snapshots (
        tenant_id TEXT, stream TEXT, code TEXT NOT NULL, version INTEGER NOT NULL, event_id TEXT NOT NULL,
        actor_type TEXT NOT NULL, actor_id TEXT NOT NULL, state BLOB NOT NULL, PRIMARY KEY (tenant_id, stream)
    ) WITHOUT ROWID
"""
_THERE = "SELECT tenant_id, stream FROM snapshots"
_FIND = (
    "SELECT version, event_id, actor_type, actor_id, state FROM snapshots"
    " WHERE tenant_id = ? AND stream = ? AND code = ?"
)


class SqliteSnapshots:
    """Snapshots in one file, of one version of the code; used by one thread at a time.

    A file that cannot be read or written is told of in the server's log, and is as good as an empty one.
    """

    def __init__(self, path: Path, code: str) -> None:
        self._code = code
        try:
            self._db = self._open(path)
        except sqlite3.DatabaseError as error:
            _LOG.warning("%s is made anew: %s", path, error)
            path.unlink(missing_ok=True)
            self._db = self._open(path)

    def _open(self, path: Path) -> sqlite3.Connection:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # never waits for the disk: a file that a power cut damages is made anew
        db.execute("PRAGMA synchronous=OFF")
        db.execute(_CREATE)
        db.execute("DELETE FROM snapshots WHERE code <> ?", (self._code,))
        # most streams are new or short, and have none: not even the file is asked for those
        self._there = {(TenantId(one), StreamId(other)) for one, other in db.execute(_THERE)}
        return db

    def find(self, keys: Collection[StreamKey]) -> Mapping[StreamKey, Snapshot]:
        found: dict[StreamKey, Snapshot] = {}
        try:
            for key in self._there.intersection(keys):
                if row := self._db.execute(_FIND, (*key, self._code)).fetchone():
                    version, event_id, actor_type, actor_id, state = row
                    found[key] = Snapshot(version, event_id, (actor_type, actor_id), state)
        except sqlite3.Error as error:
            _LOG.warning("snapshots cannot be read: %s", error)
        return found

    def keep(self, snapshots: Mapping[StreamKey, Snapshot]) -> None:
        rows = [
            (*key, self._code, snapshot.version, snapshot.event_id, *snapshot.made_by, snapshot.state)
            for key, snapshot in snapshots.items()
        ]
        try:
            self._db.executemany("INSERT OR REPLACE INTO snapshots VALUES (?,?,?,?,?,?,?,?)", rows)
            self._there.update(snapshots)
        except sqlite3.Error as error:
            _LOG.warning("snapshots cannot be kept: %s", error)

    def close(self) -> None:
        self._db.close()
