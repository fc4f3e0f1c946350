"""This makes the bytes of an event that a Merkle tree will hash: the same bytes in both profiles, and for ever.

Nothing in production uses it yet: the tree comes later, and docs/adr/0027 says who will call this where.
"""

import hashlib
from typing import NamedTuple
from uuid import UUID

from schemas.avro import encode_bytes, encode_instant, encode_long, encode_text
from schemas.envelope import Envelope, Topic
from schemas.kafka_record import KafkaRecord
from schemas.payload import BadPayload
from schemas.stored_record import read_record

_VERSION = b"\x01"

_LEAF_PREFIX = b"\x00"
"""A leaf's hash can never be that of an inner node, which has 0x01 before it. Source: RFC 9162, section 2.1.1."""

_CONFLUENT_HEADER = 5
"""The length of the magic byte and the schema's id. Source: Confluent wire format."""


class Written(NamedTuple):
    """An event's payload as it stands in the log, before any upcast, and the version of the schema it has there."""

    schema_version: int
    payload: bytes


def written_in_record(raw: bytes) -> Written:
    """Return what a record of the embedded log was written with. Raises: BadPayload."""
    record = read_record(raw)
    return Written(record["schema_version"], record["data"])


def written_in_kafka(record: KafkaRecord) -> Written:
    """Return what an event's record on Kafka was written with. Raises: BadPayload."""
    version = record.ce_dataschema.rpartition(b":")[2]
    if not version.isdigit() or record.value[:1] != b"\x00" or len(record.value) < _CONFLUENT_HEADER:
        raise BadPayload("the record does not say its schema, or its value is not in the Confluent wire format")
    return Written(int(version), record.value[_CONFLUENT_HEADER:])


def leaf_of(envelope: Envelope, written: Written) -> bytes:
    """Return a decided event's leaf.

    Shape: a version byte, then these fields one after the other in Avro's binary form. The place in the log (topic,
    partition, position) is not among them: it is another one in the other profile, and the tree gives every leaf a
    place of its own. Of an envelope that was read from the log, `data` and `schema_version` may be newer than what
    was written, so they come from `written`.
    Raises: ValueError, the envelope is that of a fact, or its id is no UUID.
    Source: docs/adr/0027.
    """
    if envelope.topic is not Topic.EVENTS:
        raise ValueError(f"{envelope.type} is a fact; only a decided event has a leaf")
    return b"".join(
        (
            _VERSION,
            UUID(envelope.event_id).bytes,
            encode_text(envelope.type),
            encode_long(written.schema_version),
            encode_text(envelope.tenant_id),
            # one that is empty is none: Kafka's headers cannot tell them apart
            encode_text(envelope.organization_id or ""),
            encode_text(envelope.stream),
            encode_long(envelope.version),
            encode_instant(envelope.happened_at),
            encode_instant(envelope.recorded_at),
            encode_text(envelope.actor.type),
            encode_text(envelope.actor.id),
            encode_text(envelope.correlation_id),
            encode_text(envelope.causation_id),
            # what was recorded before commands had an id of their own was caused by the command itself
            encode_text(envelope.command_id or envelope.causation_id),
            encode_bytes(envelope.command_hash),
            encode_text(envelope.traceparent or ""),
            encode_bytes(written.payload),
        )
    )


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a tree's leaf. Source: RFC 9162, section 2.1.1, with SHA-256."""
    return hashlib.sha256(_LEAF_PREFIX + leaf).digest()
