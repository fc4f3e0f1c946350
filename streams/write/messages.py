"""Commands, questions about them, and replies travel between a gateway and a writer as this JSON."""

import re
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from domain import catalog
from domain.message import Command, adapter
from domain.rejection import Kind
from schemas.envelope import Actor, ActorType, Position, StreamId, TenantId, Topic
from schemas.partitioning import partition_of
from schemas.values import Instant, TenantName
from streams.ports import Recorded, Refusal, Reply, Submission
from streams.write.outcomes import Inquiry

_TENANT: TypeAdapter[str] = TypeAdapter(TenantName)
_INSTANT: TypeAdapter[Any] = TypeAdapter(Instant | None)
_LINE = re.compile(r"[^\x00-\x1f\x7f]+")
_INQUIRY = b'{"asks":"outcome",'
_MAX_ID = 200
_MAX_REASON = 500


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
            "body": adapter(type(command)).dump_python(command, mode="json"),
            "actor": [submission.actor.type, submission.actor.id],
            "happened_at": submission.happened_at,
            "expected_version": submission.expected_version,
            "correlation_id": submission.correlation_id,
            "traceparent": submission.traceparent,
            "hash": submission.command_hash.hex(),
            "causation_id": submission.causation_id,
            "deadline": submission.deadline,
            "own": submission.own,
        }
    )


def decode_submission(raw: bytes, *, partition: int, partitions: int) -> Submission:
    """Return the command of a message that was found in a partition.

    Raises: BadCommand, whatever is wrong with the message: what it says goes into an event as it is.
    """
    message: Any = None
    try:
        message = orjson.loads(raw)
        name = message["command"]
        command: Command = adapter(catalog.COMMANDS[name]).validate_python(message["body"])
        actor_type, actor_id = message["actor"]
        submission = Submission(
            command_id=_id(message),
            tenant_id=TenantId(_TENANT.validate_python(message["tenant"])),
            name=name,
            command=command,
            actor=Actor(ActorType(actor_type), _line(actor_id, "actor")),
            happened_at=_INSTANT.validate_python(message["happened_at"]),
            expected_version=_version(message["expected_version"]),
            correlation_id=_line_or_none(message, "correlation_id"),
            traceparent=_line_or_none(message, "traceparent"),
            # a gateway of an earlier version sends none of these
            command_hash=bytes.fromhex(message.get("hash", "")),
            causation_id=_line(message["causation_id"], "causation_id") if message.get("causation_id") else None,
            deadline=_INSTANT.validate_python(message.get("deadline")),
            own=message.get("own", False) is not False,
        )
    except Exception as error:
        command_id = message.get("id") if isinstance(message, dict) else None
        reason = f"the message is not a command this version knows: {_why(error)}"
        raise BadCommand(command_id[:_MAX_ID] if isinstance(command_id, str) else "", reason) from error
    _check_home(submission, partition, partitions)
    return submission


def encode_inquiry(inquiry: Inquiry) -> bytes:
    actor = [inquiry.actor.type, inquiry.actor.id]
    return orjson.dumps({"asks": "outcome", "id": inquiry.command_id, "tenant": inquiry.tenant_id, "actor": actor})


def decode_asked(raw: bytes, *, partition: int, partitions: int) -> Submission | Inquiry:
    """Return what a message asks: that a command is decided, or what became of one.

    Raises: BadCommand, as `decode_submission`.
    """
    if not raw.startswith(_INQUIRY):
        return decode_submission(raw, partition=partition, partitions=partitions)
    try:
        message = orjson.loads(raw)
        actor_type, actor_id = message["actor"]
        inquiry = Inquiry(
            _id(message),
            TenantId(_TENANT.validate_python(message["tenant"])),
            Actor(ActorType(actor_type), _line(actor_id, "actor")),
        )
    except Exception as error:
        raise BadCommand("", f"the message is no question this version knows: {_why(error)}") from error
    _check_home(inquiry, partition, partitions)
    return inquiry


def _check_home(asked: Submission | Inquiry, partition: int, partitions: int) -> None:
    """Do nothing where the partition is that of the tenant's one writer. Raises: BadCommand."""
    if (home := partition_of(asked.tenant_id, partitions)) != partition:
        reason = f"a command of tenant {asked.tenant_id} belongs in partition {home}, not {partition}"
        raise BadCommand(asked.command_id, reason)


def _line(value: Any, name: str) -> str:
    """Return a text that can be a header of an event. Raises: ValueError."""
    if not (isinstance(value, str) and _LINE.fullmatch(value)):
        raise ValueError(f"{name} must be a line of text")
    return value


def _line_or_none(message: Any, name: str) -> str | None:
    return None if message[name] is None else _line(message[name], name)


def _id(message: Any) -> str:
    if len(id_ := _line(message["id"], "id")) > _MAX_ID:
        raise ValueError(f"id must have at most {_MAX_ID} characters")
    return id_


def _version(value: Any) -> int | None:
    if value is not None and (type(value) is not int or value < 0):
        raise ValueError("expected_version must be a version: 0, 1, 2, …")
    return value


def _why(error: Exception) -> str:
    """Say what is wrong, without the values that were sent: they are in the log's lines otherwise."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        said = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    elif isinstance(error, KeyError):
        said = f"there is no {error}"
    else:
        said = str(error)
    return said[:_MAX_REASON]


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
