"""This keeps in Cassandra the records that the timeline views could not take, beside those views."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from typing import Any

from infra.cassandra.connection import CassandraAddress, Connection
from projections.instants import from_microseconds, to_microseconds
from projections.operations import DeadLetter
from schemas.envelope import Position, StreamId, StreamKey, TenantId, Topic
from streams.ports import Parked

_COLUMNS = '"view", topic, partition, position, tenant_id, stream, type, reason, attempts, parked_at'
_PLACE = 'tenant_id = ? AND "view" = ? AND topic = ? AND partition = ? AND position = ?'


class CassandraDeadLetters:
    """DeadLetters of the timeline worker; any thread may call any method.

    Shape: parking and removing one letter at the same moment goes by the clocks of the two processes.
    """

    def __init__(self, address: CassandraAddress) -> None:
        self._connection = Connection(address)
        self._table = f"{address.keyspace}.dead_letters"

    def close(self) -> None:
        self._connection.close()

    def migrate(self) -> None:
        """Make the table; may be run again at any time. Raises: StoreUnavailable, safe to retry."""
        self._connection.migrate()

    def park(self, letters: Sequence[DeadLetter]) -> None:
        wanted: dict[tuple[Any, ...], DeadLetter] = {}
        for letter in letters:
            wanted[_place(letter)] = _added(wanted.get(_place(letter)), letter)
        found = self._connection.ask_each(f"SELECT {_COLUMNS} FROM {self._table} WHERE {_PLACE}", wanted)
        insert = self._connection.prepare(
            f"INSERT INTO {self._table} ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        self._connection.write(
            [
                insert.bind(_values(_added(next(map(_letter, rows), None), letter)))
                for letter, rows in zip(wanted.values(), found, strict=True)
            ]
        )

    def parked_streams(self, table: str) -> frozenset[StreamKey]:
        statement = f'SELECT tenant_id, stream FROM {self._table} WHERE tenant_id = ? AND "view" = ? AND topic = ?'
        asked = [(tenant_id, table, Topic.EVENTS.value) for tenant_id in self._tenants()]
        found = self._connection.ask_each(statement, asked)
        return frozenset((TenantId(tenant_id), StreamId(stream)) for rows in found for tenant_id, stream in rows)

    def parked(self) -> Mapping[str, Parked]:
        # the columns are those of the key and the stream: a letter's text is not read
        statement = f'SELECT "view", topic, stream FROM {self._table} WHERE tenant_id = ?'
        streams: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        records: Counter[str] = Counter()
        tenants = self._tenants()
        for tenant_id, rows in zip(tenants, self._connection.ask_each(statement, zip(tenants)), strict=True):
            for table, topic, stream in rows:
                records[table] += 1
                if topic == Topic.EVENTS.value:
                    streams[table].add((tenant_id, stream))
        return {table: Parked(len(streams[table]), count) for table, count in records.items()}

    def letters(self, table: str) -> Iterator[DeadLetter]:
        statement = f'SELECT {_COLUMNS} FROM {self._table} WHERE tenant_id = ? AND "view" = ?'
        found = self._connection.ask_each(statement, [(tenant_id, table) for tenant_id in self._tenants()])
        # one order over all tenants: the columns begin with the place
        yield from map(_letter, merge(*found))

    def page(
        self, tenant_id: TenantId, *, table: str | None, after: tuple[str, Position] | None, limit: int
    ) -> Sequence[DeadLetter]:
        conditions = ["tenant_id = ?"]
        values: list[Any] = [tenant_id]
        if after and (table is None or after[0] >= table):
            conditions.append('("view", topic, partition, position) > (?, ?, ?, ?)')
            values += [after[0], *after[1]]
        elif table is not None:
            conditions.append('("view") >= (?)')
            values.append(table)
        if table is not None:
            conditions.append('("view") <= (?)')
            values.append(table)
        statement = f"SELECT {_COLUMNS} FROM {self._table} WHERE {' AND '.join(conditions)} LIMIT {int(limit)}"
        return tuple(map(_letter, self._connection.ask(statement, *values)))

    def remove(self, letters: Sequence[DeadLetter]) -> None:
        delete = self._connection.prepare(f"DELETE FROM {self._table} WHERE {_PLACE}")
        self._connection.write([delete.bind(_place(letter)) for letter in letters])

    def _tenants(self) -> Sequence[str]:
        return [tenant_id for (tenant_id,) in self._connection.ask(f"SELECT DISTINCT tenant_id FROM {self._table}")]


def _added(known: DeadLetter | None, letter: DeadLetter) -> DeadLetter:
    # all but the attempts stays as it was: a follower's reason must not replace that of the poison itself
    return known._replace(attempts=known.attempts + letter.attempts) if known else letter


def _place(letter: DeadLetter) -> tuple[Any, ...]:
    return (letter.tenant_id, letter.view, letter.topic.value, letter.partition, letter.position)


def _values(letter: DeadLetter) -> tuple[Any, ...]:
    view, topic, *others, parked_at = letter
    return (view, topic.value, *others, to_microseconds(parked_at))


def _letter(values: Sequence[Any]) -> DeadLetter:
    view, topic, *others, parked_at = values
    return DeadLetter._make((view, Topic(topic), *others, from_microseconds(parked_at)))
