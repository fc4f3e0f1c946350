"""The topics and the WebSocket that others may read are described here as an AsyncAPI document."""

import json
from collections.abc import Mapping
from typing import Any

from domain.catalog import FACTS
from schemas.envelope import ActorType, Topic
from schemas.payload import full_name, schema_files
from streams.live_messages import LIVE_CHANNEL, LIVE_OPERATIONS
from streams.topics import Topics

_FACTS = frozenset(fact.TYPE for fact in FACTS)

_HEADERS = {
    "ce_specversion": ("1.0", "the version of CloudEvents"),
    "content-type": ("application/avro", "what the value holds behind the five bytes of the schema's id"),
    "ce_id": ("0197a1b2-0000-7000-8000-000000000001", "the event's own id, with its source unique over all tenants"),
    "ce_source": ("urn:factline:main:acme", "the deployment and the tenant"),
    "ce_type": ("device.registered", "the type of the event"),
    "ce_subject": ("device-web-1", "the stream"),
    "ce_time": ("2026-01-31T08:30:00Z", "when it happened"),
    "ce_dataschema": ("urn:factline:schema:factline.fleet.DeviceRegistered:1", "its schema's name and version"),
    "ce_tenantid": ("acme", "the tenant"),
    "ce_recordedat": (
        "2026-01-31T08:30:00.125000Z",
        "when it was recorded; of a fact by its gateway's clock: the record's own time is when the log took it",
    ),
    "ce_correlationid": ("0197a1b2", "what it belongs to"),
    "ce_causationid": ("0197a1b2", "the command or the event that it follows from"),
    "ce_actor": ("api_key:agent", f"who did it, as kind:id; kinds are {', '.join(kind.value for kind in ActorType)}"),
}
_OPTIONAL = {
    "ce_organizationid": ("org-1", "the organization, where there is one"),
    "ce_commandid": ("6f1c2d1e", "the id of its command"),
    "ce_commandhash": ("9f86d081884c7d65", "what was asked under this id, as an HMAC"),
    "traceparent": ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "W3C Trace Context of its command"),
}
_OF_EVENTS = {
    "ce_streamversion": ("3", "the event's number in its stream, from 1 without a gap"),
    "ce_position": ("42", "the event's number in its partition, from 1 without a gap; no Kafka offset"),
}

_READ = (
    "Read it with isolation.level=read_committed: what an aborted transaction wrote is in the topic too, and was never"
    " recorded."
)
_PLACES: Mapping[Topic, str] = {
    Topic.EVENTS: "What was decided. The header ce_position counts the events of a partition without a gap, and is what"
    " the API calls a position (events/<partition>/<position>). Offsets have gaps, where transactions end, and differ"
    f" from positions: keep offsets to go on reading, and positions to ask the API. {_READ}",
    Topic.TELEMETRY: "What was observed. A record holds the facts of one request about one stream as arrays. A position"
    " (telemetry/<partition>/<position>) is the offset plus one; there is no ce_position.",
}
_CHANGES = (
    "Schemas change by new versions: a released one is never changed, and readers of version n+1 read version n. A"
    " record says its own by ce_dataschema and by the id in its first five bytes (Confluent's wire format). Types and"
    " headers that you do not know are to be passed over."
)


def asyncapi(topics: Topics, version: str) -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of the topics of a log, and of the live stream that gateways give.

    Source: AsyncAPI 3.0.0; its bindings of Kafka 0.5.0 and WebSockets 0.1.0; CloudEvents 1.0, Kafka binding, binary
    mode.
    """
    messages = {f"{type_}.v{number}": _message(type_, number, text) for type_, number, text in schema_files()}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "factline", "version": version, "description": _CHANGES},
        "defaultContentType": "application/avro",
        "channels": {**{topic.value: _channel(topics, topic, messages) for topic in Topic}, "live": LIVE_CHANNEL},
        "operations": {**{f"send_{topic.value}": _operation(topic) for topic in Topic}, **LIVE_OPERATIONS},
        "components": {"messages": messages},
    }


def _channel(topics: Topics, topic: Topic, messages: Mapping[str, Any]) -> dict[str, Any]:
    name = topics.of(topic)
    spec = next(spec for spec in topics.specs() if spec.name == name)
    own = [one for one in messages if _topic_of(messages[one]["name"]) is topic]
    return {
        "address": name,
        "title": topic.value,
        "description": _PLACES[topic],
        "messages": {one: {"$ref": f"#/components/messages/{one}"} for one in own},
        "bindings": {
            "kafka": {
                "topic": name,
                "partitions": spec.partitions,
                "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": -1, "retention.bytes": -1},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operation(topic: Topic) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{topic.value}"},
        "summary": f"factline writes {topic.value}; you receive them, each at least once and in order by stream",
    }


def _message(type_: str, version: int, schema: str) -> dict[str, Any]:
    headers = _HEADERS | _OPTIONAL | (_OF_EVENTS if _topic_of(type_) is Topic.EVENTS else {})
    properties = {
        name: {"type": "string", "description": said, "examples": [example]}
        for name, (example, said) in headers.items()
    }
    properties["ce_type"] |= {"const": type_, "examples": [type_]}
    properties["ce_dataschema"] |= {"examples": [f"urn:factline:schema:{full_name(type_, version)}:{version}"]}
    required = [*_HEADERS, *(_OF_EVENTS if _topic_of(type_) is Topic.EVENTS else ())]
    return {
        "name": type_,
        "title": f"{type_}, version {version}",
        "contentType": "application/avro",
        "headers": {"type": "object", "required": required, "properties": properties},
        "payload": {"schemaFormat": "application/vnd.apache.avro+json;version=1.9.0", "schema": json.loads(schema)},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "tenant|stream", "examples": ["acme|device-web-1"]},
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "schemaLookupStrategy": "RecordNameStrategy",
                "bindingVersion": "0.5.0",
            }
        },
    }


def _topic_of(type_: str) -> Topic:
    return Topic.TELEMETRY if type_ in _FACTS else Topic.EVENTS
