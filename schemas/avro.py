"""Hot paths write Avro's binary form of a few types by hand with this; several formats share its schemas."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

INSTANT: Mapping[str, str] = {"type": "long", "logicalType": "timestamp-micros"}
MAYBE_TEXT: Sequence[str] = ["null", "string"]

NULL, NOT_NULL = b"\x00", b"\x02"
"""The branches of MAYBE_TEXT, as numbers."""

UUID_BYTES = 16

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@lru_cache(4_096)
def encode_long(number: int) -> bytes:
    """Return an Avro int or long. Source: Avro 1.11, binary encoding: zig-zag, seven bits a byte, lowest first."""
    rest = number << 1 if number >= 0 else ~(number << 1)
    out = bytearray()
    while more := rest >> 7:
        out.append(rest & 0x7F | 0x80)
        rest = more
    out.append(rest)
    return bytes(out)


@lru_cache(1_024)  # a batch is recorded at one instant
def encode_instant(at: datetime) -> bytes:
    return encode_long((at - _EPOCH) // _MICROSECOND)


def encode_bytes(raw: bytes) -> bytes:
    return encode_long(len(raw)) + raw


def encode_text(text: str) -> bytes:
    raw = text.encode()
    return encode_long(len(raw)) + raw


def encode_maybe_text(text: str | None) -> bytes:
    return NULL if text is None else NOT_NULL + encode_text(text)


def decode_uuid(raw: bytes) -> str:
    # half the cost of uuid.UUID, for every record that is read
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
