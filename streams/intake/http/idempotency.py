"""A request that is sent again is known by its key, which is read and described here."""

import re
from typing import Any

from read_api.edge.problems import Problem
from streams.intake.http.described import header

_KEY = re.compile(r"[\x21-\x7e]{1,128}")


def checked_key(given: Any, named: str, **more: Any) -> str:
    """Return a key as it was given. Raises: Problem (422), it is none."""
    if not (isinstance(given, str) and _KEY.fullmatch(given)):
        raise Problem(422, f"{named} must be 1 to 128 visible ASCII characters without spaces", **more)
    return given


def key_header(description: str, example: str) -> dict[str, Any]:
    return header("Idempotency-Key", description, example, f"^{_KEY.pattern}$")
