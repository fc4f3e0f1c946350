"""Earlier versions of the embedded log stored a batch of facts as this one record; it is read only now."""

from io import BytesIO
from typing import Any

import fastavro

from schemas.avro import INSTANT, UUID_BYTES, decode_uuid
from schemas.envelope import Actor, ActorType, Entry, Envelope, StreamId, TenantId, Topic, Undecodable
from schemas.payload import BadPayload, UnknownSchema, decode_payload

_FACTS = fastavro.parse_schema(
    {
        "type": "record",
        "name": "factline.FactBatch",
        "fields": [
            {"name": "recorded_at", "type": INSTANT},
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
                            {"name": "id", "type": {"type": "fixed", "name": "factline.FactId", "size": UUID_BYTES}},
                            {"name": "type", "type": "string"},
                            {"name": "schema_version", "type": "int"},
                            {"name": "device_id", "type": "string"},
                            {"name": "happened_at", "type": INSTANT},
                            {"name": "data", "type": "bytes"},
                        ],
                    },
                },
            },
        ],
    }
)


def decode_facts(raw: bytes, *, tenant_id: TenantId, partition: int, first_position: int) -> list[Entry]:
    """Return the facts of a batch, each as it was written; one that does not fit its schema as Undecodable.

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
        type_, stream = fact["type"], StreamId(f"device-{fact['device_id']}")
        try:
            data = decode_payload(type_, fact["schema_version"], fact["data"])
        except ValueError as error:
            known = (tenant_id, stream, type_, Topic.TELEMETRY, partition, position, fact["data"], str(error))
            entries.append(Undecodable(*known, newer=isinstance(error, UnknownSchema)))
            continue
        entries.append(
            Envelope(
                decode_uuid(fact["id"]),
                type_,
                fact["schema_version"],
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
