"""A command that comes again under its key gets its first answer; how it is told from another one stands here."""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

import orjson

from domain.rejection import Kind
from schemas.envelope import Envelope, Position
from streams.ports import Answered, CommandKey, Recorded, Refusal, Reply, Submission

_HASH_BYTES = 16
_KEYED = b"\x01"
"""Begins a fingerprint that was made with a key; those of earlier versions, without one, are a byte shorter."""

_UNMARKED = frozenset({Kind.NOT_NOW, Kind.REUSED, Kind.EXPIRED})


def fingerprint(name: str, body: Any, expected_version: int | None, *, key: bytes) -> bytes:
    """Return the hash of what is asked, the same for the same JSON whatever the order of its names.

    Shape: without the `key`, which is the deployment's own, nobody can try what a short body may have been.
    Source: the IETF draft of the Idempotency-Key header, "Idempotency Fingerprint"; RFC 7693 for the hash with a key;
    docs/adr/0023 and 0031.
    """
    asked = orjson.dumps([name, body, expected_version], option=orjson.OPT_SORT_KEYS)
    return _KEYED + blake2b(asked, digest_size=_HASH_BYTES, key=key).digest()


def command_of(event: Envelope) -> CommandKey:
    return (event.tenant_id, event.actor, event.command_id)


def accepted(command_id: str, events: list[Envelope]) -> Reply:
    """Return the reply to a command that has events."""
    last = events[-1]
    return Reply(
        command_id,
        "accepted",
        last.stream,
        last.version,
        tuple(Recorded(event.type, event.version, event.event_id) for event in events),
        Position(last.topic, last.partition, last.position),
    )


def answered_with(events: Iterable[Envelope]) -> Mapping[CommandKey, Answered]:
    """Return what was answered to the commands of events, all of which are given, in their order."""
    caused: dict[CommandKey, list[Envelope]] = {}
    for event in events:
        caused.setdefault(command_of(event), []).append(event)
    return {key: Answered(own[0].command_hash, accepted(key[2], own)) for key, own in caused.items()}


def again(submission: Submission, first: Answered) -> Reply:
    """Return the first answer, or the refusal of another command that came under the same key."""
    one, other = submission.command_hash, first.command_hash
    # those of two forms, or of none, cannot be compared
    if one != other and len(one) == len(other):
        reason = (
            f"the id {submission.command_id!r} (Idempotency-Key) was used for another command, body or expected"
            " version; give this command an id of its own"
        )
        refusal = Refusal(Kind.REUSED, reason)
        return Reply(submission.command_id, "refused", submission.command.stream, 0, refusal=refusal)
    return first.reply._replace(repeated=True)


def is_final(reply: Reply) -> bool:
    """Say if a command gets this answer again whenever it comes again."""
    return reply.refusal is None or reply.refusal.kind not in _UNMARKED
