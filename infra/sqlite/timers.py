"""What processes wait for is kept in this table, in the file and the transaction of the events that say so."""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from eventsourcing.sqlite import SQLiteCursor

from infra.sqlite.bulk import insert_many
from projections.instants import from_microseconds, to_microseconds
from schemas.envelope import StreamId, TenantId
from streams.ports import Due
from streams.write.due import Key

CREATE_TIMERS = (
    """
    CREATE TABLE IF NOT EXISTS timers (
        tenant_id TEXT, stream TEXT, name TEXT, due_at INTEGER, PRIMARY KEY (tenant_id, stream, name)
    )
    """,
    "CREATE INDEX IF NOT EXISTS timers_by_time ON timers (due_at)",
)
"""Shape: `due_at` in microseconds since 1970, or _AT_ONCE for a command that was asked."""

_AT_ONCE = -(2**63)
_KEYS = 200  # three bound values each

Connection = sqlite3.Connection | SQLiteCursor


def change(db: Connection, waiting: Sequence[Due], gone: Sequence[Key]) -> None:
    """Keep what is waited for, and forget what is gone, in the transaction at hand."""
    for at in range(0, len(gone), _KEYS):
        part = gone[at : at + _KEYS]
        keys = ",".join(["(?,?,?)"] * len(part))
        db.execute(
            f"DELETE FROM timers WHERE (tenant_id, stream, name) IN (VALUES {keys})",
            [text for key in part for text in key],
        )
    insert_many(db, "INSERT OR REPLACE INTO timers (tenant_id, stream, name, due_at)", [_row(due) for due in waiting])


def due(db: Connection, now: datetime, limit: int) -> Sequence[Due]:
    """Return what was asked, and then the timers that are due, at most `limit` of each."""
    asked = _select(db, "due_at = ? ORDER BY due_at, rowid LIMIT ?", (_AT_ONCE, limit))
    of_time = "due_at > ? AND due_at <= ? ORDER BY due_at, rowid LIMIT ?"
    return [*asked, *_select(db, of_time, (_AT_ONCE, to_microseconds(now), limit))]


def next_due(db: Connection) -> datetime | None:
    """Return when the next is due, `datetime.min` for at once, None where nothing waits."""
    first = _one(db, "SELECT MIN(due_at) FROM timers")
    if first is None:
        return None
    return datetime.min.replace(tzinfo=UTC) if first == _AT_ONCE else from_microseconds(first)


def _row(waiting: Due) -> tuple[str, str, str, int]:
    at = _AT_ONCE if waiting.due_at is None else to_microseconds(waiting.due_at)
    return waiting.tenant_id, waiting.stream, waiting.name, at


def _select(db: Connection, where: str, values: Sequence[Any]) -> Iterator[Due]:
    rows = _rows(db, f"SELECT tenant_id, stream, name, due_at FROM timers WHERE {where}", values)
    for tenant_id, stream, name, at in rows:
        yield Due(TenantId(tenant_id), StreamId(stream), name, None if at == _AT_ONCE else from_microseconds(at))


def _one(db: Connection, query: str) -> int | None:
    [[found]] = _rows(db, query, ())
    return None if found is None else int(found)


def _rows(db: Connection, query: str, values: Sequence[Any]) -> Sequence[Any]:
    # the library's cursor gives its rows itself, a connection makes a cursor that does
    return (db.execute(query, values) or db).fetchall()  # type: ignore[union-attr]
