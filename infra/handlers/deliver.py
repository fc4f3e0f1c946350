"""This handler sends events to a webhook endpoint, one after the other, and stops at the first that is not taken."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from time import monotonic
from typing import Any

import orjson

from domain.operations.delivery import delivery_of
from factline.worker import Failed, Postponed, Task
from infra.handlers.inputs import provider_of
from infra.handlers.outgoing import FAILURES, Outgoing, failure_of
from infra.handlers.web import Handler
from infra.handlers.webhook import sent
from schemas.standard_webhooks import signing_key

_TIMEOUT_S = 15.0
_LONGEST_S = 10.0
"""After so long a delivery ends with what it has sent; another one goes on, with the rights that there are then."""

Output = dict[str, Any]


def deliver_webhooks(outgoing: Outgoing, clock: Callable[[], float] = monotonic) -> Handler:
    """Return the handler of `webhook.deliver`.

    Shape: the output is {events, redone, looked_to, more, stopped}: how many events were sent, how many of them again,
    and up to which position of the log all were; `stopped` is the event that was not taken, with the answer. That one
    is not taken completes the task: the endpoint decides when it comes again. 410 says that nobody is there any more.
    Calls of a host for one endpoint are nothing to another endpoint there.
    """

    async def deliver(task: Task) -> Output:
        given = _given(task)
        if "refused" in given:
            return _output(stopped={"error": given["refused"], "gone": True})
        provider = provider_of(task)
        send = partial(
            _stopped, outgoing.apart(_endpoint_of(task)), str(provider.base_url), signing_key(provider.secret)
        )
        until = clock() + _LONGEST_S
        return await _sent_in_turn(send, given, task.input["after"], lambda: clock() > until)

    return deliver


def _endpoint_of(task: Task) -> str:
    named = delivery_of(task.id)
    return named[0] if named else ""


def _given(task: Task) -> Mapping[str, Any]:
    if not isinstance(task.events, dict):
        raise Failed(
            "there is nothing that may be sent: the endpoint is removed, or the worker's API key lacks the scope"
            " secrets:read",
            retryable=False,
        )
    return task.events


async def _sent_in_turn(
    send: Callable[[Mapping[str, Any]], Awaitable[Output | None]],
    given: Mapping[str, Any],
    after: int | None,
    is_late: Callable[[], bool],
) -> Output:
    output = _output(looked_to=after)
    for row, is_again in [*((row, True) for row in given["redo"]), *((row, False) for row in given["rows"])]:
        # one that cannot be read any more is passed over
        if row is not None:
            if output["events"] and is_late():
                return {**output, "more": True}
            try:
                stopped = await send(row)
            except Postponed:
                if output["events"]:
                    return {**output, "more": True}
                raise
            if stopped is not None:
                return {**output, "stopped": stopped}
            output["events"] += 1
        if is_again:
            output["redone"] += 1
        else:
            output["looked_to"] = row["position"]
    return {**output, "looked_to": given["looked_to"], "more": given["more"]}


def _output(**more: Any) -> Output:
    return {"events": 0, "redone": 0, "looked_to": None, "more": False, "stopped": None, **more}


async def _stopped(outgoing: Outgoing, url: str, key: bytes, row: Mapping[str, Any]) -> Output | None:
    """Send an event; return why it was not taken, None where it was. Raises: Postponed, the host is left alone now."""
    record = row["record"]
    body = orjson.dumps({"type": record["type"], "timestamp": record["happened_at"], "data": record})
    about = {"position": row["position"], "event_id": record["event_id"], "type": record["type"]}
    try:
        status = await sent(outgoing, url, key, row["id"], body, timeout_s=_TIMEOUT_S)
    except FAILURES as error:
        failure = failure_of(error, url)
        if isinstance(failure, Postponed):
            raise failure from error
        return {**about, "status": None, "error": str(failure)}
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    return {**about, "status": status, "error": f"{url} answered {status}", "gone": status == HTTPStatus.GONE}
