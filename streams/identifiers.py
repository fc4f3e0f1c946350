"""The same thing gets the same identifier here, so that a repeat is recognised."""

import re
from time import time_ns
from uuid import UUID

import uuid_utils

_PLAIN = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAMESPACE = uuid_utils.UUID("7d0c2b1e-6a53-5a0e-9b65-3f0f5a6f4c11")


def new_id() -> str:
    """Return a new UUID, version 7; also where the machine's clock stands before 1970, for which there is none."""
    return str(uuid_utils.uuid7() if time_ns() > 0 else uuid_utils.uuid7(nanoseconds=0))


def named_uuid(*parts: str) -> str:
    """Return what names the parts. Source: RFC 9562, UUID version 5."""
    return str(uuid_utils.uuid5(_NAMESPACE, "\x1f".join(parts)))


def system_id(*parts: str) -> str:
    """Return the id of a command that the system gives itself.

    Shape: it has a space, and an id that comes in over HTTP has none: no caller can name it.
    """
    return f"system {named_uuid(*parts)}"


def sender_id(text: str) -> str:
    """Return a sender's own fact id as a UUID: itself if it is one."""
    if _PLAIN.fullmatch(text):
        return text
    try:
        return str(UUID(text))
    except ValueError:
        return named_uuid("sender", text)
