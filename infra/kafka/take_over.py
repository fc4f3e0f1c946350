"""A worker takes a partition over here: it decides only when it has seen all that the last one wrote."""

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from infra.kafka.connection import (
    NO_SUCH_OFFSET,
    PARTITION_END,
    TIMED_OUT,
    Connection,
    headers_of,
    high_watermarks,
)
from infra.sqlite.writer_state import LogDamaged, Stored, WriterState
from schemas.kafka_record import kafka_record, position_of
from streams.topics import Topics
from streams.write.turn import WriterLost

_LOG = logging.getLogger(__name__)

_READ_AT_ONCE = 1_000  # more at once is slower: neither the processor nor the collector of garbage keeps up
_WAIT_S = 0.05
_ASK_S = 5.0
_OFFSET_S = 60.0
_STEP_S = 0.2


class Owned:
    """A partition that the group gave to this process.

    Shape: `next_command` is the stable offset where its commands go on; `seen` the end of the log that the state has
    to reach before anything is decided; `is_damaged` says that nothing will be.
    """

    def __init__(self, partition: int, state: WriterState) -> None:
        self.partition = partition
        self.state = state
        self.is_damaged = False
        self.restart()

    def restart(self) -> None:
        """Forget where the commands go on: the log is read again first."""
        self.running = False
        self.since = time.monotonic()
        self.next_command: int | None = None
        self.seen: int | None = None
        self.asked: Future[Any] | None = None
        self.asked_by: AdminClient | None = None


class TakeOver:
    """Takes partitions over, a step at a time, so that those that run go on meanwhile.

    The order matters: the offset and the events of a transaction become visible apart, the offset may be first.
    Source: event-log.md, "The writer"; KIP-447 for the stable offset.
    """

    def __init__(self, connection: Connection, topics: Topics) -> None:
        self._topics = topics
        self._connection = connection
        self._admin: AdminClient = connection.admin()
        self._events: Consumer = connection.consumer(
            f"{topics.prefix}.take-over", enable_partition_eof=True, auto_offset_reset="error", fetch_wait_max_ms=100
        )
        self._reading: dict[int, Owned] = {}

    def close(self) -> None:
        self._events.close()

    def forget(self, owned: Owned) -> None:
        if self._reading.pop(owned.partition, None):
            self._events.incremental_unassign([TopicPartition(self._topics.events, owned.partition)])

    def advance(self, commands: Consumer, waiting: Sequence[Owned]) -> bool:
        """Go a step on with each partition; False if there was nothing to read.

        A partition in whose log there is a hole is left alone: the others are not to blame.
        Raises: KafkaException, safe to retry after `begin_again`; LogDamaged; WriterLost.
        """
        self._find_offsets([owned for owned in waiting if owned.next_command is None])
        self._note_ends([owned for owned in waiting if owned.next_command is not None and owned.seen is None])
        deadline = time.monotonic() + _STEP_S
        read = False
        while self._reading and self._read(commands):
            read = True
            if time.monotonic() > deadline:
                break
        return read

    def begin_again(self, waiting: Sequence[Owned]) -> None:
        """Take the first step again with each: what was read before an error, and not kept, does not come again."""
        self._reading.clear()
        self._events.unassign()
        for owned in waiting:
            if not owned.running and owned.next_command is not None:
                owned.restart()

    def _find_offsets(self, waiting: Sequence[Owned]) -> None:
        """Ask where the commands go on. There is no answer while a transaction holds that, and nothing waits for it."""
        for owned in waiting:
            if time.monotonic() - owned.since > _OFFSET_S:
                # longer than any transaction lasts: a client that lost its way does not find it again, a new one does
                raise WriterLost(f"kafka does not say where the commands of partition {owned.partition} go on")
            if owned.asked is None:
                place = TopicPartition(self._topics.commands, owned.partition)
                group = ConsumerGroupTopicPartitions(self._topics.writers, [place])
                futures = self._admin.list_consumer_group_offsets([group], require_stable=True, request_timeout=_ASK_S)
                # a client that is gone does not answer any more: kept until it has
                owned.asked, owned.asked_by = futures[self._topics.writers], self._admin
            elif owned.asked.done():
                owned.next_command = _committed(owned.asked)
                if owned.next_command is None and owned.asked_by is self._admin:
                    # after a broker's restart a client may go on asking in vain where the group is: a new one finds it
                    self._admin = self._connection.admin()
                owned.asked = owned.asked_by = None

    def _note_ends(self, waiting: Sequence[Owned]) -> None:
        if not waiting:
            return
        topic = self._topics.events
        ends = high_watermarks(self._admin, topic, [owned.partition for owned in waiting])
        for owned in waiting:
            owned.seen = ends[owned.partition]
            self._reading[owned.partition] = owned
        self._events.incremental_assign(
            [TopicPartition(topic, owned.partition, owned.state.offset) for owned in waiting]
        )

    def _read(self, commands: Consumer) -> bool:
        """Read some of what there is; False if nothing came."""
        events: dict[int, list[Stored]] = defaultdict(list)
        offsets: dict[int, int] = {}
        reached: set[int] = set()
        for message in self._events.consume(_READ_AT_ONCE, _WAIT_S):
            partition, offset = _place(message)
            if partition not in self._reading:
                continue
            if self._is_end(message):
                offsets[partition] = offset
                reached.add(partition)
            else:
                record = kafka_record(message.key(), message.value(), headers_of(message))
                offsets[partition] = offset + 1
                if (position := position_of(record)) is not None:
                    events[partition].append(Stored(position, record))
        for partition, offset in offsets.items():
            self._keep(self._reading[partition], events[partition], offset)
        for partition in reached & self._reading.keys():
            owned = self._reading[partition]
            if offsets[partition] >= (owned.seen or 0):
                self._finish(commands, owned)
        return bool(offsets)

    def _is_end(self, message: Message) -> bool:
        if (error := message.error()) is None:
            return False
        if error.code() == NO_SUCH_OFFSET:
            owned = self._reading[_place(message)[0]]
            raise LogDamaged(f"partition {owned.partition} has no offset {owned.state.offset}")
        if error.code() != PARTITION_END:
            raise KafkaException(error)
        return True

    def _keep(self, owned: Owned, events: Sequence[Stored], offset: int) -> None:
        try:
            owned.state.add(events, offset)
        except LogDamaged as error:
            _LOG.critical("no command of partition %d is decided: %s", owned.partition, error)
            owned.is_damaged = True
            self.forget(owned)

    def _finish(self, commands: Consumer, owned: Owned) -> None:
        owned.state.complete()
        here = TopicPartition(self._topics.commands, owned.partition, owned.next_command or 0)
        commands.seek(here)
        commands.resume([here])
        self.forget(owned)
        owned.running = True


def _committed(answer: "Future[Any]") -> int | None:
    """Return a stable offset, 0 where there never was one; None if it has to be asked for again."""
    try:
        [place] = answer.result().topic_partitions
    except KafkaException as error:
        if error.args[0].retriable() or error.args[0].code() in (TIMED_OUT, KafkaError.UNSTABLE_OFFSET_COMMIT):
            return None
        raise
    return None if place.error else max(0, place.offset)


def _place(message: Message) -> tuple[int, int]:
    return message.partition(), message.offset()  # type: ignore[return-value]
