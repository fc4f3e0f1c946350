"""Events to bytes and back: Avro payloads by type and version, and the record that the embedded log stores."""

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from importlib import resources
from io import BytesIO
from typing import Any, NamedTuple

import fastavro
import orjson

from schemas import upcast
from schemas.envelope import (
    UNKNOWN_TYPE,
    Actor,
    ActorType,
    Entry,
    Envelope,
    StreamId,
    TenantId,
    Topic,
    Undecodable,
)


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


def full_name(type_: str, version: int) -> str:
    """Return the record's name, `factline.fleet.DeviceRegistered`: its subject in a registry. Raises: UnknownSchema."""
    return str(schema_of(type_, version)["name"])


class Encoded(dict[str, Any]):
    """A payload that has its Avro bytes with it, so that they are made once; not to be changed."""

    __slots__ = ("avro",)
    avro: bytes


def encoded(type_: str, version: int, data: dict[str, Any]) -> Encoded:
    """Return the payload together with its bytes. Raises: UnknownSchema; BadPayload, the values do not fit."""
    payload = Encoded(data)
    payload.avro = encode_payload(type_, version, data)
    return payload


def encode_payload(type_: str, version: int, data: Mapping[str, Any]) -> bytes:
    """Return the Avro bytes of a payload. Raises: UnknownSchema; BadPayload, the values do not fit."""
    if isinstance(data, Encoded):
        return data.avro
    out = BytesIO()
    try:
        if (raw := _encode_texts(_texts_of(type_, version), data)) is not None:
            return raw
        fastavro.schemaless_writer(out, schema_of(type_, version), data)
    except UnknownSchema:
        raise
    except Exception as error:
        raise BadPayload(f"{type_} v{version}: {error}") from error
    return out.getvalue()


@cache
def _texts_of(type_: str, version: int) -> Sequence[tuple[str, bool]]:
    """Return (name, may be null) of each field of a schema that has texts only; () for any other."""
    fields = schema_of(type_, version)["fields"]
    if all(field["type"] in ("string", ["null", "string"]) for field in fields):
        return [(field["name"], field["type"] != "string") for field in fields]
    return ()


def _encode_texts(fields: Sequence[tuple[str, bool]], data: Mapping[str, Any]) -> bytes | None:
    """Return the Avro bytes of texts, in a fifth of the time that fastavro takes; None for what it should judge."""
    parts: list[bytes] = []
    for name, nullable in fields:
        text = data.get(name)
        if type(text) is str:
            parts += (_NOT_NULL, _text(text)) if nullable else (_text(text),)
        elif text is None and nullable:
            parts.append(_NULL)
        else:
            return None
    return b"".join(parts) or None


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


_UUID_BYTES = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NULL, _NOT_NULL = b"\x00", b"\x02"  # the branches of ["null", "string"], as numbers


def encode_record(envelope: Envelope) -> bytes:
    """Return the bytes that the embedded log stores beside stream, version, type and position.

    Raises: UnknownSchema; BadPayload.
    """
    raw_id = bytes.fromhex(envelope.event_id.replace("-", ""))
    if len(raw_id) != _UUID_BYTES:
        raise ValueError(f"event id {envelope.event_id!r} is not a UUID")
    payload = encode_payload(envelope.type, envelope.schema_version, envelope.data)
    # field by field as _RECORD has them: fastavro, which works through a dict and the schema, takes four times as long
    return b"".join(
        (
            raw_id,
            _long(envelope.schema_version),
            _micros(envelope.happened_at),
            _micros(envelope.recorded_at),
            _text(envelope.actor.type),
            _text(envelope.actor.id),
            _text(envelope.correlation_id),
            _text(envelope.causation_id),
            _optional(envelope.organization_id),
            _optional(envelope.traceparent),
            _long(len(payload)),
            payload,
        )
    )


