"""What is shown of records and payloads: all but the hash of a secret, which nobody needs to read."""

import re
from collections.abc import Mapping
from typing import Any

from schemas.envelope import Envelope, Position

_HASH = "secret_sha256"
_IN_TEXT = re.compile(rf"({_HASH}\W+)[0-9a-f]{{64}}")
_NOT_SHOWN = "not shown"


def shown(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a payload, or a state, as it may leave the system."""
    return {**data, _HASH: _NOT_SHOWN} if _HASH in data else data


def shown_record(envelope: Envelope) -> dict[str, Any]:
    """Return a record as those get it who listen to a tenant."""
    record = envelope.shown()
    del record["topic"], record["partition"]
    record["position"] = str(Position(envelope.topic, envelope.partition, envelope.position))
    record["actor"] = envelope.actor._asdict()
    record["data"] = shown(envelope.data)
    return record


def shown_text(text: str) -> str:
    """Do as `shown` with a payload that is JSON, or part of another text, already."""
    return _IN_TEXT.sub(rf"\g<1>{_NOT_SHOWN}", text)
