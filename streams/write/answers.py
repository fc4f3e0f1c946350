"""A command that comes again under its key gets its first answer; how it is told from another one stands here."""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

import orjson

from domain.rejection import Kind
from schemas.envelope import Envelope, Position
from streams.ports import Answered, CommandKey, Recorded, Refusal, Reply, Submission

_HASH_BYTES = 16
_UNMARKED = frozenset({Kind.NOT_NOW, Kind.REUSED, Kind.EXPIRED})


def fingerprint(name: str, body: Any, expected_version: int | None) -> bytes:
    """Return the hash of what is asked, the same for the same JSON whatever the order of its names.

    Source: the IETF draft of the Idempotency-Key header, "Idempotency Fingerprint"; docs/adr/0023.
    """
    asked = orjson.dumps([name, body, expected_version], option=orjson.OPT_SORT_KEYS)
    return blake2b(asked, digest_size=_HASH_BYTES).digest()


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
    hashes = {submission.command_hash, first.command_hash}
    if len(hashes) > 1 and b"" not in hashes:
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
