"""Each command is an operation of its own in the description of the API, made from its class."""

import re
from collections.abc import Mapping
from typing import Any

from domain.message import Command
from read_api.edge.contract import each
from read_api.edge.responses import answered, schema_like
from streams.intake.http.described import body_of_schema, example_of, header, named, schema_of
from streams.intake.http.idempotency import key_header

KEY = key_header(
    "the command's id: sent again under the same one it gets its first answer, and nothing is done twice",
    "6f1c2d1e-register-web-1",
)
_HEADERS = [
    KEY,
    header("If-Match", "the stream's version: another one is refused, 0 means that it is new", '"3"', r'^"?[0-9]+"?$'),
    header("X-Deadline", "seconds from now, or an instant, after which it is not done any more", "30"),
    header("X-Happened-At", "when it happened, where that is not now", "2026-01-31T08:30:00Z"),
    header("traceparent", "W3C Trace Context; it is kept with the events", f"00-{'0af7' * 8}-{'b7ad' * 4}-01"),
]
_REPLY: Mapping[str, Any] = {
    "command_id": "6f1c2d1e-register-web-1",
    "outcome": "accepted",
    "repeated": False,
    "stream": "device-web-1",
    "version": 1,
    "events": [{"event_id": "0197…", "type": "device.registered", "version": 1}],
    "position": {"partition": 0, "position": 12, "token": "events/0/12"},
}
_ITEM: Mapping[str, Any] = {
    "id": "6f1c2d1e-register-web-1",
    "command": "fleet.RegisterDevice",
    "body": {"device_id": "web-1", "hostname": "web-1.example"},
    "expected_version": 0,
}

_REPLY_SCHEMA = named("Reply", schema_like(_REPLY, required=True))
_REPLIES_SCHEMA = {
    "type": "object",
    "required": ["replies"],
    "properties": {
        "replies": {"type": "array", "items": named("BatchReply", {**schema_like(_REPLY), "type": "object"})}
    },
}

REPLIED = answered(
    _REPLY,
    "It is durable, or nothing was to be done",
    schema=_REPLY_SCHEMA,
    headers={"ETag": "the stream's version", "X-Position": "the token for X-Consistent-With, where it has events"},
)
_REFUSED_EARLIER = {"kind": "conflict", "reason": "stream device-web-1 is at version 3, not 1", "actual_version": 3}
OUTCOME = answered(
    {**_REPLY, "repeated": True},
    "What it was answered first; `outcome` says if it was accepted or refused, and then `kind` and `reason` say why",
    schema=named(
        "Outcome",
        schema_like(_REPLY, required=True) | {"properties": schema_like({**_REPLY, **_REFUSED_EARLIER})["properties"]},
    ),
    headers={"ETag": "the stream's version", "X-Position": "the token for X-Consistent-With, where it has events"},
)
REPLIES = answered({"replies": [_REPLY]}, "A reply for each, in order", schema=_REPLIES_SCHEMA)


def one_command(commands: Mapping[str, type[Command]]) -> dict[str, Any]:
    """Return the `openapi_extra` of the route of one command."""

    def operations() -> dict[str, Any]:
        return {
            f"/v1/commands/{name.replace('.', '/')}": _operation(name, command) for name, command in commands.items()
        }

    return {"parameters": _HEADERS, **each("commands", operations)}


def batch(most: int) -> dict[str, Any]:
    """Return the `openapi_extra` of the route of many commands."""
    item = {
        "type": "object",
        "required": ["command", "body"],
        "properties": {
            "id": {"type": ["string", "null"], "description": KEY["description"]},
            "command": {"type": "string"},
            "body": {"type": "object"},
            "expected_version": {"type": ["integer", "null"]},
            "happened_at": {"type": ["string", "null"]},
            "deadline": {"type": ["string", "number", "null"]},
        },
    }
    return {"requestBody": body_of_schema({"type": "array", "maxItems": most, "items": item}, [_ITEM])}


def _operation(name: str, command: type[Command]) -> dict[str, Any]:
    schema = schema_of(command)
    words = re.sub("(?<=[a-z])(?=[A-Z])", " ", command.__name__).capitalize()
    description = schema.get("description", "")
    # two contexts may each have a command of one name, and generated clients call a class by its title
    schema.pop("title", None)
    body = body_of_schema(named(name, schema), example_of(schema))
    return {"summary": words, "description": description, "requestBody": body}
