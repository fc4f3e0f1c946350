"""An event is this record on Kafka: its envelope in CloudEvents headers, its payload in Confluent's format."""

import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

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
from schemas.payload import BadPayload, UnknownSchema, decode_payload, encode_payload, full_name

MAGIC = 0
_WIRE_FORMAT = struct.Struct(">bI")
BEFORE_PAYLOAD = _WIRE_FORMAT.size

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SCHEMA_URN = "urn:factline:schema:"

_SAME_FOR_ALL = (
    ("ce_specversion", b"1.0"),
    ("content-type", b"application/avro"),
)


class KafkaRecord(NamedTuple):
    """An event as Kafka keeps it.

    Shape: the key is `tenant|stream`; each field after `value` is the header of that name, b"" where it is left out,
    and they are written in this order.
    Source: CloudEvents 1.0, Kafka binding, binary mode; Confluent wire format.
    """

    key: bytes
    value: bytes
    ce_id: bytes
    ce_type: bytes
    ce_time: bytes
    ce_dataschema: bytes
    ce_streamversion: bytes
    ce_position: bytes
    ce_recordedat: bytes
    ce_correlationid: bytes
    ce_causationid: bytes
    ce_actor: bytes
    ce_organizationid: bytes
    traceparent: bytes
    ce_commandid: bytes
    ce_commandhash: bytes

    @property
    def own_headers(self) -> tuple[bytes, ...]:
        """Return the values of OWN_HEADERS."""
        return self[2:]

    def headers_from(self, deployment: str) -> list[tuple[str, str | bytes | None]]:
        """Return all headers. Shape: with its source, `urn:factline:<deployment>:<tenant>`, an id is an event's own.

        Earlier versions wrote `urn:factline:log` for all; nobody who reads records looks at it.
        """
        tenant_id, _, stream = self.key.partition(b"|")
        return [
            *_SAME_FOR_ALL,
            ("ce_source", b"urn:factline:%s:%s" % (deployment.encode(), tenant_id)),
            ("ce_subject", stream),
            ("ce_tenantid", tenant_id),
            *filter(_value, zip(OWN_HEADERS, self.own_headers, strict=True)),
        ]


OWN_HEADERS = KafkaRecord._fields[2:]
"""The names of the headers that differ between the events of a stream, in the order they are written."""

RECORDED_AT = "ce_recordedat"

FACT_HEADERS = (
    *(name for name, _ in _SAME_FOR_ALL),
    "ce_source",
    "ce_subject",
    "ce_tenantid",
    "ce_id",
    "ce_type",
    "ce_time",
    "ce_dataschema",
    "ce_recordedat",
    "ce_correlationid",
    "ce_causationid",
    "ce_actor",
)
"""The names of all headers of a fact, in the order they are written."""

_LEFT_OUT = dict.fromkeys(OWN_HEADERS, b"")
_own = itemgetter(*OWN_HEADERS)
_value = itemgetter(1)


def record_key(tenant_id: TenantId, stream: StreamId) -> bytes:
    return f"{tenant_id}|{stream}".encode()


def encode_kafka(envelope: Envelope, schema_id: int) -> KafkaRecord:
    """Return the record of an event, or of a fact, which has neither version nor position yet.

    Raises: UnknownSchema; BadPayload.
    """
    decided = envelope.topic is Topic.EVENTS
    # in the order of the fields: the same call with their names takes twice as long
    return KafkaRecord(
        record_key(envelope.tenant_id, envelope.stream),
        _WIRE_FORMAT.pack(MAGIC, schema_id) + encode_payload(envelope.type, envelope.schema_version, envelope.data),
        envelope.event_id.encode(),
        envelope.type.encode(),
        _instant(envelope.happened_at),
        _schema_urn(envelope.type, envelope.schema_version),
        b"%d" % envelope.version if decided else b"",
        b"%d" % envelope.position if decided else b"",
        _instant(envelope.recorded_at),
        envelope.correlation_id.encode(),
        envelope.causation_id.encode(),
        _actor(envelope.actor),
        envelope.organization_id.encode() if envelope.organization_id else b"",
        envelope.traceparent.encode() if envelope.traceparent else b"",
        envelope.command_id.encode(),
        envelope.command_hash.hex().encode(),
    )


def kafka_record(
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, Any]] | None,
    *,
    appended_ms: int | None = None,
) -> KafkaRecord:
    """Return what a consumer was given, its headers in their order.

    Shape: `appended_ms` is when the broker took a fact, None where it did not say so. Then this is when the fact was
    recorded, and not what its gateway's clock said: the broker gives the facts of all gateways their order.
    """
    found = _LEFT_OUT.copy()
    found.update(headers or ())
    if appended_ms is not None and found[RECORDED_AT]:
        found[RECORDED_AT] = _milliseconds(appended_ms)
    return KafkaRecord(key or b"", value or b"", *_own(found))


