"""The payload of an event becomes Avro bytes here, under the schema of its type and version."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from io import BytesIO
from typing import Any

import fastavro

from schemas.avro import MAYBE_TEXT, NOT_NULL, NULL, encode_long, encode_text

_LONG = 1 << 63


class UnknownSchema(ValueError):  # noqa: N818
    """No schema of this type and version was ever released; a retry gives the same answer."""


class BadPayload(ValueError):  # noqa: N818
    """The bytes or values do not fit their schema; a retry gives the same answer."""


def schema_files() -> Iterator[tuple[str, int, str]]:
    """Yield (type, version, text) of every released schema, in order."""
    for path in sorted(resources.files("schemas").joinpath("events").iterdir(), key=lambda path: path.name):
        if path.name.endswith(".avsc"):
            type_, _, version = path.name.removesuffix(".avsc").rpartition(".v")
            yield type_, int(version), path.read_text(encoding="utf-8")


@cache
def _schemas() -> Mapping[tuple[str, int], Any]:
    return {(type_, version): fastavro.parse_schema(json.loads(text)) for type_, version, text in schema_files()}


def schema_of(type_: str, version: int) -> Any:
    """Return the parsed Avro schema. Raises: UnknownSchema."""
    try:
        return _schemas()[type_, version]
    except KeyError:
        raise UnknownSchema(f"no schema for {type_} v{version}; schemas/events holds what was released") from None


def full_name(type_: str, version: int) -> str:
    """Return the record's name, `factline.fleet.DeviceRegistered`: its subject in a registry. Raises: UnknownSchema."""
    return str(schema_of(type_, version)["name"])


class Encoded(dict[str, Any]):
    """A payload that has its Avro bytes with it, so that they are made once; not to be changed.

    Shape: `apart` is what came with the event and is not in its payload.
    """

    __slots__ = ("apart", "avro")
    avro: bytes
    apart: Mapping[str, Any]


def encoded(type_: str, version: int, data: dict[str, Any], apart: Mapping[str, Any] | None = None) -> Encoded:
    """Return the payload together with its bytes. Raises: UnknownSchema; BadPayload, the values do not fit."""
    payload = Encoded(data)
    payload.avro = encode_payload(type_, version, data)
    payload.apart = apart or {}
    return payload


def encode_payload(type_: str, version: int, data: Mapping[str, Any]) -> bytes:
    """Return the Avro bytes of a payload. Raises: UnknownSchema; BadPayload, the values do not fit."""
    if isinstance(data, Encoded):
        return data.avro
    out = BytesIO()
    try:
        writer = _writer_of(type_, version)
        if writer is not None and (raw := writer(data)):
            return raw
        fastavro.schemaless_writer(out, schema_of(type_, version), data)
    except UnknownSchema:
        raise
    except Exception as error:
        raise BadPayload(f"{type_} v{version}: {error}") from error
    return out.getvalue()


_Writer = Callable[[Any], bytes | None]
"""Returns the Avro bytes of a value, in a fifth of the time that fastavro takes; None for what it should judge."""


@cache
def _writer_of(type_: str, version: int) -> _Writer | None:
    """Return what writes a schema of texts, numbers, and lists of such records by hand; None for any other."""
    return _record_writer(schema_of(type_, version)["fields"])


def _record_writer(fields: Sequence[Mapping[str, Any]]) -> _Writer | None:
    found = [(field["name"], _field_writer(field["type"])) for field in fields]
    writers = [(name, writer) for name, writer in found if writer is not None]
    if len(writers) < len(found):
        return None

    def write(record: Any) -> bytes | None:
        if type(record) is not dict:
            return None
        parts = []
        for name, writer in writers:
            if (raw := writer(record.get(name))) is None:
                return None
            parts.append(raw)
        return b"".join(parts)

    return write


def _field_writer(type_: Any) -> _Writer | None:
    if type_ == "string":
        return _text
    if type_ == list(MAYBE_TEXT):
        return _maybe_text
    if type_ == "long":
        return _long
    if isinstance(type_, Mapping) and type_["type"] == "array" and isinstance(items := type_["items"], Mapping):
        item = _record_writer(items["fields"]) if items.get("type") == "record" else None
        return item and _list_writer(item)
    return None


def _list_writer(item: _Writer) -> _Writer:
    def write(some: Any) -> bytes | None:
        if type(some) is not list:
            return None
        parts = [encode_long(len(some))] if some else []
        for one in some:
            if (raw := item(one)) is None:
                return None
            parts.append(raw)
        return b"".join((*parts, NULL))

    return write


def _text(value: Any) -> bytes | None:
    return encode_text(value) if type(value) is str else None


def _maybe_text(value: Any) -> bytes | None:
    return NULL if value is None else NOT_NULL + encode_text(value) if type(value) is str else None


def _long(value: Any) -> bytes | None:
    return encode_long(value) if type(value) is int and -_LONG <= value < _LONG else None


def decode_payload(type_: str, version: int, raw: bytes) -> dict[str, Any]:
    """Return the payload as it was written, before any upcast. Raises: UnknownSchema; BadPayload."""
    schema = schema_of(type_, version)
    stream = BytesIO(raw)
    try:
        data: dict[str, Any] = fastavro.schemaless_reader(stream, schema, None)  # type: ignore[assignment]
    except Exception as error:
        raise BadPayload(f"{type_} v{version}: {error}") from error
    if stream.read(1):
        raise BadPayload(f"{type_} v{version}: bytes are left over")
    return data
