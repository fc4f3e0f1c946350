"""What a live stream over WebSocket says and hears is described here, as a channel of the AsyncAPI document."""

from collections.abc import Mapping
from typing import Any

_TEXT = {"type": "string"}
_PLACE = {**_TEXT, "description": "send it as `after` to go on behind it"}

_TYPES = (
    "types of events; none means all. Messages that are not recorded come where their type is named: task.streamed,"
    " conversation.typing"
)

_FIRST: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "api_key": {**_TEXT, "description": "ak_<id>.sk_<secret>, where no header of the request has one"},
        "token": {**_TEXT, "description": "a JWT of an issuer that the tenant trusts, in place of an API key"},
        "types": {"type": "array", "items": _TEXT, "description": _TYPES},
        "stream": {**_TEXT, "description": "one stream alone"},
        "telemetry": {**_TEXT, "description": "a device: of telemetry, only what is about it"},
        "after": {**_TEXT, "description": "the last place that was heard; without it the stream begins now"},
    },
}
_TOLD: Mapping[str, Any] = {
    "type": "object",
    "required": ["place"],
    "properties": {"place": _PLACE, "record": {"type": "object", "description": "as /v1/live gives it in `data`"}},
}
_EPHEMERAL: Mapping[str, Any] = {
    "type": "object",
    "required": ["ephemeral"],
    "properties": {
        "ephemeral": {
            "type": "object",
            "properties": {
                "type": _TEXT,
                "tenant_id": _TEXT,
                "stream": {**_TEXT, "description": "what it is about"},
                "about": {"type": "array", "items": _TEXT, "description": "all that it is about, the nearest first"},
                "at": {**_TEXT, "format": "date-time"},
                "data": {"type": "object"},
                "lost": {"type": "integer", "description": "so many messages were not read in time; nothing else"},
            },
        },
    },
}
_PROBLEM: Mapping[str, Any] = {
    "type": "object",
    "required": ["problem"],
    "properties": {
        "problem": {"type": "object", "description": "RFC 9457, as an HTTP answer would have it"},
        "retry_after_s": {"type": "integer"},
    },
}


def _message(name: str, payload: Mapping[str, Any], summary: str, example: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "summary": summary,
        "contentType": "application/json",
        "payload": payload,
        "examples": [{"payload": example}],
    }


LIVE_CHANNEL: Mapping[str, Any] = {
    "address": "/v1/live",
    "title": "live",
    "description": "Records of one tenant as they are written, over WebSocket; the same as server-sent events. Say who"
    " you are and what you want in the first message, within 10 seconds; say nothing after it. A session's cookie"
    " counts only from a page of this server. The connection is closed with 4000 plus the status of a problem where"
    " you are refused, with 1013 where you read too slowly, with 1012 where the server stops or you may not listen any"
    " more: come again with the last place as `after`.",
    "messages": {
        "listen": _message(
            "listen",
            _FIRST,
            "the first message, and the only one that you send",
            {"api_key": "ak_….sk_…", "types": ["alert.raised"], "after": "events/0/12"},
        ),
        "record": _message(
            "record",
            _TOLD,
            "a record; without one, the place has moved past what you did not want",
            {"place": "events/0/13", "record": {"type": "alert.raised", "stream": "alert-1"}},
        ),
        "ephemeral": _message(
            "ephemeral",
            _EPHEMERAL,
            "a message that is not recorded, or how many of them are lost; it has no place and never comes again",
            {
                "ephemeral": {
                    "type": "task.streamed",
                    "tenant_id": "acme",
                    "stream": "task-r1~1",
                    "about": ["task-r1~1", "agent_execution-r1"],
                    "at": "2026-01-31T08:30:00.250000Z",
                    "data": {"attempt": 1, "output": {"text": "It is ", "at": 0}},
                }
            },
        ),
        "problem": _message(
            "problem",
            _PROBLEM,
            "why you are refused, before the connection is closed",
            {"problem": {"type": "about:blank", "title": "Unauthorized", "status": 401, "detail": "no api key"}},
        ),
    },
    "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
}
_CHANNEL = {"$ref": "#/channels/live"}

LIVE_OPERATIONS: Mapping[str, Any] = {
    "receive_live": {
        "action": "receive",
        "channel": _CHANNEL,
        "summary": "you say who listens, and to what",
        "messages": [{"$ref": "#/channels/live/messages/listen"}],
    },
    "send_live": {
        "action": "send",
        "channel": _CHANNEL,
        "summary": "factline sends records as they are written",
        "messages": [{"$ref": f"#/channels/live/messages/{name}"} for name in ("record", "ephemeral", "problem")],
    },
}
