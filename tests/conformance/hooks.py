"""Schemathesis learns here to send what it does not know by itself."""

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_ctx: schemathesis.SerializationContext, value: Any) -> bytes:
    """Return lines as they are."""
    return str(value).encode()
