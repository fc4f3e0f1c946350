"""A schema may follow another only if it reads what the other wrote."""

import json
from itertools import groupby
from operator import itemgetter
from typing import Any

import pytest

from schemas.compatibility import Schema, backward_transitive, unreadable
from schemas.payload import schema_files

DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}
MICROS = {"type": "long", "logicalType": "timestamp-micros"}


def record(*fields: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"type": "record", "name": "factline.test.Thing", "fields": list(fields), **changes}


def field(name: str, type_: Schema, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, **more}


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "factline.test.Colour", "symbols": list(symbols), **more}


def fixed(size: int) -> dict[str, Any]:
    return {"type": "fixed", "name": "factline.test.Hash", "size": size}


TREE = record(field("children", {"type": "array", "items": "factline.test.Thing"}))
BROKEN_TREE = record(field("children", {"type": "array", "items": "factline.test.Thing"}), field("weight", "int"))

VERSIONS = {
    type_: [json.loads(text) for _, _, text in group]
    for type_, group in groupby(sorted(schema_files()), key=itemgetter(0))
}


@pytest.mark.parametrize("type_", VERSIONS)
def test_every_version_of_an_event_reads_all_before_it(type_: str) -> None:
    assert backward_transitive(VERSIONS[type_]) == []


@pytest.mark.parametrize("type_", VERSIONS)
def test_every_schema_has_a_full_name_of_its_own_context(type_: str) -> None:
    for version in VERSIONS[type_]:
        assert version["namespace"].startswith("factline.")
        assert version["name"].isidentifier()


@pytest.mark.parametrize(
    ("reader", "writer"),
    [
        ("string", "string"),
        ("long", "int"),
        ("double", "long"),
        ("bytes", "string"),
        (["null", "string"], "string"),
        (["null", "string"], ["null", "string"]),
        (["null", "string", "int"], ["string", "null"]),
        ("string", ["string"]),
        ({"type": "array", "items": "double"}, {"type": "array", "items": "float"}),
        ({"type": "map", "values": ["null", "int"]}, {"type": "map", "values": "int"}),
        (DECIMAL, DECIMAL),
        (["null", MICROS], MICROS),
        (enum("RED", "BLUE"), enum("RED")),
        (enum("RED", default="RED"), enum("RED", "BLUE")),
        (fixed(16), fixed(16)),
        (record(), record(field("gone", "string"))),
        (record(field("new", "string", default="")), record()),
        (record(field("new", ["null", "string"], default=None)), record()),
        (record(field("name", "string", aliases=["title"])), record(field("title", "string"))),
        (record(name="factline.test.Renamed", aliases=["factline.test.Thing"]), record()),
        (record(field("name", "string", doc="Better said.")), record(field("name", "string"))),
        (TREE, TREE),
    ],
)
def test_reader_reads_what_the_writer_wrote(reader: Schema, writer: Schema) -> None:
    assert unreadable(reader, writer) == []


@pytest.mark.parametrize(
    ("reader", "writer", "problem"),
    [
        ("string", "int", "the value: int cannot be read as string"),
        ("int", "long", "the value: long cannot be read as int"),
        ("float", "double", "the value: double cannot be read as float"),
        ("string", ["null", "string"], "the value: null cannot be read as string"),
        (["null", "string"], ["null", "int"], "the value: none of the reader's types reads int"),
        (["null", "int"], "string", "the value: none of the reader's types reads string"),
        ({"type": "array", "items": "int"}, {"type": "array", "items": "string"}, "[]: string cannot be read as int"),
        ({"type": "map", "values": "int"}, {"type": "map", "values": "long"}, "{}: long cannot be read as int"),
        ({"type": "map", "values": "int"}, {"type": "array", "items": "int"}, "the value: array cannot be read as map"),
        (
            {**DECIMAL, "scale": 2},
            DECIMAL,
            "the value: decimal(18, 4) cannot be read as decimal(18, 2)",
        ),
        ({**DECIMAL, "precision": 10}, DECIMAL, "the value: decimal(18, 4) cannot be read as decimal(10, 4)"),
        (MICROS, "int", "the value: int cannot be read as long"),
        ({**MICROS, "logicalType": "timestamp-millis"}, MICROS, "the value: timestamp-micros cannot be read as"),
        (enum("RED"), enum("RED", "BLUE"), "the value: the reader does not know BLUE"),
        (fixed(16), fixed(20), "the value: 20 bytes cannot be read as 16"),
        (record(field("new", "string")), record(), "new: was not written and has no default"),
        (
            record(field("name", "string")),
            record(field("title", "string")),
            "name: was not written and has no default",
        ),
        (record(field("n", "int")), record(field("n", "string")), "n: string cannot be read as int"),
        (
            record(name="factline.test.Renamed"),
            record(),
            "the value: factline.test.Thing is not factline.test.Renamed",
        ),
        (
            record(field("line", record(field("new", "int"), name="factline.test.Line"))),
            record(field("line", record(name="factline.test.Line"))),
            "line.new: was not written and has no default",
        ),
        (BROKEN_TREE, TREE, "weight: was not written and has no default"),
        (
            record(field("a", ["null", enum("RED")]), field("b", "factline.test.Colour")),
            record(field("a", "null"), field("b", enum("RED", "BLUE"))),
            "b: the reader does not know BLUE",
        ),
    ],
)
def test_reader_does_not_read_what_the_writer_wrote(reader: Schema, writer: Schema, problem: str) -> None:
    (found,) = unreadable(reader, writer)
    assert found.startswith(problem)


def test_record_that_one_branch_could_not_read_is_looked_at_again_elsewhere() -> None:
    old, new = record(name="factline.test.Line"), record(field("new", "int"), name="factline.test.Line")
    found = unreadable(
        record(field("a", [new, "null"]), field("b", "factline.test.Line")),
        record(field("a", old), field("b", "factline.test.Line")),
    )
    assert found == ["a: none of the reader's types reads record", "b.new: was not written and has no default"]


def test_third_version_must_read_the_first_even_where_the_second_does() -> None:
    first = record()
    second = record(field("name", "string", default=""))
    third = record(field("name", "string"))
    assert unreadable(third, second) == []
    assert backward_transitive([first, second, third]) == [
        "v3 cannot read v1: name: was not written and has no default"
    ]
