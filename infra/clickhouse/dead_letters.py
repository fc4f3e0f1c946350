"""This keeps in ClickHouse the records that the analytics views could not take, beside those views."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from infra.clickhouse.connection import Connection
from infra.clickhouse.tables import Table
from projections.operations import DeadLetter
from schemas.envelope import Position, StreamId, StreamKey, TenantId, Topic
from streams.ports import Parked

_PLACE = ("view", "topic", "partition", "position")
_PAGE = 1_000


class _Letter(NamedTuple):
    view: str
    topic: str
    partition: int
    position: int
    tenant_id: str
    stream: str
    type: str
    reason: str
    attempts: int
    parked_at: datetime
    sequence: int
    removed: int


class ClickHouseDeadLetters:
    """DeadLetters of the analytics worker; any thread may call any method. Shape: `dsn` as in ClickHouseAnalytics."""

    def __init__(self, dsn: str) -> None:
        self._connection = Connection(dsn, [Table("dead_letters", _Letter, "sequence", _PLACE)])

    def close(self) -> None:
        self._connection.close()

    def park(self, letters: Sequence[DeadLetter]) -> None:
        fresh: dict[tuple[Any, ...], _Letter] = {}
        known = self._known(letters)
        for letter in letters:
            place = letter[: len(_PLACE)]
            before = fresh.get(place) or known.get(place)
            sequence = before.sequence + 1 if before else 1
            if before and not before.removed:
                # all but the attempts stays as it was: a follower's reason must not replace that of the poison itself
                fresh[place] = before._replace(attempts=before.attempts + letter.attempts, sequence=sequence)
            else:
                fresh[place] = _Letter(*letter, sequence, 0)
        self._write(fresh)

    def remove(self, letters: Sequence[DeadLetter]) -> None:
        known = self._known(letters)
        self._write({place: row._replace(sequence=row.sequence + 1, removed=1) for place, row in known.items()})

    def _write(self, rows: Mapping[tuple[Any, ...], _Letter]) -> None:
        if rows:
            self._connection.insert("dead_letters", _Letter, list(rows.values()))

    def _known(self, letters: Sequence[DeadLetter]) -> Mapping[tuple[Any, ...], _Letter]:
        """Return the newest row of each letter's place, also of one that was removed."""
        known: dict[tuple[Any, ...], _Letter] = {}
        wanted = {letter[: len(_PLACE)] for letter in letters}
        for (view, topic, partition), places in groupby(sorted(wanted), key=lambda place: place[:3]):
            positions = [position for *_, position in places]
            found = self._rows(
                "view = {view:String} AND topic = {topic:String} AND partition = {partition:UInt64} "
                "AND position BETWEEN {first:UInt64} AND {last:UInt64}",
                {"view": view, "topic": topic, "partition": partition, "first": positions[0], "last": positions[-1]},
            )
            known |= {row[: len(_PLACE)]: row for row in found if row[: len(_PLACE)] in wanted}
        return known

    def parked_streams(self, table: str) -> frozenset[StreamKey]:
        found = self._connection.query(
            "SELECT DISTINCT tenant_id, stream FROM dead_letters FINAL "
            "WHERE view = {view:String} AND topic = {topic:String} AND NOT removed",
            {"view": table, "topic": Topic.EVENTS.value},
        )
        return frozenset((TenantId(tenant_id), StreamId(stream)) for tenant_id, stream in found)

    def parked(self) -> Mapping[str, Parked]:
        rows = self._connection.query(
            "SELECT view, uniqExactIf((tenant_id, stream), topic = {events:String}), count() FROM dead_letters FINAL "
            "WHERE NOT removed GROUP BY view",
            {"events": Topic.EVENTS.value},
        )
        return {table: Parked(*counts) for table, *counts in rows}

    def letters(self, table: str) -> Iterator[DeadLetter]:
        after: tuple[Any, ...] = (table, "", 0, 0)
        while page := self._page("view = {view:String}", {"view": table}, after, _PAGE):
            yield from page
            after = page[-1][: len(_PLACE)]

    def page(
        self, tenant_id: TenantId, *, table: str | None, after: tuple[str, Position] | None, limit: int
    ) -> Sequence[DeadLetter]:
        condition, values = "tenant_id = {tenant_id:String}", {"tenant_id": str(tenant_id)}
        if table is not None:
            condition += " AND view = {view:String}"
            values["view"] = table
        return self._page(condition, values, (after[0], *after[1]) if after else ("", "", 0, 0), limit)

    def _page(
        self, condition: str, values: Mapping[str, Any], after: tuple[Any, ...], limit: int
    ) -> Sequence[DeadLetter]:
        place = dict(zip(("after_view", "after_topic", "after_partition", "after_position"), after, strict=True))
        found = self._rows(
            f"{condition} AND NOT removed AND (view, topic, partition, position) > ({{after_view:String}}, "
            "{after_topic:String}, {after_partition:UInt64}, {after_position:UInt64})",
            {**values, **place},
            f"LIMIT {int(limit)}",
        )
        return [DeadLetter._make((row.view, Topic(row.topic), *row[2:-2])) for row in found]

    def _rows(self, condition: str, values: Mapping[str, Any], limit: str = "") -> Sequence[_Letter]:
        found = self._connection.query(
            f"SELECT {', '.join(_Letter._fields)} FROM dead_letters FINAL WHERE {condition} "
            f"ORDER BY {', '.join(_PLACE)} {limit}",
            values,
        )
        return [_Letter(*row) for row in found]
