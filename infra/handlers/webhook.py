"""This handler sends a webhook, signed as the Standard Webhooks specification says."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from pydantic import StringConstraints

from factline.worker import Failed, Task
from infra.handlers.inputs import Input, checked, provider_of
from infra.handlers.outgoing import FAILURES, Outgoing, failure_of
from infra.handlers.web import Handler, TimeoutS, Url
from schemas.standard_webhooks import signature, signing_key


class Webhook(Input):
    url: Url
    type: Annotated[str, StringConstraints(max_length=128, pattern=r"^[A-Za-z0-9_.-]+$")]
    data: Any
    provider_key: str
    timeout_s: TimeoutS = 20


async def sent(outgoing: Outgoing, url: str, key: bytes, message_id: str, body: bytes, *, timeout_s: float) -> int:
    """Send a signed message and return the status that is answered. Raises: those of FAILURES."""
    at_s = int(datetime.now(UTC).timestamp())
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": signature(key, message_id, at_s, body),
    }
    async with outgoing.request("POST", url, headers=headers, content=body, timeout_s=timeout_s) as response:
        return response.status_code


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
        body = orjson.dumps({"type": asked.type, "timestamp": datetime.now(UTC), "data": asked.data})
        try:
            status = await sent(outgoing, asked.url, key, task.id, body, timeout_s=asked.timeout_s)
        except FAILURES as error:
            raise failure_of(error, asked.url) from error
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise Failed(f"{asked.url} answered {status}", retryable=status != HTTPStatus.GONE)
        return {"status": status}

    return notify
