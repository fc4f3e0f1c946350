"""This reads the log on Kafka from any place, for replays, live views and whoever owns no partition."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from infra.kafka.connection import (
    PARTITION_END,
    Connection,
    appended_ms,
    first_offsets,
    headers_of,
    kafka_errors,
    last_stable_offsets,
)
from infra.kafka.topics import log_ids
from schemas.envelope import Entry, Envelope, StreamId, TenantId, Topic
from schemas.kafka_record import decode_kafka, kafka_record, position_of
from schemas.partitioning import partition_of
from schemas.raw_kafka_facts import MANY, KafkaFacts, Row
from streams.ports import LogUnavailable
from streams.topics import Topics

_POLL_S = 0.05
_SCAN = 5_000
_NEAR = 2_000  # records that are read rather than searched
_READ_BYTES = 2 * 1024 * 1024
"""Of the values of one read: a record of facts may hold thousands of them."""

_READ_TIMEOUT_S = 30.0


class _Raw(NamedTuple):
    """A record as the consumer gave it."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, Any]]


class _Found(NamedTuple):
    offset: int
    position: int
    raw: _Raw
    appended_ms: int | None


class KafkaLogReader:
    """ViewedLog over the topics. Any number of threads may use it, one after the other.

    Kafka keeps no index: a stream is found by reading its tenant's partition, a position by searching for it; the place
    where a partition was last read is remembered.
    """

    def __init__(self, connection: Connection, topics: Topics, group: str | None = None) -> None:
        """Shape: `group` is one that this user may use, where it is not that of all readers; it is never joined."""
        self.partitions = topics.partitions
        self._topics = topics
        self._lock = threading.Lock()
        self._admin = connection.admin()
        self._consumer: Consumer = connection.consumer(
            group or f"{topics.prefix}.readers",
            enable_partition_eof=True,
            auto_offset_reset="earliest",
            fetch_wait_max_ms=10,
        )
        # where the consumer stands, with records fetched ahead
        self._assigned: tuple[Topic, int, int] | None = None
        # (topic, partition, position) -> the offset after that record, where reading has stopped
        self._places: dict[tuple[Topic, int], tuple[int, int]] = {}
        # last stable offset -> position of the last record before it
        self._ends: dict[tuple[Topic, int], tuple[int, int]] = {}

    def close(self) -> None:
        with self._lock:
            self._consumer.close()

    def end(self, topic: Topic, partition: int) -> int:
        with self._lock, kafka_errors():
            return self._end(topic, partition)

    def ends(self, topic: Topic) -> Sequence[int]:
        with self._lock, kafka_errors():
            stable = last_stable_offsets(self._admin, self._topics.of(topic), range(self.partitions))
            return [self._end_at(topic, partition, stable[partition]) for partition in range(self.partitions)]

    def identities(self) -> Mapping[Topic, str]:
        with kafka_errors():
            found = log_ids(self._admin, [self._topics.of(topic) for topic in Topic])
        return {topic: found[self._topics.of(topic)] for topic in Topic}

    def starts(self, topic: Topic) -> Sequence[int]:
        with self._lock, kafka_errors():
            first = first_offsets(self._admin, self._topics.of(topic), range(self.partitions))
            return [self._start_at(topic, partition, first[partition]) for partition in range(self.partitions)]

    def read(self, topic: Topic, partition: int, *, after: int, limit: int) -> Sequence[Entry]:
        with self._lock, kafka_errors():
            stable = self._stable(topic, partition)
            offset = self._offset_after(topic, partition, after, stable)
            if offset >= stable:
                return ()
            news: list[Row] = []
            size = 0
            while len(news) < limit and size < _READ_BYTES and offset < stable:
                for found in self._from(topic, partition, offset):
                    if isinstance(found, int):
                        offset = found
                        break
                    offset = found.offset + 1
                    if found.position > after:
                        news.append((found.position, found.raw, found.appended_ms))
                        size += len(found.raw.value or b"")
                    if len(news) >= limit or size >= _READ_BYTES:
                        break
            self._places[topic, partition] = (news[-1][0] if news else after, offset)
            if topic is Topic.TELEMETRY:
                facts = KafkaFacts(news, partition)
                return facts if len(facts) >= MANY else list(facts)
            return [
                decode_kafka(
                    kafka_record(raw.key, raw.value, raw.headers), topic=topic, partition=partition, position=position
                )
                for position, raw, _ in news
            ]

    def wait(self, ends: Mapping[tuple[Topic, int], int], timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while True:
            if any(self.end(*place) > ends[place] for place in self._grown(ends)):
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)

    def read_stream(self, tenant_id: TenantId, stream: StreamId, *, after: int, limit: int) -> Sequence[Entry]:
        partition = partition_of(tenant_id, self.partitions)
        found: list[Entry] = []
        position = 0
        while len(found) < limit and (entries := self.read(Topic.EVENTS, partition, after=position, limit=_SCAN)):
            position = entries[-1].position
            found += [entry for entry in entries if entry.key == (tenant_id, stream)]
        # a stream's events have the versions 1, 2, …, in their order
        return [entry for entry in found if not isinstance(entry, Envelope) or entry.version > after][:limit]

    def tenants(self, partition: int) -> Sequence[TenantId]:
        seen: set[TenantId] = set()
        position = 0
        while entries := self.read(Topic.EVENTS, partition, after=position, limit=_SCAN):
            position = entries[-1].position
            seen |= {entry.tenant_id for entry in entries}
        return sorted(seen)

    # --- offsets

    def _grown(self, places: Mapping[tuple[Topic, int], int]) -> list[tuple[Topic, int]]:
        """Return the partitions that have grown since their end was last asked for; a topic is asked in one request."""
        stable: dict[tuple[Topic, int], int] = {}
        with kafka_errors():
            for topic in {topic for topic, _ in places}:
                asked = [partition for other, partition in places if other is topic]
                found = last_stable_offsets(self._admin, self._topics.of(topic), asked)
                stable |= {(topic, partition): offset for partition, offset in found.items()}
        return [
            (topic, partition)
            for topic, partition in places
            if stable[topic, partition] != self._ends.get((topic, partition), (0, 0))[0]
            or self._ends.get((topic, partition), (0, 0))[1] > places[topic, partition]
        ]

    def _stable(self, topic: Topic, partition: int) -> int:
        return last_stable_offsets(self._admin, self._topics.of(topic), [partition])[partition]

    def _end(self, topic: Topic, partition: int) -> int:
        return self._end_at(topic, partition, self._stable(topic, partition))

    def _end_at(self, topic: Topic, partition: int, stable: int) -> int:
        if topic is Topic.TELEMETRY:
            # written without transactions: an offset for each record, from 0
            self._ends[topic, partition] = (stable, stable)
            return stable
        known, position = self._ends.get((topic, partition), (0, 0))
        if stable != known:
            position = self._last_position(topic, partition, stable)
            self._ends[topic, partition] = (stable, position)
        return position

    def _start_at(self, topic: Topic, partition: int, first: int) -> int:
        if topic is Topic.TELEMETRY or not first:
            return first
        found = next(self._from(topic, partition, first))
        # where all was deleted, the next position is not known
        return found.position - 1 if isinstance(found, _Found) else 0

    def _last_position(self, topic: Topic, partition: int, stable: int) -> int:
        first = first_offsets(self._admin, self._topics.of(topic), [partition])[partition]
        back = 64
        while stable > first:
            start = max(first, stable - back)
            positions = [found.position for found in self._from(topic, partition, start) if isinstance(found, _Found)]
            if positions or start == first:
                return max(positions, default=0)
            back *= 16
        return 0

    def _offset_after(self, topic: Topic, partition: int, after: int, stable: int) -> int:
        """Return an offset from which the record after a position is not far."""
        if topic is Topic.TELEMETRY:
            return after
        position, offset = self._places.get((topic, partition), (0, 0))
        if position == after:
            return offset
        # a record's position is at most its offset + 1: markers of transactions take offsets too
        low, high = after, stable
        while high - low > _NEAR:
            middle = (low + high) // 2
            found = next(self._from(topic, partition, middle))
            if isinstance(found, _Found) and found.position <= after:
                low = found.offset
            else:
                high = middle
        return low

    def _from(self, topic: Topic, partition: int, offset: int) -> "Iterator[_Found | int]":
        """Yield the records from an offset on, then the offset where the log ends for now."""
        place = TopicPartition(self._topics.of(topic), partition, offset)
        if self._assigned != (topic, partition, offset):
            self._consumer.assign([place])
        deadline = time.monotonic() + _READ_TIMEOUT_S
        self._assigned = None
        while time.monotonic() < deadline:
            message = self._consumer.poll(1.0)
            if message is None:
                continue
            at: int = message.offset()  # type: ignore[assignment]
            if (error := message.error()) is not None:
                if error.code() == PARTITION_END:
                    self._consumer.unassign()
                    yield at
                    return
                raise KafkaException(error)
            deadline = time.monotonic() + _READ_TIMEOUT_S
            if (found := _found(topic, message, at)) is not None:
                self._assigned = (topic, partition, at + 1)
                yield found
                self._assigned = None
        raise LogUnavailable(f"kafka gave nothing of {place.topic}/{partition} from offset {offset} in time")


def _found(topic: Topic, message: Message, offset: int) -> _Found | None:
    raw = _Raw(message.key(), message.value(), headers_of(message))
    is_fact = topic is Topic.TELEMETRY
    position = offset + 1 if is_fact else position_of(kafka_record(*raw))
    # without a position it is not of our writers
    return None if position is None else _Found(offset, position, raw, appended_ms(message) if is_fact else None)
