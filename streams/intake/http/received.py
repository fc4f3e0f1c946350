"""Systems outside send their changes here; each becomes one event of the connector's tenant, once."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Path, Request, Response

from domain.integration.connector import ConnectorFormat, NoteRefusedChanges
from domain.integration.received import Received, read_debezium, read_message
from domain.message import Command
from projections.integration.connectors import PROJECTION as CONNECTORS
from read_api.edge.auth import Caller
from read_api.edge.problems import Problem
from read_api.edge.quotas import check_quota, use_quota
from read_api.edge.rates import count
from read_api.edge.responses import Json, answered
from schemas.envelope import Actor, ActorType
from streams.intake.http.accepting import checked
from streams.intake.http.bodies import json_of
from streams.intake.http.commands import BatchGate
from streams.intake.http.described import body_of_schema, header
from streams.intake.http.giving import submission
from streams.intake.http.media_types import JSON, media_type
from streams.intake.http.senders import Sender, Senders, message_id
from streams.ports import Reply, Submission

MAX_CHANGES = 500
"""Changes of one request."""

_SHOWN = 200
_ANY = {"description": "one message, or a change of a row, or an array of changes"}
_EXAMPLE = {
    "op": "u",
    "before": {"id": 7, "status": "new"},
    "after": {"id": 7, "status": "paid"},
    "source": {"db": "shop", "schema": "public", "table": "orders", "lsn": 24023128},
    "ts_ms": 1767225600250,
}
_DESCRIBED = {
    "requestBody": body_of_schema(_ANY, _EXAMPLE),
    "parameters": [
        header("webhook-id", "identity of the message, of up to 256 characters", "msg_1"),
        header("webhook-timestamp", "when it was signed, in seconds since 1970", "1767225600"),
        header(
            "webhook-signature", "v1, and the signature in base64", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="
        ),
    ],
}


class _Read(NamedTuple):
    """What a body holds, in its order.

    Shape: `reasons` are those of changes that cannot be recorded; `refused` is the id of their note.
    """

    changes: Sequence[Received]
    reasons: Sequence[str]
    refused: str


def received_router(gate: BatchGate, senders: Senders, fingerprint_key: bytes) -> APIRouter:
    """Shape: `fingerprint_key` is the deployment's."""
    router = APIRouter(tags=["commands"])

    @router.post(
        f"/v1/{CONNECTORS.name}/{{connector_id}}/events",
        summary="Changes from a system outside; its signature or its secret says who it is, no key is needed",
        description="The path has the tenant's name before that of the connector. Who cannot sign sends the secret as"
        " `Authorization: Bearer`. The same change sent again adds nothing. 422 where some could not be recorded: all"
        " others were.",
        responses=answered({"received": 1, "repeated": 0}, "All of it is durable"),
        openapi_extra=_DESCRIBED,
    )
    async def take(
        connector_id: Annotated[str, Path(description="tenant and connector", examples=["acme.crm"])], request: Request
    ) -> Response:
        media_type(request.headers.get("Content-Type", ""), JSON)
        async with senders.sent(request, connector_id) as (sender, body):
            caller = Caller(sender.tenant_id, sender.connector_id, (), quota=sender.quota)
            await count(request, caller)
            await check_quota(request, caller, "events")
            read = await asyncio.to_thread(_read, sender, body, message_id(request), fingerprint_key)
            replies = await _recorded(gate, [_submission(sender, one.command, one.identity) for one in read.changes])
        repeated = sum(reply.repeated for reply in replies)
        received = len(replies) - repeated
        await use_quota(request, caller, "events", received)
        if read.reasons:
            await _refuse(gate, sender, read, received, repeated)
        return Json({"received": received, "repeated": repeated})

    return router


def _read(sender: Sender, body: bytes, said_id: str | None, secret: bytes) -> _Read:
    """Return what a body says. Raises: Problem (400), it is no JSON, or too many."""
    said = json_of(body)
    is_message = sender.format == ConnectorFormat.WEBHOOK
    items = said if isinstance(said, list) and not is_message else [said]
    if len(items) > MAX_CHANGES:
        raise Problem(400, f"there are more than {MAX_CHANGES} changes; send them in parts")
    naming = sender.naming._replace(secret=secret)
    changes: list[Received] = []
    reasons: list[str] = []
    for number, item in enumerate(items):
        try:
            one = (
                read_message(sender.connector_id, item, said_id, naming)
                if is_message
                else read_debezium(sender.connector_id, item, naming)
            )
        except ValueError as error:
            reasons.append(f"change {number} {error}"[:_SHOWN])
        else:
            changes.append(one)
    return _Read(
        changes, reasons, f"refused-{hashlib.blake2b(body, key=secret, digest_size=32).hexdigest()}" if reasons else ""
    )


async def _recorded(gate: BatchGate, submissions: Sequence[Submission]) -> Sequence[Reply]:
    """Return the replies. Raises: Refused; LogUnavailable or Overloaded, safe to send all of it again."""
    replies: list[Reply] = []
    for reply in await gate.execute_many(submissions) if submissions else ():
        if isinstance(reply, BaseException):
            raise reply
        replies.append(checked(reply))
    return replies


async def _refuse(gate: BatchGate, sender: Sender, read: _Read, received: int, repeated: int) -> None:
    """Count what cannot be recorded, and say so. Raises: Problem (422)."""
    note = NoteRefusedChanges(connector_id=sender.connector_id, count=len(read.reasons), reason=read.reasons[0])
    await _recorded(gate, [_submission(sender, note, read.refused)])
    detail = f"{read.reasons[0]}; all others are recorded"
    raise Problem(422, detail, received=received, repeated=repeated, refused=len(read.reasons))


def _submission(sender: Sender, command: Command, identity: str) -> Submission:
    """Return a command whose id follows from what it says, so that what is sent again is done once."""
    caller = Caller(sender.tenant_id, sender.connector_id, ())
    return submission(caller, command, identity)._replace(actor=Actor(ActorType.TOOL, sender.connector_id))
