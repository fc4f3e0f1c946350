"""The log on Kafka as a command worker sees it: the partitions it owns, and one transaction for each batch."""

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from infra.kafka.connection import REQUEST_TIMEOUT_S, Connection, kafka_errors
from infra.kafka.log_reader import KafkaLogReader
from infra.kafka.take_over import Owned, TakeOver
from infra.kafka.topics import log_id
from infra.kafka.transaction import COMMIT_S, Transactions, noting
from infra.sqlite.writer_state import STATE_ERRORS, Stored, WriterState
from schemas.envelope import Entry, Envelope, StreamId, StreamKey, TenantId, Topic
from schemas.kafka_record import encode_kafka
from schemas.partitioning import partition_of
from streams.ports import Batch, LogUnavailable, Reply
from streams.topics import Topics
from streams.write.messages import encode_reply
from streams.write.worker import Incoming, WriterLost

_LOG = logging.getLogger(__name__)

REPLY_TO = "reply-to"
"""The header of a command that says where its sender waits: `<partition of the replies>|<anything>`."""

SESSION_TIMEOUT_MS = 6_000
"""A worker that is silent for so long loses its partitions; the shortest that brokers allow as they come."""

_TAKE_OVER_POLL_S = 0.05


class _Turn(NamedTuple):
    """What was taken and is not yet committed. Shape: `offsets` is where each partition's commands go on."""

    offsets: Mapping[int, int]
    reply_tos: Sequence[str | None]
    refused: dict[int, Reply]


