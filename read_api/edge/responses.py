"""All answers have this shape: rows, the cursor of the next page, and the positions they are based on."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
from fastapi import Response

from projections.rows import Checkpoint
from read_api.edge.problems import MEDIA_TYPE
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


_PROBLEM = {MEDIA_TYPE: {"example": {"title": "Not Found", "status": 404, "detail": "no such thing"}}}


def documented(example: Mapping[str, Any], **more: Any) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of a table with such a row."""
    answer = {
        "rows": [example],
        "next": None,
        "as_of": {"at": "2026-01-31T08:30:00.125000Z", "positions": ["events/0/12"]},
        **more,
    }
    return {
        200: {"description": "Rows", "content": {"application/json": {"example": answer}}},
        "4XX": {"description": "RFC 9457 problem", "content": _PROBLEM},
        "5XX": {"description": "RFC 9457 problem; a 503 says when to try again", "content": _PROBLEM},
    }
