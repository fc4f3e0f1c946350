"""A keyspace of Cassandra says which builds the timeline views have, which is live, and how far each has read."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from infra.cassandra.connection import CassandraAddress, Connection
from projections.instants import from_microseconds, to_microseconds
from projections.rows import Checkpoint, View
from projections.stores import Holder, Overview
from schemas.envelope import Topic

_CHECKPOINT = ", ".join(Checkpoint._fields)


def checkpoints_of(keyspace: str, view: View) -> str:
    return f"{keyspace}.{view.table}_checkpoints"


class CassandraBuilds:
    """Shape: `migrate` has to have run once."""

    def __init__(self, address: CassandraAddress) -> None:
        self._connection = Connection(address)

    def close(self) -> None:
        self._connection.close()

    def migrate(self) -> None:
        """Make what all views need; may be run again at any time. Raises: StoreUnavailable, safe to retry."""
        self._connection.migrate()

    def live(self, name: str) -> View | None:
        found = self._connection.ask(f"SELECT build FROM {self._connection.keyspace}.live WHERE name = ?", name)
        return View(name, found[0][0]) if found else None

    def builds(self, name: str) -> Sequence[View]:
        return [view for view in self._all_builds() if view.name == name]

    def overview(self) -> Overview:
        live = self._connection.ask(f"SELECT name, build FROM {self._connection.keyspace}.live")
        builds = self._all_builds()
        # the checkpoints of each are in a table of its own
        found = self._connection.ask_all(map(self._select_checkpoints, builds))
        reached = map(_checkpoints, found)
        return Overview({name: View(name, build) for name, build in live}, dict(zip(builds, reached, strict=True)))

    def checkpoints(self, view: View) -> Sequence[Checkpoint]:
        return _checkpoints(self._connection.ask(self._select_checkpoints(view)))

    def _select_checkpoints(self, view: View) -> str:
        return f"SELECT {_CHECKPOINT} FROM {checkpoints_of(self._connection.keyspace, view)}"

    def _all_builds(self) -> Sequence[View]:
        tables = self._connection.ask(
            "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", self._connection.keyspace
        )
        return sorted(view for (table,) in tables if (view := View.of_table(table)))

    def hold(self, name: str, holder: Holder, *, now: datetime) -> Holder:
        table, until = f"{self._connection.keyspace}.holders", to_microseconds(holder.until)
        while True:
            found = self._connection.ask(f"SELECT who, until FROM {table} WHERE name = ?", name)
            if not found:
                statement = f"INSERT INTO {table} (name, who, until) VALUES (?, ?, ?) IF NOT EXISTS"
                [(done, *_)] = self._connection.ask(statement, name, holder.who, until)
            else:
                [(who, before)] = found
                if who != holder.who and before >= to_microseconds(now):
                    return Holder(who, from_microseconds(before))
                statement = f"UPDATE {table} SET who = ?, until = ? WHERE name = ? IF who = ? AND until = ?"
                [(done, *_)] = self._connection.ask(statement, holder.who, until, name, who, before)
            if done:
                return holder

    def switch(self, view: View) -> None:
        if view not in self.builds(view.name):
            raise ValueError(f"{view.table} is not there: create it first")
        # a condition makes it one step after the other, whatever the clocks of the callers say
        self._connection.ask(
            f"UPDATE {self._connection.keyspace}.live SET build = ? WHERE name = ? IF build != ?",
            view.build,
            view.name,
            view.build,
        )

    def _move(self, view: View, checkpoints: Sequence[Checkpoint]) -> None:
        insert = self._connection.prepare(
            f"INSERT INTO {checkpoints_of(self._connection.keyspace, view)} ({_CHECKPOINT})"
            " VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?"
        )
        self._connection.write(
            # of two writes of one position the greater text counts: whoever says the log, not who says nothing
            insert.bind(
                (at.topic.value, at.partition, at.position, to_microseconds(at.recorded_at), at.log, at.position)
            )
            for at in checkpoints
        )


def _checkpoints(found: Iterable[tuple[Any, ...]]) -> Sequence[Checkpoint]:
    return tuple(
        Checkpoint(Topic(topic), partition, position, from_microseconds(recorded_at), log or "")
        for topic, partition, position, recorded_at, log in found
    )
