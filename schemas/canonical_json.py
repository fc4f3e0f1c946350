"""This writes a payload as JSON that is always the same for the same payload."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson


def canonical_json(data: Mapping[str, Any]) -> str:
    """Return a payload as JSON that is the same for the same payload: sorted names, exact amounts as text."""
    return orjson.dumps(data, default=_plain, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z).decode()


def _plain(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
