"""Records of facts, as Faust's agents get them, are read here."""

from collections.abc import Sequence

from schemas.raw_kafka_facts import KafkaFacts
from streams.faust.batch_transport import Record

_LOG_APPEND_TIME = 1
"""What Kafka says of a record whose time the broker set."""


def facts_of(records: Sequence[Record], partition: int) -> KafkaFacts:
    """Return what the records of a partition hold."""
    # they are written without transactions: an offset for each, from 0
    return KafkaFacts([(record.offset + 1, record, _appended_ms(record)) for record in records], partition)


def _appended_ms(record: Record) -> int | None:
    return record.timestamp if record.timestamp_type == _LOG_APPEND_TIME else None
