"""Webhooks that come in and that go out are signed in this way. Source: Standard Webhooks 1.0.0."""

import base64
import hashlib
import hmac
import secrets

_PREFIX = "whsec_"
_SHORTEST, _NEW, _LONGEST = 24, 32, 64


def new_secret() -> str:
    return f"{_PREFIX}{base64.b64encode(secrets.token_bytes(_NEW)).decode()}"


def signing_key(secret: str) -> bytes:
    """Return the key of a secret like `whsec_<base64>`. Raises: ValueError."""
    if not secret.startswith(_PREFIX):
        raise ValueError(f"a secret for webhooks begins with {_PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError as error:
        raise ValueError(f"a secret for webhooks is {_PREFIX} and base64") from error
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise ValueError(f"a secret for webhooks has {_SHORTEST} to {_LONGEST} bytes, not {len(key)}")
    return key


def signature(key: bytes, message_id: str, at_s: int, body: bytes) -> str:
    """Return the value of the header `webhook-signature`, by a symmetric signature."""
    signed = f"{message_id}.{at_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
