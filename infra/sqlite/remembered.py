"""What `verify` remembers lies in this file, which may be removed at any time while nothing runs."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from infra.sqlite.views import Database
from projections.instants import from_microseconds, to_microseconds
from projections.rows import Checkpoint
from schemas.envelope import Position, TenantId, Topic
from streams.project.digests import MOST_SEGMENTS, Digest, Group, Piece
from streams.project.remembered import Said

_SCHEMA = """
CREATE TABLE IF NOT EXISTS origins (
    view TEXT PRIMARY KEY, origin TEXT NOT NULL,
    highest INTEGER NOT NULL DEFAULT 0, rows_since_cut INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cuts (view TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (view, at)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reached (
    view TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (view, topic, partition)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS left_out (
    view TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (view, topic, partition, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS said (
    view TEXT NOT NULL, tenant_id TEXT NOT NULL, day INTEGER NOT NULL, segment INTEGER NOT NULL,
    topic TEXT NOT NULL, partition INTEGER NOT NULL, after INTEGER NOT NULL,
    row_count INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL, found_at INTEGER,
    PRIMARY KEY (view, tenant_id, day, segment, topic, partition)
) STRICT, WITHOUT ROWID;
"""

_ADD = """
INSERT INTO said VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)
ON CONFLICT (view, tenant_id, day, segment, topic, partition) DO UPDATE SET
    row_count = row_count + excluded.row_count, low = low + excluded.low, high = high + excluded.high,
    after = min(after, excluded.after), found_at = NULL
"""

_OF_PIECE = "view = ? AND tenant_id = ? AND day = ? AND segment = ?"

ROWS_OF_SEGMENT = 10_000
"""Fewer rows than this are not worth a segment of their own."""


class SqliteRemembered:
    """Remembered, in one file; one thread at a time for a view."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _SCHEMA, synchronous="NORMAL")

    def close(self) -> None:
        self._database.close()

    def is_of(self, table: str, origin: str) -> bool:
        with self._database.read() as connection:
            found = connection.execute("SELECT origin FROM origins WHERE view = ?", (table,)).fetchone()
            return bool(found == (origin,))

    def begin(self, table: str, origin: str) -> None:
        with self._database.write() as connection:
            for kept in ("reached", "left_out", "said", "cuts"):
                connection.execute(f"DELETE FROM {kept} WHERE view = ?", (table,))
            connection.execute("INSERT OR REPLACE INTO origins (view, origin) VALUES (?, ?)", (table, origin))

    def reached(self, table: str) -> Mapping[tuple[Topic, int], int]:
        with self._database.read() as connection:
            found = connection.execute("SELECT topic, partition, position FROM reached WHERE view = ?", (table,))
            return {(Topic(topic), partition): position for topic, partition, position in found}

    def cuts(self, table: str) -> Sequence[int]:
        with self._database.read() as connection:
            return [at for (at,) in connection.execute("SELECT at FROM cuts WHERE view = ? ORDER BY at", (table,))]

    def cut(self, table: str) -> None:
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO cuts SELECT view, highest FROM origins WHERE view = ? AND rows_since_cut >= ?"
                " AND (SELECT count(*) FROM cuts WHERE view = ?) < ?",
                (table, ROWS_OF_SEGMENT, table, MOST_SEGMENTS - 1),
            )
            connection.execute(
                "UPDATE origins SET rows_since_cut = 0 WHERE view = ? AND rows_since_cut >= ?",
                (table, ROWS_OF_SEGMENT),
            )

    def add(
        self,
        table: str,
        groups: Mapping[Group, Digest],
        highest: int,
        after: Position,
        until: Sequence[Checkpoint],
    ) -> None:
        topic, partition, position = after
        with self._database.write() as connection:
            connection.executemany(
                _ADD,
                [
                    (table, tenant_id, *piece, topic.value, partition, position, *digest)
                    for (tenant_id, piece), digest in groups.items()
                ],
            )
            connection.execute(
                "UPDATE origins SET highest = max(highest, ?), rows_since_cut = rows_since_cut + ? WHERE view = ?",
                (highest, sum(digest.rows for digest in groups.values()), table),
            )
            connection.executemany(
                "INSERT OR REPLACE INTO reached VALUES (?, ?, ?, ?)",
                [(table, at.topic.value, at.partition, at.position) for at in until],
            )

    def left_out(self, table: str) -> frozenset[Position]:
        with self._database.read() as connection:
            found = connection.execute("SELECT topic, partition, position FROM left_out WHERE view = ?", (table,))
            return frozenset(Position(Topic(topic), partition, position) for topic, partition, position in found)

    def leave_out(self, table: str, places: Collection[Position]) -> None:
        with self._database.write() as connection:
            connection.execute("DELETE FROM left_out WHERE view = ?", (table,))
            connection.executemany(
                "INSERT INTO left_out VALUES (?, ?, ?, ?)",
                [(table, topic.value, partition, position) for topic, partition, position in places],
            )

    def tenants(self, table: str) -> Sequence[TenantId]:
        with self._database.read() as connection:
            found = connection.execute(
                "SELECT DISTINCT tenant_id FROM said WHERE view = ? ORDER BY tenant_id", (table,)
            )
            return [TenantId(tenant_id) for (tenant_id,) in found]

    def said(self, table: str, tenant_id: TenantId) -> Mapping[Piece, Said]:
        found: dict[Piece, Said] = {}
        with self._database.read() as connection:
            for day, segment, topic, partition, after, *digest, at in connection.execute(
                "SELECT day, segment, topic, partition, after, row_count, low, high, found_at FROM said"
                " WHERE view = ? AND tenant_id = ?",
                (table, tenant_id),
            ):
                piece, found_at = Piece(day, segment), None if at is None else from_microseconds(at)
                said = Said(Digest(*digest), [Position(Topic(topic), partition, after)], found_at)
                found[piece] = _together(found[piece], said) if piece in found else said
        return found

    def found(self, table: str, tenant_id: TenantId, digests: Mapping[Piece, Digest], at: datetime) -> None:
        with self._database.write() as connection:
            for piece, digest in digests.items():
                of_piece = (table, tenant_id, *piece)
                connection.execute(
                    f"UPDATE said SET row_count = 0, low = 0, high = 0, found_at = ? WHERE {_OF_PIECE}",
                    (to_microseconds(at), *of_piece),
                )
                # which partition it is of is all the same once it was found
                connection.execute(
                    f"UPDATE said SET row_count = ?, low = ?, high = ? WHERE {_OF_PIECE} AND (topic, partition) ="
                    f" (SELECT topic, partition FROM said WHERE {_OF_PIECE} ORDER BY topic, partition LIMIT 1)",
                    (*digest, *of_piece, *of_piece),
                )


def _together(one: Said, other: Said) -> Said:
    times = (one.found_at, other.found_at)
    found_at = None if None in times else min(at for at in times if at is not None)
    return Said(one.digest.plus(other.digest), [*one.starts, *other.starts], found_at)
