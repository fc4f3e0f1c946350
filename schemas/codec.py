"""Events to bytes and back: Avro payloads by type and version, and the record that the embedded log stores."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from importlib import resources
from io import BytesIO
from typing import Any, NamedTuple
from uuid import UUID

import fastavro
import orjson

from schemas import upcast
from schemas.envelope import Actor, ActorType, Entry, Envelope, StreamId, TenantId, Topic, Undecodable


class UnknownSchema(ValueError):  # noqa: N818
    """No schema of this type and version was ever released; a retry gives the same answer."""


class BadPayload(ValueError):  # noqa: N818
    """The bytes or values do not fit their schema; a retry gives the same answer."""


def schema_files() -> Iterator[tuple[str, int, str]]:
    """Yield (type, version, text) of every released schema, in order."""
    for path in sorted(resources.files("schemas").joinpath("events").iterdir(), key=lambda path: path.name):
        if path.name.endswith(".avsc"):
            type_, _, version = path.name.removesuffix(".avsc").rpartition(".v")
            yield type_, int(version), path.read_text(encoding="utf-8")


@cache
def _schemas() -> Mapping[tuple[str, int], Any]:
    return {(type_, version): fastavro.parse_schema(json.loads(text)) for type_, version, text in schema_files()}


def schema_of(type_: str, version: int) -> Any:
    """Return the parsed Avro schema. Raises: UnknownSchema."""
    try:
        return _schemas()[type_, version]
    except KeyError:
        raise UnknownSchema(f"no schema for {type_} v{version}; schemas/events holds what was released") from None


def encode_payload(type_: str, version: int, data: Mapping[str, Any]) -> bytes:
    """Return the Avro bytes of a payload. Raises: UnknownSchema; BadPayload, the values do not fit."""
    out = BytesIO()
    try:
        fastavro.schemaless_writer(out, schema_of(type_, version), data)
    except UnknownSchema:
        raise
    except Exception as error:
        raise BadPayload(f"{type_} v{version}: {error}") from error
    return out.getvalue()


def decode_payload(type_: str, version: int, raw: bytes) -> dict[str, Any]:
    """Return the payload as it was written, before any upcast. Raises: UnknownSchema; BadPayload."""
    schema = schema_of(type_, version)
    stream = BytesIO(raw)
    try:
        data: dict[str, Any] = fastavro.schemaless_reader(stream, schema, None)  # type: ignore[assignment]
    except Exception as error:
        raise BadPayload(f"{type_} v{version}: {error}") from error
    if stream.read(1):
        raise BadPayload(f"{type_} v{version}: bytes are left over")
    return data


_RECORD = fastavro.parse_schema(
    {
        "type": "record",
        "name": "factline.StoredRecord",
        "fields": [
            {"name": "event_id", "type": {"type": "fixed", "name": "factline.Uuid", "size": 16}},
            {"name": "schema_version", "type": "int"},
            {"name": "happened_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "recorded_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "actor_type", "type": "string"},
            {"name": "actor_id", "type": "string"},
            {"name": "correlation_id", "type": "string"},
            {"name": "causation_id", "type": "string"},
            {"name": "organization_id", "type": ["null", "string"]},
            {"name": "traceparent", "type": ["null", "string"]},
            {"name": "data", "type": "bytes"},
        ],
    }
)


def encode_record(envelope: Envelope) -> bytes:
    """Return the bytes that the embedded log stores beside stream, version, type and position.

    Raises: UnknownSchema; BadPayload.
    """
    out = BytesIO()
    fastavro.schemaless_writer(
        out,
        _RECORD,
        {
            "event_id": UUID(envelope.event_id).bytes,
            "schema_version": envelope.schema_version,
            "happened_at": envelope.happened_at,
            "recorded_at": envelope.recorded_at,
            "actor_type": envelope.actor.type.value,
            "actor_id": envelope.actor.id,
            "correlation_id": envelope.correlation_id,
            "causation_id": envelope.causation_id,
            "organization_id": envelope.organization_id,
            "traceparent": envelope.traceparent,
            "data": encode_payload(envelope.type, envelope.schema_version, envelope.data),
        },
    )
    return out.getvalue()


def decode_record(
    raw: bytes, *, tenant_id: TenantId, stream: StreamId, version: int, type_: str, partition: int, position: int
) -> Envelope:
    """Return the event of a stored record, upcast to its newest version. Raises: UnknownSchema; BadPayload."""
    try:
        record: Any = fastavro.schemaless_reader(BytesIO(raw), _RECORD, None)
    except Exception as error:
        raise BadPayload(f"stored record of {type_}: {error}") from error
    written = record["schema_version"]
    schema_version, data = upcast.to_newest(type_, written, decode_payload(type_, written, record["data"]))
    return Envelope(
        event_id=_uuid_text(record["event_id"]),
        type=type_,
        schema_version=schema_version,
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
        data=data,
        organization_id=record["organization_id"],
        traceparent=record["traceparent"],
    )


_FACTS = fastavro.parse_schema(
    {
        "type": "record",
        "name": "factline.FactBatch",
        "fields": [
            {"name": "recorded_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "actor_type", "type": "string"},
            {"name": "actor_id", "type": "string"},
            {"name": "batch_id", "type": "string"},
            {
                "name": "facts",
                "type": {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "factline.StoredFact",
                        "fields": [
                            {"name": "id", "type": {"type": "fixed", "name": "factline.FactId", "size": 16}},
                            {"name": "type", "type": "string"},
                            {"name": "schema_version", "type": "int"},
                            {"name": "device_id", "type": "string"},
                            {"name": "happened_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
                            {"name": "data", "type": "bytes"},
                        ],
                    },
                },
            },
        ],
    }
)


class StoredFact(NamedTuple):
    """One fact of a batch, its payload already Avro."""

    id: bytes
    type: str
    schema_version: int
    device_id: str
    happened_at: datetime
    data: bytes


def encode_facts(facts: Sequence[StoredFact], *, recorded_at: datetime, actor: Actor, batch_id: str) -> bytes:
    """Return the bytes of a batch of facts: one record of the embedded log's telemetry. Raises: BadPayload."""
    out = BytesIO()
    try:
        fastavro.schemaless_writer(
            out,
            _FACTS,
            {
                "recorded_at": recorded_at,
                "actor_type": actor.type.value,
                "actor_id": actor.id,
                "batch_id": batch_id,
                "facts": [fact._asdict() for fact in facts],
            },
        )
    except Exception as error:
        raise BadPayload(f"batch of facts: {error}") from error
    return out.getvalue()


