"""This handler sends a webhook, signed as the Standard Webhooks specification says."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from pydantic import StringConstraints

from factline.worker import Failed, Task
from infra.handlers.inputs import Input, checked, provider_of
from infra.handlers.outgoing import FAILURES, Outgoing, failure_of
from infra.handlers.web import Handler, TimeoutS, Url

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64


class Webhook(Input):
    url: Url
    type: Annotated[str, StringConstraints(max_length=128, pattern=r"^[A-Za-z0-9_.-]+$")]
    data: Any
    provider_key: str
    timeout_s: TimeoutS = 20


def signing_key(secret: str) -> bytes:
    """Return the key of a secret like `whsec_<base64>`. Raises: ValueError. Source: Standard Webhooks 1.0.0."""
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
    """Return the value of the header `webhook-signature`. Source: Standard Webhooks 1.0.0, symmetric signatures."""
    signed = f"{message_id}.{at_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def notify_webhook(outgoing: Outgoing) -> Handler:
    """Return the handler of `notify.webhook`.

    Shape: the secret is that of a provider key. The id of the message is that of the task, so that the receiver knows
    an attempt that comes again. The output is {status}. A redirect is no success, and 410 says that nobody is there any
    more: no retry helps.
    """

    async def notify(task: Task) -> Any:
        asked = checked(Webhook, task.input)
        try:
            key = signing_key(provider_of(task).secret)
        except ValueError as error:
            raise Failed(str(error), retryable=False) from error
        now = datetime.now(UTC)
        body = orjson.dumps({"type": asked.type, "timestamp": now, "data": asked.data})
        at_s = int(now.timestamp())
        headers = {
            "content-type": "application/json",
            "webhook-id": task.id,
            "webhook-timestamp": str(at_s),
            "webhook-signature": signature(key, task.id, at_s, body),
        }
        try:
            async with outgoing.request(
                "POST", asked.url, headers=headers, content=body, timeout_s=asked.timeout_s
            ) as response:
                status = response.status_code
        except FAILURES as error:
            raise failure_of(error, asked.url) from error
        if not response.is_success:
            raise Failed(f"{asked.url} answered {status}", retryable=status != HTTPStatus.GONE)
        return {"status": status}

    return notify
