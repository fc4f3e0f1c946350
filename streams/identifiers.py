"""The same thing gets the same identifier here, so that a repeat is recognised."""

import re
from hashlib import sha1
from time import time_ns
from uuid import UUID

from uuid_utils import uuid7

_PLAIN = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAMESPACE = UUID("7d0c2b1e-6a53-5a0e-9b65-3f0f5a6f4c11").bytes


def named_id(*parts: str) -> bytes:
    """Return 16 bytes that name the parts. Source: RFC 9562, UUID version 5."""
    digest = bytearray(sha1(_NAMESPACE + "\x1f".join(parts).encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)


def new_id() -> str:
    """Return a new UUID, version 7; also where the machine's clock stands before 1970, for which there is none."""
    return str(uuid7() if time_ns() > 0 else uuid7(nanoseconds=0))


def named_uuid(*parts: str) -> str:
    digits = named_id(*parts).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


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
