"""Commands and replies travel between a gateway and a writer as this JSON."""

from datetime import datetime
from typing import Any

import orjson
from pydantic import ValidationError

from domain import catalog
from domain.message import Command
from domain.rejection import Kind
from schemas.envelope import Actor, ActorType, Position, StreamId, TenantId, Topic
from schemas.partitioning import partition_of
from streams.ports import Recorded, Refusal, Reply, Submission


class BadCommand(ValueError):  # noqa: N818
    """The message is no command of ours; `reply` says so to who sent it. A retry gives the same answer."""

    def __init__(self, command_id: str, reason: str, kind: Kind = Kind.INVALID) -> None:
        super().__init__(reason)
        self.reply = Reply(command_id, "refused", StreamId("?"), 0, refusal=Refusal(kind, reason))


def encode_submission(submission: Submission) -> bytes:
    command = submission.command
    return orjson.dumps(
        {
            "id": submission.command_id,
            "tenant": submission.tenant_id,
            "command": catalog.name_of(type(command)),
            "body": catalog.adapter(type(command)).dump_python(command, mode="json"),
            "actor": [submission.actor.type, submission.actor.id],
            "happened_at": submission.happened_at,
            "expected_version": submission.expected_version,
            "correlation_id": submission.correlation_id,
            "traceparent": submission.traceparent,
            "hash": submission.command_hash.hex(),
            "causation_id": submission.causation_id,
            "deadline": submission.deadline,
        }
    )


def decode_submission(raw: bytes, *, partition: int, partitions: int) -> Submission:
    """Return the command of a message that was found in a partition. Raises: BadCommand."""
    message: Any = {}
    try:
        message = orjson.loads(raw)
        name = message["command"]
        command: Command = catalog.adapter(catalog.COMMANDS[name]).validate_python(message["body"])
        actor_type, actor_id = message["actor"]
        happened_at, expected = message["happened_at"], message["expected_version"]
        submission = Submission(
            command_id=str(message["id"]),
            tenant_id=TenantId(message["tenant"]),
            name=name,
            command=command,
            actor=Actor(ActorType(actor_type), str(actor_id)),
            happened_at=_instant(happened_at),
            expected_version=None if expected is None else int(expected),
            correlation_id=message["correlation_id"],
            traceparent=message["traceparent"],
            # a gateway of an earlier version sends none of these
            command_hash=bytes.fromhex(message.get("hash", "")),
            causation_id=message.get("causation_id"),
            deadline=_instant(message.get("deadline")),
        )
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
        command_id = str(message.get("id", "")) if isinstance(message, dict) else ""
        raise BadCommand(command_id, f"the message is not a command this version knows: {error}") from error
    if (home := partition_of(submission.tenant_id, partitions)) != partition:
        # its tenant has another writer: to decide it here would give the tenant two
        reason = f"a command of tenant {submission.tenant_id} belongs in partition {home}, not {partition}"
        raise BadCommand(submission.command_id, reason)
    return submission


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def encode_reply(reply: Reply) -> bytes:
    # a named tuple becomes a list of its values, in their order
    return orjson.dumps(list(reply), default=list)


def decode_reply(raw: bytes) -> Reply:
    """Return the reply of a message. Raises: ValueError, it is none."""
    command_id, outcome, stream, version, events, position, repeated, refusal = orjson.loads(raw)
    return Reply(
        command_id,
        outcome,
        StreamId(stream),
        version,
        tuple(Recorded(*event) for event in events),
        None if position is None else Position(Topic(position[0]), *position[1:]),
        repeated,
        None if refusal is None else Refusal(Kind(refusal[0]), *refusal[1:]),
    )
