"""This keeps the analytics views and answers from them, in chDB or on a ClickHouse server."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from threading import BoundedSemaphore
from typing import Any, NamedTuple, TypeVar

from infra.clickhouse.connection import AlreadyThere, Connection, decode
from infra.clickhouse.noted_late import NotedLate, newest
from infra.clickhouse.tables import Table
from projections.instants import from_microseconds, stretches, to_microseconds
from projections.projection import Projection
from projections.question import Choice, Question
from projections.rows import Checkpoint, Row, StoredRow, View
from projections.stores import Holder, Overview, Part, StoreUnavailable, TooMuchAsked
from schemas.envelope import TenantId, Topic

R = TypeVar("R")


class _ReadUpTo(NamedTuple):
    view: str
    topic: str
    partition: int
    position: int
    recorded_at: datetime
    log: str


_CHECKPOINT = ", ".join(Checkpoint._fields)


class _Switch(NamedTuple):
    name: str
    build: int
    sequence: int


_REGISTRY = (
    # dropping a view drops its partition: at once, and never half
    Table("checkpoints", _ReadUpTo, "position", ("view", "topic", "partition"), partition="view"),
    Table("switches", _Switch, "sequence", ("name",)),
)

# Each takes up to 100 MB for a million rows and all of the machine: more of them at once are not faster, only larger.
_EMBEDDED_ANSWERS_AT_ONCE = 2
_SERVER_ANSWERS_AT_ONCE = 16
# A scan reads in the order of the key; small blocks of one thread keep its memory small however many rows there are.
_SCAN = {"max_threads": 1, "max_block_size": 8192}

_FIRST_US = to_microseconds(datetime.min.replace(tzinfo=UTC))
_END_US = to_microseconds(datetime.max.replace(tzinfo=UTC)) + 1
_OPEN: Mapping[str, Any] = {
    **dict.fromkeys(("start", "happened_from"), _FIRST_US),
    **dict.fromkeys(("end", "happened_before"), _END_US),
    "above": "-inf",
}


class ClickHouseAnalytics:
    """ViewWriter and AnalyticsReader of the role analytics; any thread may call any method.

    Shape: `dsn` is `chdb:///absolute/folder`, which one process at a time can open, or `clickhouse://user:password@
    host:port/database`, whose database exists.
    Units: `noted_every_s` is how often it is written how far a view has come, 0 for each time; more is for a process
    whose store no other process asks (`NotedLate`).
    """

    def __init__(self, dsn: str, projections: Sequence[Projection], *, noted_every_s: float = 0.0) -> None:
        self._layouts = {projection.name: projection.layout for projection in projections}
        self._connection = Connection(dsn, _REGISTRY)
        self._noted_late = NotedLate(noted_every_s, self._note)
        self._turns = BoundedSemaphore(
            _EMBEDDED_ANSWERS_AT_ONCE if self._connection.embedded else _SERVER_ANSWERS_AT_ONCE
        )

    def close(self) -> None:
        with closing(self._connection):
            self._noted_late.note_all()

    # --- views ------------------------------------------------------------------------------------------------------

    def create(self, view: View) -> None:
        layout = self._layouts[view.name]
        # the same block again within the window is not even written; later the key absorbs it
        self._connection.make(Table(view.table, layout.row, "position", layout.key, window=100))
        if self.live(view.name) == view:
            self._show(view)

    def drop(self, view: View) -> None:
        live = self.live(view.name)
        if live == view:
            raise ValueError(f"{view.table} is live; switch to another build first")
        if live:
            self._show(live)
        self._noted_late.forget(view)
        with self._connection.client() as client:
            # a table without checkpoints is read again from the start; checkpoints without a table would lose rows
            client.command(f"ALTER TABLE checkpoints DROP PARTITION '{view.table}'")
            client.command(f"DROP TABLE IF EXISTS {view.table} SYNC")

    def live(self, name: str) -> View | None:
        rows = self._connection.query("SELECT build FROM switches FINAL WHERE name = {name:String}", {"name": name})
        return View(name, rows[0][0]) if rows else None

    def builds(self, name: str) -> Sequence[View]:
        return [view for view in self._builds() if view.name == name]

    def overview(self) -> Overview:
        late = self._noted_late.late()
        live = self._connection.query("SELECT name, build FROM switches FINAL", {})
        builds = {view.table: view for view in self._builds()}
        reached: dict[View, list[Checkpoint]] = {view: [] for view in builds.values()}
        for table, *at in self._connection.query(f"SELECT view, {_CHECKPOINT} FROM checkpoints FINAL ORDER BY ALL", {}):
            # a build that is being made or dropped is none
            if view := builds.get(table):
                reached[view].append(_checkpoint(at))
        there = {view: newest(noted, late.get(view)) for view, noted in reached.items()}
        return Overview({name: View(name, build) for name, build in live}, there)

    def _builds(self) -> Sequence[View]:
        tables = self._connection.query("SELECT name FROM system.tables WHERE database = currentDatabase()", {})
        return sorted(view for (table,) in tables if (view := View.of_table(table)))

    def hold(self, name: str, holder: Holder, *, now: datetime) -> Holder:
        """Shape: an insert cannot be refused, making a table can: each change of hands makes the next of them."""
        comment = _quoted(f"{to_microseconds(holder.until)} {holder.who}")
        while True:
            holders = self._holders(name)
            number, before = max(holders.items(), default=(0, None))
            if before is not None and before.who == holder.who:
                held = f"holder_{name}_{number}"
                self._connection.define(f"ALTER TABLE {held} MODIFY COMMENT {comment}", held)
                return holder
            if before is not None and before.until >= now:
                return before
            if self._make_holder(f"holder_{name}_{number + 1}", comment) and max(self._holders(name)) == number + 1:
                with self._connection.client() as client:
                    for old in holders:
                        client.command(f"DROP TABLE IF EXISTS holder_{name}_{old} SYNC")
                return holder

    def _holders(self, name: str) -> Mapping[int, Holder]:
        """Return who has held the builds of a view, by the number of the table that says so."""
        prefix = f"holder_{name}_"
        found = self._connection.query(
            "SELECT name, comment FROM system.tables"
            " WHERE database = currentDatabase() AND startsWith(name, {prefix:String})",
            {"prefix": prefix},
        )
        holders: dict[int, Holder] = {}
        for table, comment in found:
            number = table.removeprefix(prefix)
            if number.isdigit():
                until, _, who = comment.partition(" ")
                holders[int(number)] = Holder(who, from_microseconds(int(until)))
        return holders

    def _make_holder(self, table: str, comment: str) -> bool:
        try:
            self._connection.define(f"CREATE TABLE {table} (it UInt8) ENGINE = TinyLog COMMENT {comment}", table)
        except AlreadyThere:
            return False
        return True

    def switch(self, view: View) -> None:
        sql = "SELECT max(sequence) FROM switches WHERE name = {name:String}"
        ((last,),) = self._connection.query(sql, {"name": view.name})
        self._connection.insert("switches", _Switch, [_Switch(view.name, view.build, last + 1)])
        self._show(view)

    def _show(self, live: View) -> None:
        """Let who asks in SQL find the live build under the view's own name, each row once; docs/analysts.md."""
        columns = ", ".join(self._layouts[live.name].columns)
        sql = "SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = {name:String}"
        shown = self._connection.query(sql, {"name": live.name})
        if any(columns in select and f".{live.table} FINAL" in select for (select,) in shown):
            return
        view = f"CREATE OR REPLACE VIEW {live.name} AS SELECT {columns} FROM {live.table} FINAL"
        self._connection.define(view, live.name)

    def checkpoints(self, view: View) -> Sequence[Checkpoint]:
        late = self._noted_late.late()
        rows = self._connection.query(
            f"SELECT {_CHECKPOINT} FROM checkpoints FINAL WHERE view = {{view:String}} ORDER BY topic, partition",
            {"view": view.table},
        )
        return newest(map(_checkpoint, rows), late.get(view))

    def apply(self, view: View, rows: Sequence[Row], *checkpoints: Checkpoint) -> None:
        if rows:
            self._connection.insert(view.table, self._layouts[view.name].row, rows)
        if checkpoints:
            self._noted_late.reached(view, checkpoints)

    def _note(self, view: View, checkpoints: Iterable[Checkpoint]) -> None:
        self._connection.insert("checkpoints", _ReadUpTo, [_ReadUpTo(view.table, *at) for at in checkpoints])

    def scan(self, view: View, tenant_id: TenantId) -> Iterator[StoredRow]:
        row: Any = self._layouts[view.name].row
        sql = self._of_tenant(view, row._fields)
        with (
            self._connection.client() as client,
            client.query_rows_stream(sql, {"tenant_id": tenant_id}, settings=_SCAN) as stream,
        ):
            for values in stream:
                yield row(*values)

    def scan_columns(
        self, view: View, tenant_id: TenantId, part: Part | None = None
    ) -> Iterator[Sequence[Sequence[Any]]]:
        types = self._layouts[view.name].columns
        # under another name, else the conditions would be about the number
        columns = [
            f"toUnixTimestamp64Micro({name}) AS {name}_us" if type_ is datetime else name
            for name, type_ in types.items()
        ]
        sql = self._of_tenant(view, columns, f"AND {self._in(view, part)}" if part else "")
        with (
            self._connection.client() as client,
            client.query_arrow_stream(sql, {"tenant_id": tenant_id}, settings=_SCAN, use_strings=True) as stream,
        ):
            for block in stream:
                yield [decode(type_, column) for type_, column in zip(types.values(), block.columns, strict=True)]

    def count(self, view: View, tenant_id: TenantId, *, without: Part) -> int | None:
        where = f"tenant_id = {{tenant_id:String}} AND NOT {self._in(view, without)}"
        try:
            ((count,),) = self._connection.query(
                f"SELECT count() FROM {view.table} FINAL WHERE {where}", {"tenant_id": tenant_id}
            )
        except TooMuchAsked:
            return None
        return int(count)

    def _in(self, view: View, part: Part) -> str:
        day = self._layouts[view.name].day
        at = f"toUnixTimestamp64Micro({day})"
        on = [f"({at} >= {start} AND {at} < {end})" for start, end in stretches(part.days)] if day else ["true"]
        return f"(position > {part.above} AND ({' OR '.join(on) or 'false'}))"

    def _of_tenant(self, view: View, columns: Sequence[str], part: str = "") -> str:
        return (
            f"SELECT {', '.join(columns)} FROM {view.table} FINAL "
            f"WHERE tenant_id = {{tenant_id:String}} {part} ORDER BY {', '.join(self._layouts[view.name].key)}"
        )

    def misplaced(self, view: View, tenant_id: TenantId) -> Iterator[tuple[Any, ...]]:  # noqa: ARG002
        # nothing is kept beside the row that a reader would go by
        return iter(())

    def tenants(self, view: View) -> Sequence[TenantId]:
        rows = self._connection.query(f"SELECT DISTINCT tenant_id FROM {view.table} ORDER BY tenant_id", {})
        return tuple(tenant_id for (tenant_id,) in rows)

    # --- answers ----------------------------------------------------------------------------------------------------

    def ask(self, question: Question[R], tenant_id: TenantId, **parameters: Any) -> Sequence[R]:
        for view in question.views:
            if view not in self._layouts:
                raise ValueError(f"{question.name} is about {view}, which this store does not keep: ask another")
        sql, values = _put(question, parameters)
        own = ", ".join(f"{view} AS ({self._own(view)})" for view in question.views)
        with self._turns:
            rows = self._connection.query(f"WITH {own} {sql}", {**values, "tenant_id": tenant_id})
        return tuple(question.row(*row) for row in rows)

    def _own(self, view: str) -> str:
        live = self.live(view)
        if live is None:
            raise StoreUnavailable(f"no build of {view} is live yet; wait until the first one was switched to")
        # planned by the engine as if the tenant stood in the question itself: the same index, no column more
        return f"SELECT * FROM {live.table} FINAL WHERE tenant_id = {{tenant_id:String}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _put(question: Question[Any], parameters: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a question's SQL with what was chosen, and the values of its parameters.

    Raises: ValueError, the question takes other parameters.
    """
    if parameters.keys() != question.parameters.keys():
        raise ValueError(f"{question.name} takes {', '.join(question.parameters)}; not {', '.join(parameters)}")
    sql, values = question.sql, dict(parameters)
    for name, value in parameters.items():
        kind = question.parameters[name]
        if isinstance(kind, Choice):
            if value not in kind.sql:
                raise ValueError(f"{question.name} has no {name} {value!r}: use one of {', '.join(kind.sql)}")
            sql = sql.replace(f"{{{name}}}", kind.sql[value])
        elif value is None:
            values[name] = _OPEN.get(name, "")
        elif isinstance(value, datetime):
            values[name] = to_microseconds(value)
    return sql, values


def _checkpoint(found: Sequence[Any]) -> Checkpoint:
    topic, *rest = found
    return Checkpoint(Topic(topic), *rest)
