"""These are the partitions that the consumer group gave to this process: taken over, read, and given up."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, Message, TopicPartition

from infra.kafka.connection import Connection, kafka_errors
from infra.kafka.take_over import Owned, TakeOver
from infra.kafka.topics import log_id
from infra.sqlite.writer_state import STATE_ERRORS, WriterState
from streams.ports import LogUnavailable
from streams.topics import Topics
from streams.write.turn import WriterLost

_LOG = logging.getLogger(__name__)

SESSION_TIMEOUT_MS = 6_000
"""A worker that is silent for so long loses its partitions; the shortest that brokers allow as they come."""

_TAKE_OVER_POLL_S = 0.05


class OwnedPartitions(Mapping[int, Owned]):
    """What this process decides for now, by partition: those that were given to it and are taken over.

    Shape: `changes` is another number whenever one was gained, lost or is read again; `group` is this member of the
    group as it was when commands were last polled. It changes only while commands are polled, by one thread.
    """

    def __init__(self, connection: Connection, topics: Topics, *, folder: Path) -> None:
        """Raises: LogUnavailable, safe to retry."""
        self.changes = 0
        self._topics = topics
        self._folder = folder
        self._given: dict[int, Owned] = {}
        self._is_lost = False
        with kafka_errors():
            self._log_id = log_id(connection.admin(), topics.events)
        self._take_over = TakeOver(connection, topics)
        self._commands: Consumer = connection.consumer(
            topics.writers,
            auto_offset_reset="earliest",
            partition_assignment_strategy="cooperative-sticky",
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=SESSION_TIMEOUT_MS // 4,
        )
        self.group = self._commands.consumer_group_metadata()
        self._commands.subscribe(
            [topics.commands], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )

    def close(self) -> None:
        """Give the partitions back, and keep what is known of them."""
        self._commands.close()
        self._drop(list(self._given))
        self._take_over.close()

    def __getitem__(self, partition: int) -> Owned:
        owned = self._given[partition]
        if not owned.running:
            raise KeyError(partition)
        return owned

    def __iter__(self) -> Iterator[int]:
        return (partition for partition, owned in self._given.items() if owned.running)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def advance(self) -> float:
        """Go on with the partitions that are being taken over; return how long there is time for commands.

        Raises: WriterLost; LogUnavailable, safe to retry.
        """
        waiting = [owned for owned in self._given.values() if not (owned.running or owned.is_damaged)]
        if not waiting:
            return math.inf
        try:
            with kafka_errors(), disk_errors():
                reading = self._take_over.advance(self._commands, waiting)
        except LogUnavailable:
            self._take_over.begin_again(waiting)
            raise
        for owned in waiting:
            if owned.running:
                self.changes += 1
                _LOG.info("partition %d taken over at position %d", owned.partition, owned.state.end)
        return 0 if reading else _TAKE_OVER_POLL_S

    def poll(self, limit: int, timeout_s: float) -> Sequence[Message]:
        """Return the commands that wait, at most `limit`.

        Raises: WriterLost; LogUnavailable, safe to retry after `read_again`.
        """
        with kafka_errors():
            messages = self._consume(limit, timeout_s)
            if self._is_lost:
                # clients that were cut off go on, but some ask for the group where it was: new ones find it at once
                raise WriterLost("the group has given this worker's partitions away: it, or the broker, was silent")
            # as it was when the messages came: an owner that was replaced since may not commit
            self.group = self._commands.consumer_group_metadata()
        return [message for message in messages if self._is_due(message)]

    def read_again(self) -> None:
        """Take every partition over anew: what became of the commands that were polled is the log's to say."""
        again = list(self.values())
        for owned in again:
            owned.restart()
        self.changes += 1
        for owned in again:
            self._commands.pause([TopicPartition(self._topics.commands, owned.partition)])

    def checkpoint(self) -> None:
        """Keep what is known of the partitions on the disk; worth while nothing waits."""
        with disk_errors():
            for owned in self._given.values():
                owned.state.checkpoint()

    def _consume(self, limit: int, timeout_s: float) -> list[Message]:
        """Wait for one message, then take those that are there: waiting for more would only make the first late."""
        first = self._commands.poll(timeout_s)
        if first is None:
            return []
        return [first, *self._commands.consume(limit - 1, 0)] if limit > 1 else [first]

    def _is_due(self, message: Message) -> bool:
        if (error := message.error()) is not None:
            _LOG.warning("reading commands: %s", error.str())
            return False
        owned = self.get(message.partition())  # type: ignore[arg-type]
        # what was fetched before the partition was lost, or read again, is not ours to decide
        return owned is not None and message.offset() >= (owned.next_command or 0)  # type: ignore[operator]

    # --- what the group says, within `poll` and `close` only: no transaction is open

    def _assigned(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        # paused until the take-over is complete, and the place where to go on is known then; 0 is not read
        consumer.incremental_assign([TopicPartition(tp.topic, tp.partition, 0) for tp in partitions])
        consumer.pause(list(partitions))
        for tp in partitions:
            path = self._folder / f"partition-{tp.partition}.sqlite"
            with disk_errors():
                state = WriterState(path, tp.partition, self._log_id)
            self._given[tp.partition] = Owned(tp.partition, state)
            _LOG.info("partition %d was given, its events are known up to position %d", tp.partition, state.end)
        self.changes += 1

    def _revoked(self, _consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._drop([tp.partition for tp in partitions])

    def _lost(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._revoked(consumer, partitions)
        self._is_lost = True

    def _drop(self, partitions: Sequence[int]) -> None:
        for partition in partitions:
            if owned := self._given.pop(partition, None):
                self._take_over.forget(owned)
                owned.state.close()
                _LOG.info("partition %d given up at position %d", partition, owned.state.end)
        self.changes += 1


@contextmanager
def disk_errors() -> Iterator[None]:
    """Say that this process cannot go on without its own copy of the log. Raises: WriterLost."""
    try:
        yield
    except STATE_ERRORS as error:
        raise WriterLost(f"this worker's own copy of the log failed: {error}") from error
