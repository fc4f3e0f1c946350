"""A worker takes a partition over here: it decides only when it has seen all that the last one wrote."""

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from infra.kafka.beside import noted, start_of
from infra.kafka.connection import (
    NO_SUCH_OFFSET,
    PARTITION_END,
    TIMED_OUT,
    Connection,
    first_offsets,
    headers_of,
    high_watermarks,
)
from infra.sqlite.writer_state import LogDamaged, Stored, WriterState
from schemas.kafka_record import kafka_record, position_of
from streams.topics import Beside, Topics
from streams.write.turn import WriterLost

_LOG = logging.getLogger(__name__)

_READ_AT_ONCE = 1_000  # more at once is slower: neither the processor nor the collector of garbage keeps up
_WAIT_S = 0.05
_ASK_S = 5.0
_OFFSET_S = 60.0
_STEP_S = 0.2


class _Place(NamedTuple):
    topic: str
    partition: int


class Owned:
    """A partition that the group gave to this process.

    Shape: `next_command` is the stable offset where its commands go on; `seen` the ends of its topics, of events and
    of what stands beside them, that the state has yet to reach before anything is decided; `is_damaged` says that
    nothing will be.
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
        self.seen: dict[str, int] | None = None
        self.asked: Future[Any] | None = None
        self.asked_by: AdminClient | None = None


class TakeOver:
    """Takes partitions over, a step at a time, so that those that run go on meanwhile.

    The order matters: the offset and the events of a transaction become visible apart, the offset may be first.
    Source: docs/adr/0012; KIP-447 for the stable offset.
    """

    def __init__(self, connection: Connection, topics: Topics) -> None:
        self._topics = topics
        self._connection = connection
        self._admin: AdminClient = connection.admin()
        self._events: Consumer = connection.consumer(
            f"{topics.prefix}.take-over", enable_partition_eof=True, auto_offset_reset="error", fetch_wait_max_ms=100
        )
        self._reading: dict[int, Owned] = {}
        self._beside = {topics.beside(kind): kind for kind in Beside}

    def close(self) -> None:
        self._events.close()

    def forget(self, owned: Owned) -> None:
        if self._reading.pop(owned.partition, None):
            self._events.incremental_unassign(
                [TopicPartition(topic, owned.partition) for topic in (self._topics.events, *self._beside)]
            )

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
        partitions = [owned.partition for owned in waiting]
        topics = (self._topics.events, *self._beside)
        ends = {topic: high_watermarks(self._admin, topic, partitions) for topic in topics}
        # what is too old, or was written anew since, is not there any more
        firsts = {topic: first_offsets(self._admin, topic, partitions) for topic in self._beside}
        places: list[TopicPartition] = []
        for owned in waiting:
            at = owned.partition
            owned.seen = {topic: ends[topic][at] for topic in topics}
            self._reading[at] = owned
            places.append(TopicPartition(self._topics.events, at, owned.state.offset))
            for topic, kind in self._beside.items():
                known = owned.state.beside.next_offset(kind, at)
                places.append(TopicPartition(topic, at, start_of(known, firsts[topic][at], ends[topic][at])))
        self._events.incremental_assign(places)

    def _read(self, commands: Consumer) -> bool:
        """Read some of what there is; False if nothing came."""
        found: dict[_Place, list[Message]] = defaultdict(list)
        offsets: dict[_Place, int] = {}
        reached: set[_Place] = set()
        for message in self._events.consume(_READ_AT_ONCE, _WAIT_S):
            place, offset = _place(message)
            if place.partition not in self._reading:
                continue
            if self._is_end(message):
                offsets[place] = offset
                reached.add(place)
            else:
                offsets[place] = offset + 1
                found[place].append(message)
        for place, offset in offsets.items():
            # one of a damaged log is not read on
            if owned := self._reading.get(place.partition):
                self._keep(owned, place.topic, found[place], offset)
        for place in reached:
            if owned := self._reading.get(place.partition):
                self._reach(commands, owned, place.topic, offsets[place])
        return bool(offsets)

    def _reach(self, commands: Consumer, owned: Owned, topic: str, offset: int) -> None:
        """Note that a topic was read to where it ends for now; finish with the partition if it was the last one."""
        if owned.seen is not None and offset >= owned.seen.get(topic, 0):
            owned.seen.pop(topic, None)
            if not owned.seen:
                self._finish(commands, owned)

    def _is_end(self, message: Message) -> bool:
        if (error := message.error()) is None:
            return False
        if error.code() == NO_SUCH_OFFSET:
            place, offset = _place(message)
            raise LogDamaged(f"{place.topic}/{place.partition} has no offset {offset}")
        if error.code() != PARTITION_END:
            raise KafkaException(error)
        return True

    def _keep(self, owned: Owned, topic: str, messages: Sequence[Message], offset: int) -> None:
        if kind := self._beside.get(topic):
            owned.state.keep_beside(kind, [one for message in messages if (one := noted(message))], offset)
            return
        records = [kafka_record(message.key(), message.value(), headers_of(message)) for message in messages]
        # without a position it is not of our writers
        events = [Stored(position, record) for record in records if (position := position_of(record)) is not None]
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


def _place(message: Message) -> tuple[_Place, int]:
    return _Place(message.topic(), message.partition()), message.offset()  # type: ignore[arg-type, return-value]
