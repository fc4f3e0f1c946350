"""A value of any shape is kept as JSON text of a bounded size, which every store and every language can take."""

import math
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator

MAX_JSON_BYTES = 64 * 1024
MAX_DEPTH = 20

_LARGEST = 2**63


def _check(value: Any, depth: int) -> Any:
    """Return the value. Raises: ValueError, some store or language could not take it as JSON."""
    if depth < 0:
        raise ValueError("has too many lists and objects inside each other")
    match value:
        case None | bool() | str():
            return value
        case int():
            if not -_LARGEST <= value < _LARGEST:
                # without the number: it may be a personal one, and goes where this message goes
                raise ValueError("has a number that needs more than 64 bits")
            return value
        case float():
            if not math.isfinite(value):
                raise ValueError("has a number that is not finite")
            return value
        case list() | tuple():
            return [_check(one, depth - 1) for one in value]
        case dict():
            if not all(isinstance(name, str) for name in value):
                raise ValueError("has a name that is not a text")
            return {name: _check(one, depth - 1) for name, one in value.items()}
    raise ValueError(f"a {type(value).__name__} is not JSON")


def json_text(value: Any, *, most: int = MAX_JSON_BYTES, depth: int = MAX_DEPTH) -> str:
    """Return a value as JSON, the same for the same value. Raises: ValueError, it is none, or too large."""
    text = orjson.dumps(_check(value, depth), option=orjson.OPT_SORT_KEYS)
    if len(text) > most:
        raise ValueError(f"is larger than {most // 1024} KiB as JSON")
    return text.decode()


def json_value(text: str) -> Any:
    return orjson.loads(text)


def _bounded(value: Any) -> Any:
    return json_value(json_text(value))


Json = Annotated[Any, AfterValidator(_bounded)]
"""Any JSON value of at most 64 KiB."""

JsonObject = Annotated[dict[str, Any], AfterValidator(_bounded)]
"""A JSON object of at most 64 KiB."""
