"""This writes records of facts to Kafka, and answers when the broker has kept them."""

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from uuid_utils import uuid7

from infra.kafka.connection import Connection
from schemas.envelope import Actor, Envelope, Position, TenantId, Topic
from schemas.kafka_record import KafkaRecord, encode_kafka
from schemas.partitioning import facts_partition_of
from streams.facts import Record, pack
from streams.ports import Clock, FactSubmission, LogUnavailable, OutcomeUnknown, TelemetryReply
from streams.topics import COMPRESSION, Topics

DELIVERY_TIMEOUT_MS = 10_000
"""After this a batch is answered as not taken; the sender sends it again, and the views keep each fact once."""

_QUEUE_S = 5.0
_POLL_S = 0.1


class KafkaTelemetryLog:
    """TelemetryLog; any number of threads may append."""

    def __init__(
        self, connection: Connection, topics: Topics, *, schema_ids: Mapping[tuple[str, int], int], clock: Clock
    ) -> None:
        self._topics = topics
        self._schema_ids = schema_ids
        self._clock = clock
        self._producer: Producer = connection.producer(
            linger_ms=1, compression_type=COMPRESSION, delivery_timeout_ms=DELIVERY_TIMEOUT_MS
        )

    def close(self) -> None:
        self._producer.flush(1)

    def append_facts(
        self, tenant_id: TenantId, facts: Sequence[FactSubmission], actor: Actor, key: str = ""
    ) -> TelemetryReply:
        records = pack(tenant_id, facts, key)
        batch = _Unacknowledged(len(records))
        recorded_at, request_id = self._clock.now(), str(uuid7())
        for record in records:
            partition = facts_partition_of(tenant_id, record.about, self._topics.partitions)
            envelope = _envelope(tenant_id, record, actor, recorded_at=recorded_at, request_id=request_id)
            schema_id = self._schema_ids[record.type, record.schema_version]
            self._produce(partition, encode_kafka(envelope, schema_id), batch)
        # whether the log had a record before is not known here: the views keep each reading and each line once
        accepted = sum(record.facts for record in records)
        ends = sorted(self._wait(batch).items())
        positions = tuple(Position(Topic.TELEMETRY, partition, offset + 1) for partition, offset in ends)
        return TelemetryReply(accepted, len(facts) - accepted, positions)

    def _produce(self, partition: int, record: KafkaRecord, batch: "_Unacknowledged") -> None:
        deadline = time.monotonic() + _QUEUE_S
        while True:
            try:
                self._producer.produce(
                    self._topics.telemetry,
                    record.value,
                    record.key,
                    partition,
                    batch.acknowledge,
                    headers=record.headers_from(self._topics.prefix),
                )
            except BufferError:
                # the queue is full: whoever sends waits here, that is the backpressure
                self._producer.poll(_POLL_S)
                if time.monotonic() > deadline:
                    raise LogUnavailable("kafka takes no facts for now; send them again") from None
            except KafkaException as error:
                raise LogUnavailable(f"the facts were not sent: {error}") from error
            else:
                return

    def _wait(self, batch: "_Unacknowledged") -> Mapping[int, int]:
        """Wait for every acknowledgement; return the last offset of each partition."""
        deadline = time.monotonic() + DELIVERY_TIMEOUT_MS / 1000 + _QUEUE_S
        while not batch.complete.is_set() and time.monotonic() < deadline:
            self._producer.poll(_POLL_S)
        if batch.error is not None:
            raise OutcomeUnknown(f"kafka did not acknowledge the facts: {batch.error}; send them again")
        if not batch.complete.is_set():
            raise OutcomeUnknown("kafka did not acknowledge the facts in time; send them again")
        return batch.ends


def _envelope(tenant_id: TenantId, record: Record, actor: Actor, *, recorded_at: datetime, request_id: str) -> Envelope:
    return Envelope(
        event_id=str(UUID(bytes=record.id)),
        type=record.type,
        schema_version=record.schema_version,
        tenant_id=tenant_id,
        stream=record.stream,
        version=0,
        topic=Topic.TELEMETRY,
        partition=0,
        position=0,
        happened_at=record.happened_at,
        recorded_at=recorded_at,
        actor=actor,
        correlation_id=request_id,
        causation_id=request_id,
        data=record.data,
    )


class _Unacknowledged:
    """The records of one request that the broker has not answered for."""

    def __init__(self, missing: int) -> None:
        self._lock = threading.Lock()
        self._missing = missing
        self.ends: dict[int, int] = {}
        self.error: str | None = None
        self.complete = threading.Event()
        if not missing:
            self.complete.set()

    def acknowledge(self, error: KafkaError | None, message: Message) -> None:
        with self._lock:
            self._missing -= 1
            if error is not None:
                self.error = error.str()
            else:
                partition, offset = message.partition() or 0, message.offset() or 0
                self.ends[partition] = max(self.ends.get(partition, 0), offset)
            if not self._missing:
                self.complete.set()