@lru_cache(4_096)
def _long(number: int) -> bytes:
    """Return an Avro int or long. Source: Avro 1.11, binary encoding: zig-zag, seven bits a byte, lowest first."""
    rest = number << 1 if number >= 0 else ~(number << 1)
    out = bytearray()
    while more := rest >> 7:
        out.append(rest & 0x7F | 0x80)
        rest = more
    out.append(rest)
    return bytes(out)


@lru_cache(1_024)  # a batch is recorded at one instant
def _micros(at: datetime) -> bytes:
    return _long((at - _EPOCH) // _MICROSECOND)


def _text(text: str) -> bytes:
    raw = text.encode()
    return _long(len(raw)) + raw


def _optional(text: str | None) -> bytes:
    return _NULL if text is None else _NOT_NULL + _text(text)


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


_MAGIC = 0
_WIRE_FORMAT = struct.Struct(">bI")

_SPEC_VERSION = b"1.0"
_CONTENT_TYPE = b"application/avro"
_SOURCE = b"urn:factline:log"
_SCHEMA_URN = "urn:factline:schema:"

ATTRIBUTES = (
    "ce_id",
    "ce_type",
    "ce_time",
    "ce_dataschema",
    "ce_streamversion",
    "ce_position",
    "ce_recordedat",
    "ce_correlationid",
    "ce_causationid",
    "ce_actor",
    "ce_organizationid",
    "traceparent",
)
"""The headers that differ between events, in the order they are written."""


class KafkaRecord(NamedTuple):
    """An event as Kafka keeps it.

    Shape: `attributes` are the values of ATTRIBUTES, None for a header that is left out; the key is `tenant|stream`.
    Source: CloudEvents 1.0, Kafka binding, binary mode; Confluent wire format.
    """

    key: bytes
    value: bytes
    attributes: Sequence[bytes | None]

    @property
    def headers(self) -> list[tuple[str, str | bytes | None]]:
        tenant_id, _, stream = self.key.partition(b"|")
        return [
            ("ce_specversion", _SPEC_VERSION),
            ("content-type", _CONTENT_TYPE),
            ("ce_source", _SOURCE),
            ("ce_subject", stream),
            ("ce_tenantid", tenant_id),
            *[(name, value) for name, value in zip(ATTRIBUTES, self.attributes, strict=True) if value is not None],
        ]


def record_key(tenant_id: TenantId, stream: StreamId) -> bytes:
    return f"{tenant_id}|{stream}".encode()


def encode_kafka(envelope: Envelope, schema_id: int) -> KafkaRecord:
    """Return the record of an event, or of a fact, which has neither version nor position yet.

    Raises: UnknownSchema; BadPayload.
    """
    decided = envelope.topic is Topic.EVENTS
    actor, trace = envelope.actor, envelope.traceparent
    return KafkaRecord(
        record_key(envelope.tenant_id, envelope.stream),
        _WIRE_FORMAT.pack(_MAGIC, schema_id) + encode_payload(envelope.type, envelope.schema_version, envelope.data),
        (
            envelope.event_id.encode(),
            envelope.type.encode(),
            _instant(envelope.happened_at),
            _schema_urn(envelope.type, envelope.schema_version),
            b"%d" % envelope.version if decided else None,
            b"%d" % envelope.position if decided else None,
            _instant(envelope.recorded_at),
            envelope.correlation_id.encode(),
            envelope.causation_id.encode(),
            f"{actor.type.value}:{actor.id}".encode(),
            envelope.organization_id.encode() if envelope.organization_id else None,
            trace.encode() if trace else None,
        ),
    )


def kafka_record(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, Any]] | None) -> KafkaRecord:
    """Return what a consumer was given, with the attributes in their order."""
    # as a comprehension over ATTRIBUTES it took half as long again, and a take-over reads millions
    of = dict(headers or ()).get
    attributes = (
        of("ce_id"),
        of("ce_type"),
        of("ce_time"),
        of("ce_dataschema"),
        of("ce_streamversion"),
        of("ce_position"),
        of("ce_recordedat"),
        of("ce_correlationid"),
        of("ce_causationid"),
        of("ce_actor"),
        of("ce_organizationid"),
        of("traceparent"),
    )
    return KafkaRecord(key or b"", value or b"", attributes)


