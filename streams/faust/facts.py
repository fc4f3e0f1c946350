"""A record of facts, as Faust's agents get it, is decoded here."""

from schemas.envelope import Entry, Topic
from schemas.kafka_record import decode_kafka, kafka_record
from streams.faust.batch_transport import Record

_LOG_APPEND_TIME = 1
"""What Kafka says of a record whose time the broker set."""


def fact_of(record: Record) -> Entry:
    """Decode a record of facts; never raises. Facts are written without transactions: an offset for each, from 0."""
    appended_ms = record.timestamp if record.timestamp_type == _LOG_APPEND_TIME else None
    raw = kafka_record(record.key, record.value, record.headers, appended_ms=appended_ms)
    return decode_kafka(raw, topic=Topic.TELEMETRY, partition=record.partition, position=record.offset + 1)
