"""This writes events into an Avro file that any Avro library reads."""

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any

import fastavro

from schemas import upcast
from schemas.avro import INSTANT, MAYBE_TEXT
from schemas.envelope import Envelope
from schemas.payload import BadPayload, full_name, schema_files


def _schema() -> Any:
    """Return the schema of the file: every released payload is a branch of `data`."""
    # sorted: the newest version of a type comes last, and that is what every payload is upcast to
    newest = {type_: text for type_, _, text in sorted(schema_files())}
    payloads = [json.loads(text) for text in newest.values()]
    fields: list[tuple[str, Any]] = [
        ("event_id", "string"),
        ("type", "string"),
        ("schema_version", "int"),
        ("tenant_id", "string"),
        ("organization_id", MAYBE_TEXT),
        ("stream", "string"),
        ("version", "long"),
        ("topic", "string"),
        ("partition", "int"),
        ("position", "long"),
        ("happened_at", INSTANT),
        ("recorded_at", INSTANT),
        ("actor_type", "string"),
        ("actor_id", "string"),
        ("correlation_id", "string"),
        ("causation_id", "string"),
        ("traceparent", MAYBE_TEXT),
        ("data", payloads),
    ]
    return fastavro.parse_schema(
        {
            "type": "record",
            "name": "factline.Envelope",
            "fields": [{"name": name, "type": type_} for name, type_ in fields],
        }
    )


def write_avro_file(out: IO[bytes], envelopes: Iterable[Envelope]) -> None:
    """Write the events. Raises: BadPayload, one does not fit its schema."""
    try:
        fastavro.writer(out, _schema(), map(_record, envelopes), codec="deflate")
    except (ValueError, TypeError) as error:
        raise BadPayload(f"an event does not fit its schema: {error}") from error


def _record(envelope: Envelope) -> Mapping[str, Any]:
    fields = envelope._asdict()
    actor, data = fields.pop("actor"), fields.pop("data")
    version, data = upcast.to_newest(envelope.type, envelope.schema_version, data)
    return {
        **fields,
        "schema_version": version,
        "topic": envelope.topic.value,
        "actor_type": actor.type.value,
        "actor_id": actor.id,
        "data": (full_name(envelope.type, version), data),
    }