def with_schema_id(record: KafkaRecord, schema_ids: Mapping[tuple[str, int], int]) -> bytes:
    """Return a record's value with the id that its schema has in another registry; as it is where none is known."""
    try:
        schema_id = schema_ids.get(type_of(record.ce_type, record.ce_dataschema))
    except (ValueError, AttributeError):
        # not of our writers
        return record.value
    if schema_id is None or len(record.value) < BEFORE_PAYLOAD or record.value[0] != MAGIC:
        return record.value
    return _WIRE_FORMAT.pack(MAGIC, schema_id) + record.value[BEFORE_PAYLOAD:]


def position_of(record: KafkaRecord) -> int | None:
    """Return the position that the writer gave an event; None for a record that no writer of ours wrote."""
    raw = record.ce_position
    return int(raw) if raw and raw.isdigit() else None


def decode_kafka(record: KafkaRecord, *, topic: Topic, partition: int, position: int) -> Entry:
    """Return the event of a record, its payload as it was written; Undecodable where it cannot be read."""
    try:
        return _decode_kafka(record, topic, partition, position)
    except (ValueError, AttributeError, TypeError) as error:
        tenant, _, stream = record.key.decode(errors="replace").partition("|")
        type_ = (record.ce_type or UNKNOWN_TYPE.encode()).decode(errors="replace")
        key = (TenantId(tenant), StreamId(stream or "?"))
        newer = isinstance(error, UnknownSchema)
        return Undecodable(*key, type_, topic, partition, position, record.value, str(error), newer)


def _decode_kafka(record: KafkaRecord, topic: Topic, partition: int, position: int) -> Envelope:
    # with what repeats looked up: this runs for every record of every projector
    value, id_, time = record.value, record.ce_id, record.ce_time
    type_raw, urn, recorded_at = record.ce_type, record.ce_dataschema, record.ce_recordedat
    correlation, causation, actor = record.ce_correlationid, record.ce_causationid, record.ce_actor
    version, organization, trace = record.ce_streamversion, record.ce_organizationid, record.traceparent
    command, command_hash = record.ce_commandid, record.ce_commandhash
    tenant, bar, stream = record.key.decode().partition("|")
    if not (bar and id_ and type_raw and time and urn and recorded_at and correlation and causation and actor):
        raise BadPayload("the record lacks headers that every event has")
    if len(value) < BEFORE_PAYLOAD or value[0] != MAGIC:
        raise BadPayload("the value is not in the Confluent wire format")
    type_, written = type_of(type_raw, urn)
    data = decode_payload(type_, written, value[BEFORE_PAYLOAD:])
    correlation_id = correlation.decode()
    causation_id = correlation_id if causation == correlation else causation.decode()
    return Envelope(
        id_.decode(),
        type_,
        written,
        TenantId(tenant),
        StreamId(stream),
        int(version) if version else 0,
        topic,
        partition,
        position,
        datetime.fromisoformat(time.decode()),
        _instant_of(recorded_at),
        actor_of(actor),
        correlation_id,
        causation_id,
        data,
        organization.decode() if organization else None,
        trace.decode() if trace else None,
        _command_id(command, causation, causation_id, topic),
        bytes.fromhex(command_hash.decode()) if command_hash else b"",
    )


def _command_id(command: bytes, causation: bytes, causation_id: str, topic: Topic) -> str:
    if not command:
        # a fact has none; an event of earlier versions was caused by its command
        return causation_id if topic is Topic.EVENTS else ""
    return causation_id if command == causation else command.decode()


@lru_cache(1_024)
def type_of(type_: bytes, urn: bytes) -> tuple[str, int]:
    return type_.decode(), int(urn.decode().rpartition(":")[2])


@cache
def _schema_urn(type_: str, version: int) -> bytes:
    return f"{_SCHEMA_URN}{full_name(type_, version)}:{version}".encode()


@lru_cache(1_024)
def _actor(actor: Actor) -> bytes:
    return f"{actor.type.value}:{actor.id}".encode()


@lru_cache(1_024)
def actor_of(raw: bytes) -> Actor:
    type_, _, id_ = raw.decode().partition(":")
    return Actor(ActorType(type_), id_)


@lru_cache(1_024)  # a batch is recorded at one instant
def _instant(at: datetime) -> bytes:
    # instants are UTC, always: "Z" is CloudEvents' own way to say so
    return at.isoformat().removesuffix("+00:00").encode() + b"Z"


@lru_cache(1_024)  # a broker takes a batch at one instant
def _milliseconds(since_1970: int) -> bytes:
    return _instant(_EPOCH + timedelta(milliseconds=since_1970))


@lru_cache(1_024)  # a batch was recorded at one instant
def _instant_of(raw: bytes) -> datetime:
    return datetime.fromisoformat(raw.decode())
