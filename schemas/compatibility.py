"""A new version of a schema may follow the old ones only if it reads all that they wrote."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import fastavro

Schema = dict[str, Any] | list[Any] | str

_PROMOTIONS: Mapping[str, tuple[str, ...]] = {
    "int": ("long", "float", "double"),
    "long": ("float", "double"),
    "float": ("double",),
    "string": ("bytes",),
    "bytes": ("string",),
}
"""What a value may also be read as. Source: Avro 1.12, schema resolution."""


def backward_transitive(versions: Sequence[Schema]) -> list[str]:
    """Return why the versions, oldest first, may not follow each other; nothing where they may.

    Source: Confluent Schema Registry, compatibility BACKWARD_TRANSITIVE: a log replayed from zero needs it.
    """
    return [
        f"v{newer} cannot read v{older}: {problem}"
        for newer in range(2, len(versions) + 1)
        for older in range(1, newer)
        for problem in unreadable(versions[newer - 1], versions[older - 1])
    ]


def unreadable(reader: Schema, writer: Schema) -> list[str]:
    """Return what keeps a reader's schema from reading what was written with another; nothing where it can.

    Shape: names are compared in full, a logical type with its precision and scale; aliases count.
    Source: Avro 1.12, schema resolution.
    """
    return list(_Resolution(reader, writer).problems())


class _Resolution:
    """Two schemas and the types that each of them names."""

    def __init__(self, reader: Schema, writer: Schema) -> None:
        self._reader_names: dict[str, Any] = {}
        self._writer_names: dict[str, Any] = {}
        self._reader = fastavro.parse_schema(reader, self._reader_names)
        self._writer = fastavro.parse_schema(writer, self._writer_names)
        self._open: set[tuple[str, str]] = set()

    def problems(self) -> Iterator[str]:
        return self._compare(self._reader, self._writer, "")

    def _compare(self, reader: Any, writer: Any, at: str) -> Iterator[str]:
        reader, writer = self._reader_names.get(_key(reader), reader), self._writer_names.get(_key(writer), writer)
        if isinstance(writer, list):
            for branch in writer:
                yield from self._compare(reader, branch, at)
        elif isinstance(reader, list):
            if not any(self._reads(branch, writer, at) for branch in reader):
                yield f"{at or 'the value'}: none of the reader's types reads {_type(writer)}"
        elif _type(reader) != _type(writer):
            if _logical(reader) or _logical(writer) or _type(reader) not in _PROMOTIONS.get(_type(writer), ()):
                yield f"{at or 'the value'}: {_type(writer)} cannot be read as {_type(reader)}"
        elif _logical(reader) != _logical(writer):
            yield f"{at or 'the value'}: {_logical(writer)} cannot be read as {_logical(reader)}"
        else:
            yield from self._compare_inside(reader, writer, at)

    def _reads(self, reader: Any, writer: Any, at: str) -> bool:
        return not list(self._compare(reader, writer, at))

    def _compare_inside(self, reader: Any, writer: Any, at: str) -> Iterator[str]:
        match _type(reader):
            case "array":
                yield from self._compare(reader["items"], writer["items"], f"{at}[]")
            case "map":
                yield from self._compare(reader["values"], writer["values"], f"{at}{{}}")
            case "record" | "enum" | "fixed" if not _same_name(reader, writer):
                yield f"{at or 'the value'}: {writer['name']} is not {reader['name']}"
            case "record":
                yield from self._compare_fields(reader, writer, at)
            case "enum":
                missing = sorted(set(writer["symbols"]) - set(reader["symbols"]))
                if missing and "default" not in reader:
                    yield f"{at or 'the value'}: the reader does not know {', '.join(missing)}"
            case "fixed" if reader["size"] != writer["size"]:
                yield f"{at or 'the value'}: {writer['size']} bytes cannot be read as {reader['size']}"

    def _compare_fields(self, reader: Any, writer: Any, at: str) -> Iterator[str]:
        pair = (reader["name"], writer["name"])
        if pair in self._open:
            # a type that holds itself: the comparison under way answers for it
            return
        self._open.add(pair)
        written = {field["name"]: field for field in writer["fields"]}
        for field in reader["fields"]:
            names = (field["name"], *field.get("aliases", ()))
            inside = f"{at}.{field['name']}".removeprefix(".")
            if source := next((written[name] for name in names if name in written), None):
                yield from self._compare(field["type"], source["type"], inside)
            elif "default" not in field:
                yield f"{inside}: was not written and has no default"
        self._open.remove(pair)


def _key(schema: Any) -> str:
    return schema if isinstance(schema, str) else ""


def _type(schema: Any) -> str:
    return str(schema["type"] if isinstance(schema, dict) else schema)


def _logical(schema: Any) -> str:
    if not isinstance(schema, dict) or "logicalType" not in schema:
        return ""
    size = f"({schema.get('precision')}, {schema.get('scale', 0)})" if schema["logicalType"] == "decimal" else ""
    return f"{schema['logicalType']}{size}"


def _same_name(reader: Any, writer: Any) -> bool:
    return reader["name"] == writer["name"] or writer["name"] in reader.get("aliases", ())
