"""The embedded log stores this record of an event, beside its stream, version, type and position."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import fastavro

from schemas.avro import (
    INSTANT,
    MAYBE_TEXT,
    UUID_BYTES,
    decode_uuid,
    encode_bytes,
    encode_instant,
    encode_long,
    encode_maybe_text,
    encode_text,
)
from schemas.envelope import Actor, ActorType, Envelope, StreamId, TenantId, Topic
from schemas.payload import BadPayload, UnknownSchema, decode_payload, encode_payload

_FIRST_FIELDS: Sequence[Mapping[str, Any]] = (
    {"name": "event_id", "type": {"type": "fixed", "name": "factline.Uuid", "size": UUID_BYTES}},
    {"name": "schema_version", "type": "int"},
    {"name": "happened_at", "type": INSTANT},
    {"name": "recorded_at", "type": INSTANT},
    {"name": "actor_type", "type": "string"},
    {"name": "actor_id", "type": "string"},
    {"name": "correlation_id", "type": "string"},
    {"name": "causation_id", "type": "string"},
)
_LAST_FIELDS: Sequence[Mapping[str, Any]] = (
    {"name": "organization_id", "type": MAYBE_TEXT},
    {"name": "traceparent", "type": MAYBE_TEXT},
    {"name": "data", "type": "bytes"},
)
_COMMAND_FIELDS: Sequence[Mapping[str, Any]] = (
    {"name": "command_id", "type": MAYBE_TEXT},
    {"name": "command_hash", "type": "bytes"},
)


def _record(*fields: Mapping[str, Any]) -> Any:
    return fastavro.parse_schema({"type": "record", "name": "factline.StoredRecord", "fields": fields})


_RECORD_1 = _record(*_FIRST_FIELDS, *_LAST_FIELDS)
_RECORD_2 = _record(*_FIRST_FIELDS, *_COMMAND_FIELDS, *_LAST_FIELDS)

_VERSION_2 = b"\xf2"
"""Begins a record of version 2; one of version 1 begins with its event's id, a UUIDv7, and so with 0x01 or 0x02.

What begins with a greater byte is of a version that comes after these.
"""


def encode_record(envelope: Envelope) -> bytes:
    """Return the bytes that the embedded log stores beside stream, version, type and position.

    Raises: UnknownSchema; BadPayload.
    """
    raw_id = bytes.fromhex(envelope.event_id.replace("-", ""))
    if len(raw_id) != UUID_BYTES:
        raise ValueError(f"event id {envelope.event_id!r} is not a UUID")
    payload = encode_payload(envelope.type, envelope.schema_version, envelope.data)
    # field by field as _RECORD_2 has them: fastavro, which works through a dict and the schema, takes four times that
    return b"".join(
        (
            _VERSION_2,
            raw_id,
            encode_long(envelope.schema_version),
            encode_instant(envelope.happened_at),
            encode_instant(envelope.recorded_at),
            encode_text(envelope.actor.type),
            encode_text(envelope.actor.id),
            encode_text(envelope.correlation_id),
            encode_text(envelope.causation_id),
            encode_maybe_text(envelope.command_id if envelope.command_id != envelope.causation_id else None),
            encode_bytes(envelope.command_hash),
            encode_maybe_text(envelope.organization_id),
            encode_maybe_text(envelope.traceparent),
            encode_bytes(payload),
        )
    )


def read_record(raw: bytes) -> Any:
    """Return a stored record's fields as they were written, of whichever version it is.

    Raises: UnknownSchema, a newer release wrote it; BadPayload.
    """
    if raw[:1] > _VERSION_2:
        raise UnknownSchema("the record is of a version that this release does not know")
    body, schema = (raw[1:], _RECORD_2) if raw[:1] == _VERSION_2 else (raw, _RECORD_1)
    try:
        return fastavro.schemaless_reader(BytesIO(body), schema, None)
    except Exception as error:
        raise BadPayload(f"stored record: {error}") from error


def decode_record(
    raw: bytes, *, tenant_id: TenantId, stream: StreamId, version: int, type_: str, partition: int, position: int
) -> Envelope:
    """Return the event of a stored record, its payload as it was written. Raises: UnknownSchema; BadPayload."""
    record = read_record(raw)
    return Envelope(
        event_id=decode_uuid(record["event_id"]),
        type=type_,
        schema_version=record["schema_version"],
        tenant_id=tenant_id,
        stream=stream,
        version=version,
        topic=Topic.EVENTS,
        partition=partition,
        position=position,
        happened_at=record["happened_at"],
        recorded_at=record["recorded_at"],
        actor=Actor(ActorType(record["actor_type"]), record["actor_id"]),
        correlation_id=record["correlation_id"],
        causation_id=record["causation_id"],
        data=decode_payload(type_, record["schema_version"], record["data"]),
        organization_id=record["organization_id"],
        traceparent=record["traceparent"],
        # of version 1, or the same
        command_id=record.get("command_id") or record["causation_id"],
        command_hash=record.get("command_hash", b""),
    )
