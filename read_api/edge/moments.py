"""A moment in a query is an instant, a day, or a time before now; all routes read it in the same way."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, WithJsonSchema

from schemas.values import Instant

_BEFORE_NOW = re.compile(r"-([0-9]{1,6})([smhdw])", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*", re.ASCII)
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

FORMS = "an instant like 2026-01-31T08:30:00Z, a day like 2026-01-31 or a time before now like -7d"


def is_relative(text: str) -> bool:
    """Return whether a text means another instant each time it is read."""
    return text == "now" or _BEFORE_NOW.fullmatch(text) is not None


def _read(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        if value == "now":
            return datetime.now(UTC)
        if found := _BEFORE_NOW.fullmatch(value):
            return datetime.now(UTC) - timedelta(seconds=int(found[1]) * SECONDS[found[2]])
        if _DAY.fullmatch(value):
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"must be {FORMS}") from None
    if not _INSTANT.fullmatch(value):
        raise ValueError(f"must be {FORMS}")
    return value


Moment = Annotated[Instant, BeforeValidator(_read), WithJsonSchema({"type": "string"})]
"""An instant, a day (its first moment in UTC), `now`, or `-` and a number of s, m, h, d or w before now; in UTC."""

MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)

EXAMPLES: dict[str, Any] = {
    "instant": {"value": "2026-01-31T08:30:00Z"},
    "day": {"value": "2026-01-31"},
    "a week before now": {"value": "-7d"},
}