def decode_facts(raw: bytes, *, tenant_id: TenantId, partition: int, first_position: int) -> list[Entry]:
    """Return the facts of a batch, upcast; one that does not fit its schema as Undecodable.

    Raises: BadPayload, the batch itself cannot be read.
    """
    try:
        batch: Any = fastavro.schemaless_reader(BytesIO(raw), _FACTS, None)
    except Exception as error:
        raise BadPayload(f"batch of facts: {error}") from error
    actor = Actor(ActorType(batch["actor_type"]), batch["actor_id"])
    recorded_at, batch_id = batch["recorded_at"], batch["batch_id"]
    entries: list[Entry] = []
    for position, fact in enumerate(batch["facts"], first_position):
        type_, written, stream = fact["type"], fact["schema_version"], StreamId(f"device-{fact['device_id']}")
        try:
            data = decode_payload(type_, written, fact["data"])
            schema_version, data = upcast.to_newest(type_, written, data) if upcast.STEPS else (written, data)
        except ValueError as error:
            entries.append(
                Undecodable(tenant_id, stream, type_, Topic.TELEMETRY, partition, position, fact["data"], str(error))
            )
            continue
        entries.append(
            Envelope(
                _uuid_text(fact["id"]),
                type_,
                schema_version,
                tenant_id,
                stream,
                0,
                Topic.TELEMETRY,
                partition,
                position,
                fact["happened_at"],
                recorded_at,
                actor,
                batch_id,
                batch_id,
                data,
            )
        )
    return entries


def canonical_json(data: Mapping[str, Any]) -> str:
    """Return a payload as JSON that is the same for the same payload: sorted names, exact amounts as text."""
    return orjson.dumps(data, default=_plain, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z).decode()


def _plain(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _uuid_text(raw: bytes) -> str:
    # half the cost of uuid.UUID, for every record that is read
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
