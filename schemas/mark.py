"""The answer to a command without events, a refusal or a no-op, is kept as this record, so that a repeat gets it."""

from io import BytesIO
from typing import Any, NamedTuple

import fastavro

from schemas.avro import MAYBE_TEXT
from schemas.payload import BadPayload

_VERSION_1 = b"\xf1"

_MARK = fastavro.parse_schema(
    {
        "type": "record",
        "name": "factline.Mark",
        "fields": [
            {"name": "command_hash", "type": "bytes"},
            {"name": "stream", "type": "string"},
            {"name": "version", "type": "long"},
            {"name": "kind", "type": MAYBE_TEXT},
            {"name": "reason", "type": "string"},
            {"name": "actual_version", "type": ["null", "long"]},
        ],
    }
)


class StoredMark(NamedTuple):
    """What was answered to a command that has no events.

    Shape: `kind` None for a command that was accepted and changed nothing; else why it was refused. `version` is the
    one that the stream had.
    """

    command_hash: bytes
    stream: str
    version: int
    kind: str | None = None
    reason: str = ""
    actual_version: int | None = None


def encode_mark(mark: StoredMark) -> bytes:
    out = BytesIO()
    out.write(_VERSION_1)
    fastavro.schemaless_writer(out, _MARK, mark._asdict())
    return out.getvalue()


def decode_mark(raw: bytes) -> StoredMark:
    """Return the mark of its bytes. Raises: BadPayload."""
    if raw[:1] != _VERSION_1:
        raise BadPayload(f"mark: begins with {raw[:1].hex()}, which no version of this program wrote")
    try:
        record: Any = fastavro.schemaless_reader(BytesIO(raw[1:]), _MARK, None)
    except Exception as error:
        raise BadPayload(f"mark: {error}") from error
    return StoredMark(**record)