def position_of(record: KafkaRecord) -> int | None:
    """Return the position that the writer gave an event; None for a record that no writer of ours wrote."""
    raw = record.attributes[_POSITION]
    return int(raw) if raw is not None and raw.isdigit() else None


_POSITION = ATTRIBUTES.index("ce_position")


def decode_kafka(record: KafkaRecord, *, topic: Topic, partition: int, position: int) -> Entry:
    """Return the event of a record, upcast to its newest version; Undecodable where it cannot be read."""
    try:
        return _decode_kafka(record, topic, partition, position)
    except (ValueError, AttributeError, TypeError) as error:
        tenant, _, stream = record.key.decode(errors="replace").partition("|")
        type_ = (record.attributes[1] or UNKNOWN_TYPE.encode()).decode(errors="replace")
        key = (TenantId(tenant), StreamId(stream or "?"))
        return Undecodable(*key, type_, topic, partition, position, record.value, str(error))


def _decode_kafka(record: KafkaRecord, topic: Topic, partition: int, position: int) -> Envelope:
    # written out, and with what repeats looked up: this runs for every record of every projector
    id_, type_raw, time, urn, version, _, recorded_at, correlation, causation, actor, organization, trace = (
        record.attributes
    )
    value = record.value
    tenant, bar, stream = record.key.decode().partition("|")
    if not (bar and id_ and type_raw and time and urn and recorded_at and correlation and causation and actor):
        raise BadPayload("the record lacks headers that every event has")
    if len(value) < _WIRE_FORMAT.size or value[0] != _MAGIC:
        raise BadPayload("the value is not in the Confluent wire format")
    type_, written = _type_of(type_raw, urn)
    schema_version, data = upcast.to_newest(type_, written, decode_payload(type_, written, value[_WIRE_FORMAT.size :]))
    correlation_id = correlation.decode()
    return Envelope(
        id_.decode(),
        type_,
        schema_version,
        TenantId(tenant),
        StreamId(stream),
        int(version) if version else 0,
        topic,
        partition,
        position,
        datetime.fromisoformat(time.decode()),
        _instant_of(recorded_at),
        _actor_of(actor),
        correlation_id,
        correlation_id if causation == correlation else causation.decode(),
        data,
        organization.decode() if organization else None,
        trace.decode() if trace else None,
    )


@lru_cache(1_024)
def _type_of(type_: bytes, urn: bytes) -> tuple[str, int]:
    return type_.decode(), int(urn.decode().rpartition(":")[2])


@lru_cache(1_024)
def _actor_of(raw: bytes) -> Actor:
    type_, _, id_ = raw.decode().partition(":")
    return Actor(ActorType(type_), id_)


@lru_cache(1_024)  # a batch was recorded at one instant
def _instant_of(raw: bytes) -> datetime:
    return datetime.fromisoformat(raw.decode())


@cache
def _schema_urn(type_: str, version: int) -> bytes:
    return f"{_SCHEMA_URN}{full_name(type_, version)}:{version}".encode()


@lru_cache(1_024)  # a batch is recorded at one instant
def _instant(at: datetime) -> bytes:
    # instants are UTC, always: "Z" is CloudEvents' own way to say so
    return at.isoformat().removesuffix("+00:00").encode() + b"Z"


def canonical_json(data: Mapping[str, Any]) -> str:
    """Return a payload as JSON that is the same for the same payload: sorted names, exact amounts as text."""
    return orjson.dumps(data, default=_plain, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z).decode()


def _plain(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _uuid_text(raw: bytes) -> str:
    # half the cost of uuid.UUID, for every record that is read
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
