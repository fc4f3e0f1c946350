"""The payload of an event becomes Avro bytes here, under the schema of its type and version."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from io import BytesIO
from typing import Any

import fastavro

from schemas.avro import NOT_NULL, NULL, encode_text


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
        if (raw := _encode_texts(_texts_of(type_, version), data)) is not None:
            return raw
        fastavro.schemaless_writer(out, schema_of(type_, version), data)
    except UnknownSchema:
        raise
    except Exception as error:
        raise BadPayload(f"{type_} v{version}: {error}") from error
    return out.getvalue()


@cache
def _texts_of(type_: str, version: int) -> Sequence[tuple[str, bool]]:
    """Return (name, may be null) of each field of a schema that has texts only; () for any other."""
    fields = schema_of(type_, version)["fields"]
    if all(field["type"] in ("string", ["null", "string"]) for field in fields):
        return [(field["name"], field["type"] != "string") for field in fields]
    return ()


def _encode_texts(fields: Sequence[tuple[str, bool]], data: Mapping[str, Any]) -> bytes | None:
    """Return the Avro bytes of texts, in a fifth of the time that fastavro takes; None for what it should judge."""
    parts: list[bytes] = []
    for name, nullable in fields:
        text = data.get(name)
        if type(text) is str:
            parts += (NOT_NULL, encode_text(text)) if nullable else (encode_text(text),)
        elif text is None and nullable:
            parts.append(NULL)
        else:
            return None
    return b"".join(parts) or None


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