class KafkaEventLog:
    """EventLog and CommandQueue: takes the commands of its partitions and appends what they cause.

    One process's part of the log: it reads and writes the partitions that the consumer group gave it.
    Used by one thread at a time.
    """

    def __init__(
        self,
        connection: Connection,
        topics: Topics,
        *,
        schema_ids: Mapping[tuple[str, int], int],
        folder: Path,
        name: str,
    ) -> None:
        """Shape: `name` is this writer's own, and the same after a restart: what its predecessor left open is ended.

        Raises: LogUnavailable, safe to retry.
        """
        self.partitions = topics.partitions
        self.ownership = 0
        self._topics = topics
        self._schema_ids = schema_ids
        self._folder = folder
        self._turn: _Turn | None = None
        self._is_lost = False
        self._owned: dict[int, Owned] = {}
        self._admin = connection.admin()
        with kafka_errors():
            self._log_id = log_id(self._admin, topics.events)
            self._transactions = Transactions(connection, *(f"{topics.prefix}.writer-{name}-{n}" for n in range(2)))
        self._take_over = TakeOver(connection, topics)
        self._consumer: Consumer = connection.consumer(
            topics.writers,
            auto_offset_reset="earliest",
            partition_assignment_strategy="cooperative-sticky",
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=SESSION_TIMEOUT_MS // 4,
        )
        self._group = self._consumer.consumer_group_metadata()
        self._reader = KafkaLogReader(connection, topics)
        self._consumer.subscribe(
            [topics.commands], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )

    def close(self) -> None:
        """Give the partitions back, and keep what is known of them."""
        self._consumer.close()
        self._drop(list(self._owned))
        self._take_over.close()
        self._reader.close()

    # --- ownership

    @property
    def owned(self) -> frozenset[int]:
        """Return the partitions that this process decides for now."""
        return frozenset(partition for partition, owned in self._owned.items() if owned.running)

    def _assigned(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        # paused until the take-over is complete, and the place where to go on is known then; 0 is not read
        consumer.incremental_assign([TopicPartition(tp.topic, tp.partition, 0) for tp in partitions])
        consumer.pause(list(partitions))
        for tp in partitions:
            path = self._folder / f"partition-{tp.partition}.sqlite"
            with _disk_errors():
                state = WriterState(path, tp.partition, self._log_id)
            self._owned[tp.partition] = Owned(tp.partition, state)
            _LOG.info("partition %d was given, its events are known up to position %d", tp.partition, state.end)
        self.ownership += 1

    def _revoked(self, _consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        # called from within `take` only: no transaction is open
        self._drop([tp.partition for tp in partitions])

    def _lost(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._revoked(consumer, partitions)
        self._is_lost = True

    def _drop(self, partitions: Sequence[int]) -> None:
        for partition in partitions:
            if owned := self._owned.pop(partition, None):
                self._take_over.forget(owned)
                owned.state.close()
                _LOG.info("partition %d given up at position %d", partition, owned.state.end)
        self.ownership += 1

    def _advance_take_overs(self) -> float:
        """Go on with the partitions that are being taken over; return how long there is time for commands."""
        waiting = [owned for owned in self._owned.values() if not owned.running]
        if not waiting:
            return math.inf
        with _disk_errors():
            reading = self._take_over.advance(self._consumer, waiting)
        for owned in waiting:
            if owned.running:
                self.ownership += 1
                _LOG.info("partition %d taken over at position %d", owned.partition, owned.state.end)
        return 0 if reading else _TAKE_OVER_POLL_S

    def _read_again(self) -> None:
        """Take every partition over anew: what became of the last transaction is the log's to say."""
        self._turn = None
        for partition in self.owned:
            self._consumer.pause([TopicPartition(self._topics.commands, partition)])
            self._owned[partition].restart()
        self.ownership += 1

    # --- the queue of commands

    def take(self, *, limit: int, timeout_s: float) -> Sequence[Incoming]:
        with kafka_errors():
            if self._turn is not None:
                self._read_again()
            timeout_s = min(timeout_s, self._advance_take_overs())
            messages = self._poll(limit, timeout_s)
            if self._is_lost:
                # clients that were cut off go on, but some ask for the group where it was: new ones find it at once
                raise WriterLost("the group has given this worker's partitions away: it, or the broker, was silent")
            # as it was when the messages came: an owner that was replaced since may not commit
            self._group = self._consumer.consumer_group_metadata()
        taken = [message for message in messages if self._is_due(message)]
        if not taken:
            self._checkpoint()
            return ()
        offsets = {_partition(message): _offset(message) + 1 for message in taken}
        self._turn = _Turn(offsets, [_reply_to(message) for message in taken], {})
        return [Incoming(_partition(message), message.value() or b"") for message in taken]

    def refuse(self, index: int, reply: Reply) -> None:
        assert self._turn is not None  # noqa: S101 - refused is what was taken
        self._turn.refused[index] = reply

    def _poll(self, limit: int, timeout_s: float) -> list[Message]:
        """Wait for one message, then take those that are there: waiting for more would only make the first late."""
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        return [first, *self._consumer.consume(limit - 1, 0)] if limit > 1 else [first]

    def _is_due(self, message: Message) -> bool:
        if (error := message.error()) is not None:
            _LOG.warning("reading commands: %s", error.str())
            return False
        owned = self._owned.get(_partition(message))
        # what was fetched before the partition was lost, or read again, is not ours to decide
        return owned is not None and owned.running and _offset(message) >= (owned.next_command or 0)

    def _checkpoint(self) -> None:
        with _disk_errors():
            for owned in self._owned.values():
                owned.state.checkpoint()

    # --- writing

    @property
    def writing_since(self) -> float | None:
        """Return when the transaction at hand began, on the monotonic clock; any thread may ask."""
        return self._transactions.since

    def append(self, batch: Batch) -> None:
        by_partition: dict[int, list[Stored]] = defaultdict(list)
        for event in batch.events:
            schema_id = self._schema_ids[event.type, event.schema_version]
            by_partition[event.partition].append(Stored(event.position, encode_kafka(event, schema_id)))
        for partition, events in by_partition.items():
            if events[0].position != self._partition_state(partition).end + 1:
                raise LogUnavailable(f"partition {partition} does not end before position {events[0].position}")
        ends = self._commit(by_partition, self._replies(batch.replies), self._offsets(by_partition))
        self._turn = None
        with _disk_errors():
            for partition, events in by_partition.items():
                self._owned[partition].state.add(events, ends[partition] + 1)

    def _offsets(self, partitions: Collection[int]) -> Mapping[int, int]:
        """Return where the commands go on; one for every partition that is written, or the broker would not check."""
        taken = self._turn.offsets if self._turn else {}
        return {partition: self._owned[partition].next_command or 0 for partition in partitions} | dict(taken)

    def _replies(self, replies: Sequence[Reply]) -> list[tuple[str, bytes]]:
        if self._turn is None:
            return []
        decided = iter(replies)
        answers = [
            (reply_to, self._turn.refused[index] if index in self._turn.refused else next(decided))
            for index, reply_to in enumerate(self._turn.reply_tos)
        ]
        return [(reply_to, encode_reply(reply)) for reply_to, reply in answers if reply_to is not None]

    def _commit(
        self,
        by_partition: Mapping[int, Sequence[Stored]],
        replies: Sequence[tuple[str, bytes]],
        offsets: Mapping[int, int],
    ) -> dict[int, int]:
        """Produce all of it in one transaction; return the offset of the last event of each partition."""
        ends: dict[int, int] = {}
        with self._transactions.transaction() as producer:
            for partition, events in by_partition.items():
                self._produce(producer, partition, events, ends)
            self._answer(producer, replies)
            # first, or the broker is asked too early for the last transaction to be over, and asked again 100 ms later
            producer.flush(COMMIT_S)
            go_on = [TopicPartition(self._topics.commands, partition, offset) for partition, offset in offsets.items()]
            producer.send_offsets_to_transaction(go_on, self._group, REQUEST_TIMEOUT_S)
        for partition, offset in offsets.items():
            self._owned[partition].next_command = offset
        return ends

    def _produce(self, producer: Producer, partition: int, events: Sequence[Stored], ends: dict[int, int]) -> None:
        produce, topic = producer.produce, self._topics.events
        for _, record in events[:-1]:
            produce(topic, record.value, record.key, partition, headers=record.headers)
        last = events[-1].record
        # the one report that is needed: a commit does not succeed unless all were delivered
        produce(topic, last.value, last.key, partition, noting(ends, partition), headers=last.headers)

    def _answer(self, producer: Producer, replies: Sequence[tuple[str, bytes]]) -> None:
        produce, topic = producer.produce, self._topics.replies
        for reply_to, raw in replies:
            partition = reply_to.partition("|")[0]
            if partition.isascii() and partition.isdigit() and int(partition) < self.partitions:
                produce(topic, raw, reply_to, int(partition))

    # --- reading: events from this process's own state, so that what was appended is there at once

    def end(self, topic: Topic, partition: int) -> int:
        if topic is Topic.EVENTS and self._is_mine(partition):
            return self._owned[partition].state.end
        return self._reader.end(topic, partition)

    def read(self, topic: Topic, partition: int, *, after: int, limit: int) -> Sequence[Entry]:
        if topic is Topic.EVENTS and self._is_mine(partition):
            with _disk_errors():
                return self._owned[partition].state.read(after=after, limit=limit)
        return self._reader.read(topic, partition, after=after, limit=limit)

    def wait(self, ends: Mapping[tuple[Topic, int], int], timeout_s: float) -> bool:
        mine = {place for place in ends if place[0] is Topic.EVENTS and self._is_mine(place[1])}
        if any(self.end(*place) > ends[place] for place in mine):
            return True
        others = {place: position for place, position in ends.items() if place not in mine}
        if others:
            return self._reader.wait(others, timeout_s)
        # nobody but this thread may write the others, and it is waiting here
        time.sleep(timeout_s)
        return False

    def read_stream(self, tenant_id: TenantId, stream: StreamId, *, after: int, limit: int) -> Sequence[Entry]:
        state = self._partition_state(partition_of(tenant_id, self.partitions))
        with _disk_errors():
            return state.read_stream((tenant_id, stream), after=after, limit=limit)

    def tenants(self, partition: int) -> Sequence[TenantId]:
        with _disk_errors():
            return self._partition_state(partition).tenants()

    def read_streams(self, keys: Collection[StreamKey]) -> Mapping[StreamKey, Sequence[Entry]]:
        return self._by_partition(keys, WriterState.read_streams)

    def find_commands(self, ids: Collection[tuple[TenantId, str]]) -> Mapping[tuple[TenantId, str], Sequence[Envelope]]:
        return self._by_partition(ids, WriterState.find_commands)

    def _by_partition(
        self, keys: Collection[Any], ask: Callable[[WriterState, Collection[Any]], Mapping[Any, Any]]
    ) -> dict[Any, Any]:
        by_tenant: dict[TenantId, list[Any]] = defaultdict(list)
        for key in keys:
            by_tenant[key[0]].append(key)
        found: dict[Any, Any] = {}
        for tenant_id, own in by_tenant.items():
            state = self._partition_state(partition_of(tenant_id, self.partitions))
            with _disk_errors():
                found |= ask(state, own)
        return found

    def _is_mine(self, partition: int) -> bool:
        return partition in self._owned and self._owned[partition].running

    def _partition_state(self, partition: int) -> WriterState:
        if not self._is_mine(partition):
            raise LogUnavailable(f"partition {partition} is not, or not yet, this worker's")
        return self._owned[partition].state


def _reply_to(message: Message) -> str | None:
    headers: Any = message.headers() or ()
    for name, value in headers:
        if name == REPLY_TO and value is not None:
            with suppress(UnicodeDecodeError):
                return str(value, "utf-8")
    return None


def _partition(message: Message) -> int:
    return message.partition()  # type: ignore[return-value]


def _offset(message: Message) -> int:
    return message.offset()  # type: ignore[return-value]


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except STATE_ERRORS as error:
        raise WriterLost(f"this worker's own copy of the log failed: {error}") from error
