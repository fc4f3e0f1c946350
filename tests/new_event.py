"""Writes the Avro schema and the golden bytes of a new event, once, from its class and its example."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import fastavro
from pydantic.fields import FieldInfo

from domain import catalog
from domain.finance.values import Amount, Exact, Price, Total
from domain.message import Event, KeptApart, Personal
from schemas.avro import INSTANT
from tests import examples

ROOT = Path(__file__).parents[1]

_AVRO: Sequence[tuple[Any, Any]] = [
    (Amount, {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}),
    (Price, {"type": "bytes", "logicalType": "decimal", "precision": 28, "scale": 12}),
    (Exact, {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 16}),
    (Total, {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 8}),
    (datetime, INSTANT),
    (str, "string"),
    (bool, "boolean"),
    (int, "long"),
    (float, "double"),
]


class CannotWrite(Exception):  # noqa: N818
    """There is nothing to write, or it is there already; the text says what to do."""


class Folders(NamedTuple):
    schemas: Path = ROOT / "schemas" / "events"
    golden: Path = ROOT / "tests" / "schemas" / "golden"


def schema_of(event: type[Event]) -> dict[str, Any]:
    """Return the Avro schema of an event's class. Raises: CannotWrite, a field is of a type that has none."""
    record = _record(event, set())
    context = event.__module__.split(".")[1]
    # a later version whose class has another name keeps that of the first in its schema
    name = getattr(event, "NAME", record["name"])
    return {"type": "record", "name": name, "namespace": f"factline.{context}", "fields": record["fields"]}


def _record(class_: Any, named: set[type]) -> dict[str, Any]:
    named.add(class_)
    kept = [field for field in fields(class_) if not _has_mark(field, KeptApart)]
    return {"type": "record", "name": class_.__name__, "fields": [_field(class_, f, named) for f in kept]}


def _has_mark(field: Any, mark: type) -> bool:
    return any(isinstance(found, mark) for found in get_args(field.type)[1:])


def _field(class_: Any, field: Any, named: set[type]) -> dict[str, Any]:
    aliases = [extra.alias for extra in get_args(field.type)[1:] if isinstance(extra, FieldInfo) and extra.alias]
    try:
        type_ = _avro(field.type, named)
    except KeyError as error:
        raise CannotWrite(
            f"{class_.__name__}.{field.name}: no Avro type for {error}; use a type that a released event has,"
            " or teach tests/new_event.py this one"
        ) from None
    # a field that may be null begins with null, so that a later version may leave it out
    default: dict[str, Any] = {"default": None} if isinstance(type_, list) else {}
    if field.default == ():
        # a version that has this field reads one that has it not
        default = {"default": []}
    mark = next((mark for mark in get_args(field.type)[1:] if isinstance(mark, Personal)), None)
    marks = {} if mark is None else {"personal": mark.of}
    return {"name": aliases[0] if aliases else field.name, "type": type_, **default, **marks}


def _avro(hint: Any, named: set[type]) -> Any:
    """Return the Avro type of an annotation. Raises: KeyError, there is none."""
    for known, schema in _AVRO:
        if hint == known:
            return schema
    if is_dataclass(hint):
        return hint.__name__ if hint in named else _record(hint, named)
    match get_origin(hint), get_args(hint):
        case origin, (inner, *_) if origin is Annotated:
            return _avro(inner, named)
        case origin, (inner, none) if origin in (Union, UnionType) and none is NoneType:
            return ["null", _avro(inner, named)]
        case origin, (inner, more) if origin is tuple and more is Ellipsis:
            return {"type": "array", "items": _avro(inner, named)}
        case origin, (_, inner) if origin in (dict, Mapping):
            return {"type": "map", "values": _avro(inner, named)}
    raise KeyError(hint)


def example_of(type_: str) -> Event:
    """Return the example of the event of a stored name. Raises: CannotWrite, there is no such event or no example."""
    event = catalog.EVENTS.get(type_)
    if event is None:
        raise CannotWrite(f"no event has the type {type_}; add its class to domain/ and to the union beside it first")
    if event not in examples.EVENTS:
        raise CannotWrite(f"{event.__name__} has no example; write one in tests/examples first")
    return examples.EVENTS[event]


def write(example: Event, folders: Folders) -> Sequence[Path]:
    """Write both files and return them. Raises: CannotWrite, nothing was written."""
    schema = schema_of(type(example))
    golden = BytesIO()
    fastavro.schemaless_writer(golden, fastavro.parse_schema(schema), catalog.payload_of(example))
    name = f"{example.TYPE}.v{example.VERSION}"
    texts = {
        folders.schemas / f"{name}.avsc": json.dumps(schema, indent=2),
        folders.golden / f"{name}.hex": golden.getvalue().hex(),
    }
    for path in texts:
        if path.exists():
            raise CannotWrite(
                f"{path.name} is there already; if it was released, give the class a higher VERSION and add a step to"
                " schemas/upcast.py; if it was not, delete both of the event's files first"
            )
    for path, text in texts.items():
        path.write_text(f"{text}\n", encoding="utf-8")
    return list(texts)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.new_event",
        description=__doc__,
        epilog="example: python -m tests.new_event lead.captured",
    )
    parser.add_argument("type", help="the event's stored name: TYPE of its class")
    try:
        paths = write(example_of(parser.parse_args().type), Folders())
    except CannotWrite as error:
        sys.exit(str(error))
    for path in paths:
        print(f"wrote {path.relative_to(ROOT)}")
    print("check it with `pytest tests/schemas`; from its release on neither file may change")


if __name__ == "__main__":
    main()
