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


def encode_items(type_: str, version: int, items: list[dict[str, Any]]) -> Sequence[bytes] | None:
    """Return the Avro bytes of each item of a payload that is one list and nothing else; None where it is another.

    Shape: a payload with one item alone is ONE_ITEM, the item, and END_OF_ITEMS.
    Raises: UnknownSchema.
    """
    writer = _items_writer_of(type_, version)
    return writer and writer(items)


ONE_ITEM, END_OF_ITEMS = b"\x02", b"\x00"


@cache
def _items_writer_of(type_: str, version: int) -> "_ItemsWriter | None":
    fields = schema_of(type_, version)["fields"]
    return _items_writer(fields[0]["type"]) if len(fields) == 1 else None


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
    items = _items_writer(type_)
    return items and _list_writer(items)


def _list_writer(items: "_ItemsWriter") -> _Writer:
    def write(some: Any) -> bytes | None:
        if type(some) is not list:
            return None
        if not some:
            return END_OF_ITEMS
        found = items(some)
        return None if found is None else b"".join((encode_long(len(some)), *found, END_OF_ITEMS))

    return write


_ItemsWriter = Callable[[list[Any]], Sequence[bytes] | None]
"""Returns the Avro bytes of each of some values; None for what fastavro should judge."""


def _items_writer(type_: Any) -> _ItemsWriter | None:
    """Return what writes the records of a list, field by field: most of them say what the one before said."""
    if not isinstance(type_, Mapping) or type_["type"] != "array" or not isinstance(type_["items"], Mapping):
        return None
    if type_["items"].get("type") != "record":
        return None
    found = [(field["name"], _column_writer(field["type"])) for field in type_["items"]["fields"]]
    writers = [(name, writer) for name, writer in found if writer is not None]
    if len(writers) < len(found):
        return None

    def write(records: list[Any]) -> Sequence[bytes] | None:
        if not _are(records, dict):
            return None
        columns = []
        for name, writer in writers:
            if (column := writer([record.get(name) for record in records])) is None:
                return None
            columns.append(column)
        return list(map(b"".join, zip(*columns, strict=True)))

    return write


def _column_writer(type_: Any) -> _ItemsWriter | None:
    if type_ == "string":
        return _texts
    if type_ == list(MAYBE_TEXT):
        return _maybe_texts
    one = _field_writer(type_)
    if one is None:
        return None

    def write(values: list[Any]) -> Sequence[bytes] | None:
        found = [raw for value in values if (raw := one(value)) is not None]
        return found if len(found) == len(values) else None

    return write


def _texts(values: list[Any]) -> Sequence[bytes] | None:
    if not _are(values, str):
        return None
    found = {text: encode_text(text) for text in set(values)}
    return [found[text] for text in values]


def _maybe_texts(values: list[Any]) -> Sequence[bytes] | None:
    if not _are(values, str, type(None)):
        return None
    found = {text: NULL if text is None else NOT_NULL + encode_text(text) for text in set(values)}
    return [found[text] for text in values]


def _are(values: list[Any], *types: type) -> bool:
    return set(types).issuperset(map(type, values))


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
