"""The embedded log stores what one request says of one stream as this record, beside its tenant and position."""

from datetime import datetime
from io import BytesIO
from typing import Any, NamedTuple

import fastavro

from schemas.avro import INSTANT, UUID_BYTES, decode_uuid
from schemas.envelope import UNKNOWN_TYPE, Actor, ActorType, Entry, Envelope, StreamId, TenantId, Topic, Undecodable
from schemas.payload import BadPayload, UnknownSchema, decode_payload

VERSION_1 = b"\xf1"

_RECORD = fastavro.parse_schema(
    {
        "type": "record",
        "name": "factline.FactRecord",
        "fields": [
            {"name": "id", "type": {"type": "fixed", "name": "factline.FactRecordId", "size": UUID_BYTES}},
            {"name": "type", "type": "string"},
            {"name": "schema_version", "type": "int"},
            {"name": "stream", "type": "string"},
            {"name": "happened_at", "type": INSTANT},
            {"name": "recorded_at", "type": INSTANT},
            {"name": "actor_type", "type": "string"},
            {"name": "actor_id", "type": "string"},
            {"name": "request_id", "type": "string"},
            {"name": "data", "type": "bytes"},
        ],
    }
)


class StoredFacts(NamedTuple):
    """A record of facts, its payload already Avro. Shape: `request_id` is the same for all records of a request."""

    id: bytes
    type: str
    schema_version: int
    stream: str
    happened_at: datetime
    recorded_at: datetime
    actor_type: str
    actor_id: str
    request_id: str
    data: bytes


def encode_fact_record(facts: StoredFacts) -> bytes:
    """Return the bytes of a record of facts. Raises: BadPayload."""
    out = BytesIO()
    out.write(VERSION_1)
    try:
        fastavro.schemaless_writer(out, _RECORD, facts._asdict())
    except Exception as error:
        raise BadPayload(f"record of facts: {error}") from error
    return out.getvalue()


def decode_fact_record(raw: bytes, *, tenant_id: TenantId, partition: int, position: int) -> Entry:
    """Return a record's facts, as they were written; Undecodable where they cannot be read."""
    stream, type_ = StreamId("?"), UNKNOWN_TYPE
    try:
        facts = _read(raw)
        stream, type_ = StreamId(facts.stream), facts.type
        actor = Actor(ActorType(facts.actor_type), facts.actor_id)
        data = decode_payload(facts.type, facts.schema_version, facts.data)
    except ValueError as error:
        known = (tenant_id, stream, type_, Topic.TELEMETRY, partition, position, _shown(raw), str(error))
        return Undecodable(*known, newer=isinstance(error, UnknownSchema))
    return Envelope(
        decode_uuid(facts.id),
        type_,
        facts.schema_version,
        tenant_id,
        stream,
        0,
        Topic.TELEMETRY,
        partition,
        position,
        facts.happened_at,
        facts.recorded_at,
        actor,
        facts.request_id,
        facts.request_id,
        data,
    )


def _read(raw: bytes) -> StoredFacts:
    if type(raw) is not bytes:
        raise BadPayload("record of facts: it is of another type than this program wrote")
    if raw[:1] != VERSION_1:
        raise BadPayload(f"record of facts: begins with {raw[:1].hex()}, which no version of this program wrote")
    try:
        fields: Any = fastavro.schemaless_reader(BytesIO(raw[1:]), _RECORD, None)
    except Exception as error:
        raise BadPayload(f"record of facts: {error}") from error
    return StoredFacts(**fields)


def _shown(raw: object) -> bytes:
    """Return what somebody else's hand left in the place of a record, so that it can be shown."""
    return raw if isinstance(raw, bytes) else str(raw).encode()
