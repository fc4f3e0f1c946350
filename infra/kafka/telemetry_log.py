"""This writes facts to Kafka in batches, and answers when the broker has kept them."""

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from uuid_utils import uuid7

from domain import catalog
from infra.kafka.connection import Connection
from schemas.envelope import Actor, Envelope, Position, StreamId, TenantId, Topic
from schemas.kafka_record import KafkaRecord, encode_kafka
from schemas.partitioning import partition_of
from streams.identifiers import fact_id, sender_id
from streams.ports import Clock, FactSubmission, LogUnavailable, OutcomeUnknown, TelemetryReply
from streams.topics import COMPRESSION, Topics

DELIVERY_TIMEOUT_MS = 10_000
"""After this a batch is answered as not taken; the sender sends it again, and the views keep each fact once."""

_QUEUE_S = 5.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
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
            linger_ms=5, compression_type=COMPRESSION, delivery_timeout_ms=DELIVERY_TIMEOUT_MS
        )

    def close(self) -> None:
        self._producer.flush(1)

    def append_facts(self, tenant_id: TenantId, facts: Sequence[FactSubmission], actor: Actor) -> TelemetryReply:
        partition = partition_of(tenant_id, self._topics.partitions)
        records = self._records(tenant_id, facts, actor)
        batch = _Unacknowledged(len(records))
        for record in records:
            self._produce(partition, record, batch)
        last = self._wait(batch)
        # whether the log had a fact before is not known here: the views keep each once, by its id
        position = Position(Topic.TELEMETRY, partition, last + 1) if records else None
        return TelemetryReply(accepted=len(records), repeated=len(facts) - len(records), position=position)

    def _records(self, tenant_id: TenantId, facts: Sequence[FactSubmission], actor: Actor) -> Sequence[KafkaRecord]:
        recorded_at, batch_id = self._clock.now(), str(uuid7())
        records: dict[str, KafkaRecord] = {}
        for submission in facts:
            fact = submission.fact
            payload = catalog.payload_of(fact)
            envelope = Envelope(
                event_id=_event_id(submission, payload),
                type=fact.TYPE,
                schema_version=fact.VERSION,
                tenant_id=tenant_id,
                stream=StreamId(f"device-{submission.device_id}"),
                version=0,
                topic=Topic.TELEMETRY,
                partition=0,
                position=0,
                happened_at=submission.happened_at,
                recorded_at=recorded_at,
                actor=actor,
                correlation_id=batch_id,
                causation_id=batch_id,
                data=payload,
            )
            schema_id = self._schema_ids[fact.TYPE, fact.VERSION]
            records.setdefault(envelope.event_id, encode_kafka(envelope, schema_id))
        return list(records.values())

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

    def _wait(self, batch: "_Unacknowledged") -> int:
        """Wait for every acknowledgement; return the last fact's offset."""
        deadline = time.monotonic() + DELIVERY_TIMEOUT_MS / 1000 + _QUEUE_S
        while not batch.complete.is_set() and time.monotonic() < deadline:
            self._producer.poll(_POLL_S)
        if batch.error is not None:
            raise OutcomeUnknown(f"kafka did not acknowledge the facts: {batch.error}; send them again")
        if not batch.complete.is_set():
            raise OutcomeUnknown("kafka did not acknowledge the facts in time; send them again")
        return batch.last


def _event_id(submission: FactSubmission, payload: dict[str, Any]) -> str:
    if submission.fact_id is not None:
        return str(UUID(bytes=sender_id(submission.fact_id)))
    at_us = (submission.happened_at - _EPOCH) // _MICROSECOND
    return str(UUID(bytes=fact_id(submission.fact.TYPE, submission.device_id, at_us, payload)))


class _Unacknowledged:
    """The facts of one batch that the broker has not answered for."""

    def __init__(self, missing: int) -> None:
        self._lock = threading.Lock()
        self._missing = missing
        self.last = -1
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
                self.last = max(self.last, message.offset() or 0)
            if not self._missing:
                self.complete.set()
