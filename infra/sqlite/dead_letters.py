"""This keeps in SQLite the records that views could not take."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.sqlite.views import Database, check_written
from projections.instants import from_microseconds, to_microseconds
from projections.operations import DeadLetter
from schemas.envelope import Position, StreamId, StreamKey, TenantId, Topic
from streams.ports import LogIdentity, Parked

_SCHEMA = """
CREATE TABLE IF NOT EXISTS letters (
    view TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL,
    tenant_id TEXT NOT NULL, stream TEXT NOT NULL, type TEXT NOT NULL, reason TEXT NOT NULL,
    attempts INTEGER NOT NULL, parked_at INTEGER NOT NULL, PRIMARY KEY (view, topic, partition, position)
) STRICT;
CREATE INDEX IF NOT EXISTS letters_of_tenant ON letters (tenant_id, view, topic, partition, position);
"""
_SELECT = (
    "SELECT view, topic, partition, position, tenant_id, stream, type, reason, attempts, parked_at FROM letters WHERE"
)


class SqliteDeadLetters:
    """DeadLetters of the embedded profile."""

    def __init__(self, path: Path | str, belongs_to: LogIdentity | None = None) -> None:
        # FULL: the checkpoint that passes a letter is in another file, so power loss must not take the letter back
        self._database = Database(path, _SCHEMA, synchronous="FULL", belongs_to=belongs_to)

    def close(self) -> None:
        self._database.close()

    def park(self, letters: Sequence[DeadLetter]) -> None:
        with self._database.write() as connection:
            # all but the attempts stays as it was: a follower's reason must not replace that of the poison itself
            written = connection.executemany(
                """
                INSERT INTO letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (view, topic, partition, position) DO UPDATE SET attempts = attempts + excluded.attempts
                """,
                [(*letter[:-1], to_microseconds(letter.parked_at)) for letter in letters],
            ).rowcount
            check_written("letters", len(letters), written)

    def parked_streams(self, table: str) -> frozenset[StreamKey]:
        with self._database.read() as connection:
            found = connection.execute(
                "SELECT DISTINCT tenant_id, stream FROM letters WHERE view = ? AND topic = ?", (table, Topic.EVENTS)
            )
            return frozenset((TenantId(tenant_id), StreamId(stream)) for tenant_id, stream in found)

    def parked(self) -> Mapping[str, Parked]:
        with self._database.read() as connection:
            found = connection.execute(
                """
                SELECT view, sum(topic = ?), sum(letters) FROM
                    (SELECT view, topic, count(*) AS letters FROM letters GROUP BY view, topic, tenant_id, stream)
                GROUP BY view
                """,
                (Topic.EVENTS,),
            )
            return {table: Parked(*counts) for table, *counts in found}

    def letters(self, table: str) -> Iterator[DeadLetter]:
        with self._database.read() as connection:
            for values in connection.execute(f"{_SELECT} view = ? ORDER BY topic, partition, position", (table,)):
                yield _letter(values)

    def page(
        self, tenant_id: TenantId, *, table: str | None, after: tuple[str, Position] | None, limit: int
    ) -> Sequence[DeadLetter]:
        where = "tenant_id = ?"
        values: list[Any] = [tenant_id]
        if table is not None:
            where += " AND view = ?"
            values.append(table)
        if after:
            where += " AND (view, topic, partition, position) > (?, ?, ?, ?)"
            values += [after[0], *after[1]]
        sql = f"{_SELECT} {where} ORDER BY view, topic, partition, position LIMIT ?"
        with self._database.read() as connection:
            return tuple(map(_letter, connection.execute(sql, (*values, limit))))

    def remove(self, letters: Sequence[DeadLetter]) -> None:
        with self._database.write() as connection:
            connection.executemany(
                "DELETE FROM letters WHERE view = ? AND topic = ? AND partition = ? AND position = ?",
                [letter[:4] for letter in letters],
            )


def _letter(values: Sequence[Any]) -> DeadLetter:
    view, topic, *others, parked_at = values
    return DeadLetter._make((view, Topic(topic), *others, from_microseconds(parked_at)))
