"""How an error looks on the wire, whoever answers it."""

from http import HTTPStatus
from typing import Any

import orjson

MEDIA_TYPE = "application/problem+json"


def problem(status: int, detail: str, **more: Any) -> bytes:
    """Return a problem document. Source: RFC 9457; the type about:blank means that the title is the status's own."""
    return orjson.dumps(
        {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    )
