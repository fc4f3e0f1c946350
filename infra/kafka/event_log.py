"""This is the log on Kafka as a command worker sees it, with one transaction for each batch."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from confluent_kafka import Producer, TopicPartition

from infra.kafka.beside import WriterKeys, find_marks, forget_marks, key_name, noted_mark
from infra.kafka.connection import REQUEST_TIMEOUT_S, Connection, kafka_errors
from infra.kafka.credentials import FILLED, part_name
from infra.kafka.log_reader import KafkaLogReader
from infra.kafka.partitions import OwnedPartitions, disk_errors
from infra.kafka.replies import Replies
from infra.kafka.sealed_commands import SealedCommands
from infra.kafka.take_over import Owned
from infra.kafka.transaction import COMMIT_S, Transactions, noting
from infra.master_key import MasterKey
from infra.sqlite.beside import BesideEvents, Noted
from infra.sqlite.writer_state import Stored, WriterState
from projections.credentials import parts_of
from projections.instants import to_microseconds
from schemas.envelope import Entry, Envelope, StreamId, StreamKey, TenantId, Topic
from schemas.kafka_record import encode_kafka
from schemas.partitioning import partition_of
from streams.ports import Answered, Batch, CommandKey, Due, LogUnavailable, Mark
from streams.topics import Beside, Topics
from streams.write.due import in_turns
from streams.write.personal import opened_all, sealed

_Place = tuple[Beside, int]

_FORGET_EVERY_MS = 60 * 60 * 1000


class KafkaEventLog:
    """EventLog of one process: it reads and writes the partitions that the consumer group gave it.

    Shape: `owned` are those, and how they are gained and lost; `replies` is how its commands are answered, after their
    commit; `commands` opens them. Used by one thread at a time.
    """

    def __init__(
        self,
        connection: Connection,
        topics: Topics,
        *,
        schema_ids: Mapping[tuple[str, int], int],
        folder: Path,
        name: str,
        master: MasterKey,
    ) -> None:
        """Shape: `name` is this writer's own, and the same after a restart: what its predecessor left open is ended.

        Raises: LogUnavailable, safe to retry.
        """
        self.partitions = topics.partitions
        self._topics = topics
        self._schema_ids = schema_ids
        with kafka_errors():
            self._transactions = Transactions(connection, *(f"{topics.prefix}.writer-{name}-{n}" for n in range(2)))
        self.owned = OwnedPartitions(connection, topics, folder=folder)
        self.replies = Replies(connection, topics)
        self._reader = KafkaLogReader(connection, topics)
        self._keys = WriterKeys(master, self._beside)
        self.commands = SealedCommands(master)
        self._filled: set[int] = set()
        self._forget_at_ms = 0

    def close(self) -> None:
        """Give the partitions back, keep what is known of them, and send the replies that are left."""
        self.owned.close()
        self._reader.close()
        self.replies.close()

    # --- writing

    @property
    def writing_since(self) -> float | None:
        """Return when the transaction at hand began, on the monotonic clock; any thread may ask."""
        return self._transactions.since

    def append(self, batch: Batch) -> None:
        self.commit(batch, {})

    def commit(self, batch: Batch, offsets: Mapping[int, int]) -> None:
        """Append a batch in one transaction with where the commands of partitions go on.

        Raises: what `append` raises; WriterLost.
        """
        try:
            self._commit(sealed(batch.events, self._keys), batch.marks, offsets)
        finally:
            self._keys.new.clear()

    def _commit(self, events: Sequence[Envelope], marks: Sequence[Mark], offsets: Mapping[int, int]) -> None:
        by_partition: dict[int, list[Stored]] = defaultdict(list)
        for event in events:
            schema_id = self._schema_ids[event.type, event.schema_version]
            by_partition[event.partition].append(Stored(event.position, encode_kafka(event, schema_id)))
        self._write(by_partition, self._beside_of(marks, events), offsets)
        if marks and _now_ms() > self._forget_at_ms:
            self._forget_at_ms = _now_ms() + _FORGET_EVERY_MS
            for owned in self.owned.values():
                with disk_errors():
                    forget_marks(owned.state.beside, marks[-1])

    def _write(
        self,
        by_partition: Mapping[int, Sequence[Stored]],
        beside: Mapping[_Place, Sequence[Noted]],
        offsets: Mapping[int, int],
    ) -> None:
        touched = {*by_partition, *offsets, *(partition for _, partition in beside)}
        if not touched:
            return
        owned = {partition: self._mine(partition) for partition in touched}
        for partition, stored in by_partition.items():
            if stored[0].position != owned[partition].state.end + 1:
                raise LogUnavailable(f"partition {partition} does not end before position {stored[0].position}")
        # one for every partition that is written, or the broker would not check whose it is
        offsets = {partition: owned[partition].next_command or 0 for partition in touched} | dict(offsets)
        ends, next_beside = self._produce_all(by_partition, beside, offsets)
        for partition, offset in offsets.items():
            owned[partition].next_command = offset
        with disk_errors():
            for partition, stored in by_partition.items():
                owned[partition].state.add(stored, ends[partition] + 1)
            for (kind, partition), records in beside.items():
                owned[partition].state.keep_beside(kind, records, next_beside[kind, partition] + 1)

    def fill_credentials(self) -> None:
        """Bring what earlier versions recorded of API keys and tenants into the topic of credentials, once.

        Raises: what `append` raises; WriterLost.
        """
        beside: dict[_Place, list[Noted]] = {}
        for partition in self.owned.keys() - self._filled:
            state = self.owned[partition].state
            with disk_errors():
                if not state.beside.find(Beside.CREDENTIALS, [FILLED]):
                    events = [event for event in state.read_of("api_key", "tenant") if isinstance(event, Envelope)]
                    last = {part_name(part): part.value for event in events for part in parts_of(event)}
                    known = state.beside.find(Beside.CREDENTIALS, last)
                    fresh = [Noted(name, value, _now_ms()) for name, value in last.items() if name not in known]
                    beside[Beside.CREDENTIALS, partition] = [*fresh, Noted(FILLED, b"\xf1", _now_ms())]
        self._write({}, beside, {})
        self._filled = set(self.owned)

    def _beside_of(self, marks: Sequence[Mark], events: Sequence[Envelope]) -> Mapping[_Place, Sequence[Noted]]:
        """Return what is written beside the events, by kind and partition."""
        found: dict[_Place, list[Noted]] = defaultdict(list)
        for mark in marks:
            found[Beside.MARKS, partition_of(mark.key[0], self.partitions)].append(noted_mark(mark))
        for part in (part for event in events for part in parts_of(event)):
            at_ms = to_microseconds(events[-1].recorded_at) // 1000
            place = (Beside.CREDENTIALS, partition_of(part.tenant_id, self.partitions))
            found[place].append(Noted(part_name(part), part.value, at_ms))
        for subject, wrapped in self._keys.new.items():
            at_ms = to_microseconds(events[-1].recorded_at) // 1000
            found[Beside.KEYS, partition_of(subject[0], self.partitions)].append(
                Noted(key_name(subject), wrapped, at_ms)
            )
        return found

    def _produce_all(
        self,
        by_partition: Mapping[int, Sequence[Stored]],
        beside: Mapping[_Place, Sequence[Noted]],
        offsets: Mapping[int, int],
    ) -> tuple[dict[int, int], dict[_Place, int]]:
        """Produce all of it in one transaction; return the offsets of the last records."""
        ends: dict[int, int] = {}
        next_beside: dict[_Place, int] = {}
        with self._transactions.transaction() as producer:
            for partition, events in by_partition.items():
                self._produce(producer, partition, events, ends)
            for (kind, partition), records in beside.items():
                for key, value, at_ms in records:
                    note = noting(next_beside, (kind, partition))
                    producer.produce(self._topics.beside(kind), value, key, partition, note, timestamp=at_ms)
            # first, or the broker is asked too early for the last transaction to be over, and asked again 100 ms later
            producer.flush(COMMIT_S)
            go_on = [TopicPartition(self._topics.commands, partition, offset) for partition, offset in offsets.items()]
            producer.send_offsets_to_transaction(go_on, self.owned.group, REQUEST_TIMEOUT_S)
        return ends, next_beside

    def _produce(self, producer: Producer, partition: int, events: Sequence[Stored], ends: dict[int, int]) -> None:
        produce, topic = producer.produce, self._topics.events
        source = self._topics.prefix
        for _, record in events[:-1]:
            produce(topic, record.value, record.key, partition, headers=record.headers_from(source))
        last = events[-1].record
        # the one report that is needed: a commit does not succeed unless all were delivered
        produce(topic, last.value, last.key, partition, noting(ends, partition), headers=last.headers_from(source))

    # --- reading: events from this process's own state, so that what was appended is there at once

    def end(self, topic: Topic, partition: int) -> int:
        if topic is Topic.EVENTS and partition in self.owned:
            return self.owned[partition].state.end
        return self._reader.end(topic, partition)

    def ends(self, topic: Topic) -> Sequence[int]:
        return [self.end(topic, partition) for partition in range(self.partitions)]

    def read(self, topic: Topic, partition: int, *, after: int, limit: int) -> Sequence[Entry]:
        if topic is Topic.EVENTS and partition in self.owned:
            with disk_errors():
                return self.owned[partition].state.read(after=after, limit=limit)
        return self._reader.read(topic, partition, after=after, limit=limit)

    def wait(self, ends: Mapping[tuple[Topic, int], int], timeout_s: float) -> bool:
        mine = {place for place in ends if place[0] is Topic.EVENTS and place[1] in self.owned}
        if any(self.end(*place) > ends[place] for place in mine):
            return True
        others = {place: position for place, position in ends.items() if place not in mine}
        if others:
            return self._reader.wait(others, timeout_s)
        # nobody but this thread may write the others, and it is waiting here
        time.sleep(timeout_s)
        return False

    def read_stream(self, tenant_id: TenantId, stream: StreamId, *, after: int, limit: int) -> Sequence[Entry]:
        state = self._mine(partition_of(tenant_id, self.partitions)).state
        with disk_errors():
            found = state.read_stream((tenant_id, stream), after=after, limit=limit)
        return opened_all(found, self._keys)

    def tenants(self, partition: int) -> Sequence[TenantId]:
        with disk_errors():
            return self._mine(partition).state.tenants()

    def read_streams(self, keys: Collection[StreamKey]) -> Mapping[StreamKey, Sequence[Entry]]:
        found = self._by_partition(keys, WriterState.read_streams)
        return {key: opened_all(entries, self._keys) for key, entries in found.items()}

    def find_commands(self, keys: Collection[CommandKey]) -> Mapping[CommandKey, Answered]:
        return self._by_partition(keys, _find_commands)

    def due(self, now: datetime, limit: int) -> Sequence[Due]:
        found: list[Sequence[Due]] = []
        for owned in self.owned.values():
            with disk_errors():
                found.append(owned.state.due(now, limit))
        return in_turns(found)

    def next_due(self) -> datetime | None:
        return min((owned.state.next_due for owned in self.owned.values() if owned.state.next_due), default=None)

    def _by_partition(
        self, keys: Collection[Any], ask: Callable[[WriterState, Collection[Any]], Mapping[Any, Any]]
    ) -> dict[Any, Any]:
        by_tenant: dict[TenantId, list[Any]] = defaultdict(list)
        for key in keys:
            by_tenant[key[0]].append(key)
        found: dict[Any, Any] = {}
        for tenant_id, own in by_tenant.items():
            state = self._mine(partition_of(tenant_id, self.partitions)).state
            with disk_errors():
                found |= ask(state, own)
        return found

    def _beside(self, tenant_id: TenantId) -> BesideEvents:
        return self._mine(partition_of(tenant_id, self.partitions)).state.beside

    def _mine(self, partition: int) -> Owned:
        try:
            return self.owned[partition]
        except KeyError:
            raise LogUnavailable(f"partition {partition} is not, or not yet, this worker's") from None


def _find_commands(state: WriterState, keys: Collection[CommandKey]) -> Mapping[CommandKey, Answered]:
    return {**find_marks(state.beside, keys), **state.find_commands(keys)}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
