"""All answers have this shape: rows, the cursor of the next page, and the positions they are based on."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
from fastapi import Response

from projections.rows import Checkpoint
from schemas.envelope import Position, Topic
from schemas.values import MONEY_SCALE

Answer = Mapping[str, Any]


def to_json(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Position):
        return str(value)
    if isinstance(value, Decimal):
        return amount(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


class Json(Response):
    """An answer as JSON; instants in UTC end in Z."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return to_json(content)


def amount(value: Decimal, places: int = 0) -> str:
    """Return an exact decimal as text with at least so many places, more only where they are needed."""
    whole, _, fraction = f"{value:f}".partition(".")
    fraction = fraction.rstrip("0").ljust(places, "0")
    text = f"{whole}.{fraction}" if fraction else whole
    return text if value else text.removeprefix("-")


def money(value: Decimal) -> str:
    return amount(value, MONEY_SCALE)


class AsOf(NamedTuple):
    """What an answer is based on: everything up to these positions, perhaps more."""

    at: datetime
    positions: Sequence[str] = ()

    @classmethod
    def of(cls, at: datetime, reached: Iterable[Checkpoint]) -> "AsOf":
        return cls(at.astimezone(UTC), place_names(reached))


def place_names(reached: Iterable[Checkpoint]) -> Sequence[str]:
    places = sorted((place.topic, place.partition, place.position) for place in reached)
    return [str(Position(Topic(topic), partition, position)) for topic, partition, position in places]


def table(rows: Sequence[Answer], as_of: AsOf, *, next_: str | None = None, **more: Any) -> Json:
    return Json({"rows": rows, "next": next_, "as_of": as_of._asdict(), **more})


def documented(
    example: Mapping[str, Any], *, sometimes: Mapping[str, Any] | None = None, **more: Any
) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of a table with such a row.

    Shape: the fields of `more` are in every answer, those of `sometimes` are not.
    """
    beside = {**more, **(sometimes or {})}
    as_of = {"at": "2026-01-31T08:30:00.125000Z", "positions": ["events/0/12"]}
    schema = {
        "type": "object",
        "required": ["rows", "next", "as_of", *more],
        "properties": {
            "rows": {"type": "array", "items": {**schema_like(example), "type": "object"}},
            "next": {"type": ["string", "null"], "description": "the `cursor` of the next page, null on the last"},
            "as_of": {
                "type": "object",
                "required": ["at", "positions"],
                "properties": {
                    "at": {"type": "string", "format": "date-time"},
                    "positions": {"type": "array", "items": {"type": "string"}},
                },
            },
            **{name: schema_like(value) for name, value in beside.items()},
        },
    }
    return answered({"rows": [example], "next": None, "as_of": as_of, **beside}, "Rows", schema=schema)


def answered(
    example: Any,
    description: str = "Done",
    *,
    status: int = 200,
    media_type: str = "application/json",
    schema: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of an answer like this one. Shape: `headers` says what each of them is."""
    content = {media_type: {"schema": schema or schema_like(example, required=True), "example": example}}
    answer: dict[str, Any] = {"description": description, "content": content}
    if headers:
        said = headers.items()
        answer["headers"] = {name: {"description": what, "schema": {"type": "string"}} for name, what in said}
    return {status: answer}


def schema_like(example: Any, *, required: bool = False) -> dict[str, Any]:
    """Return the JSON schema of values like this one, any part of which may be null.

    Shape: what an object has beyond the example is allowed. `required` says that all fields of the example are there.
    """
    match example:
        case None:
            return {}
        case Mapping():
            schema: dict[str, Any] = {"type": ["object", "null"], "properties": _properties(example)}
            return {**schema, "type": "object", "required": list(example)} if required else schema
        case list() | tuple():
            return {"type": ["array", "null"], "items": schema_like(example[0]) if example else {}}
        case str() if _INSTANT.fullmatch(example):
            return {"type": ["string", "null"], "format": "date-time"}
        case _:
            return {"type": [_JSON_TYPES[type(example)], "null"]}


def _properties(example: Mapping[str, Any]) -> dict[str, Any]:
    return {name: schema_like(value) for name, value in example.items()}


_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z")
_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
