"""CloudEvents come in three modes, and each becomes the batch that the reader of facts takes.

Source: CloudEvents 1.0.2, HTTP protocol binding and JSON event format.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import orjson

from read_api.edge.problems import Problem
from streams.intake.http.bodies import json_of

BATCH = "application/cloudevents-batch+json"
STRUCTURED = "application/cloudevents+json"

_HEADER = "ce-"
_BODY = "the body of a CloudEvent"


def is_binary(headers: Mapping[str, str]) -> bool:
    """Return whether the headers hold an event's attributes, and the body its data."""
    return f"{_HEADER}specversion" in headers


def binary_as_batch(headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a batch of the event that headers and body say together. Raises: Problem (400), the body is not JSON."""
    event: dict[str, Any] = {
        name.removeprefix(_HEADER): unquote(value.strip().strip('"'))
        for name, value in headers.items()
        if name.startswith(_HEADER)
    }
    return _batch([{**event, "data": json_of(body) if body else None}])


def structured_as_batch(body: bytes) -> bytes:
    """Return a batch of one event. Raises: Problem (400), the body is no JSON object."""
    event = json_of(body)
    if not isinstance(event, dict):
        raise Problem(400, f"{_BODY} must be a JSON object; {BATCH} is for several events in an array")
    return _batch([event])


def completed_batch(body: bytes, most: int) -> bytes:
    """Return a batch with the time of receipt where an event says no time.

    Raises: Problem: 400, it is no JSON array; 413, it has more events than the most that are taken.
    """
    events = json_of(body)
    if not isinstance(events, list):
        raise Problem(400, f"a batch of CloudEvents must be a JSON array; {STRUCTURED} is for one event")
    if len(events) > most:
        raise Problem(413, f"{len(events)} facts are too many for one request; send at most {most}")
    if all(isinstance(event, dict) and event.get("time") is not None for event in events):
        return body
    return _batch(events)


def _batch(events: list[Any]) -> bytes:
    received = datetime.now(UTC)
    return orjson.dumps([_with_time(event, received) for event in events], option=orjson.OPT_UTC_Z)


def _with_time(event: Any, received: datetime) -> Any:
    """Return an event with a time: it is optional, and one that is null is not there."""
    return {**event, "time": received} if isinstance(event, dict) and event.get("time") is None else event
