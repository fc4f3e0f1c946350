"""Answers of the server have these types; rows of a list stay the mappings that they are in the API's description."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Reply(NamedTuple):
    """What became of a command that was accepted.

    Shape: `events` is empty where nothing was to be done; then there is no `token`. `repeated` says that its key was
    answered before, and this is that first answer. Send `token` as `consistent_with` to read what the command wrote.
    """

    command_id: str
    stream: str
    version: int
    events: Sequence[Mapping[str, Any]]
    token: str | None
    repeated: bool

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> "Reply":
        token = answer["position"] and answer["position"]["token"]
        named = {name: answer[name] for name in ("command_id", "stream", "version", "events", "repeated")}
        return cls(token=token, **named)


class Outcome(NamedTuple):
    """What became of a command, asked by its id.

    Shape: `reply` None means that it was refused; `kind` and `reason` then say why.
    """

    reply: Reply | None
    kind: str | None
    reason: str | None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> "Outcome":
        reply = Reply.of(answer) if answer["outcome"] == "accepted" else None
        return cls(reply, answer.get("kind"), answer.get("reason"))


class Taken(NamedTuple):
    """What became of facts.

    Shape: `refused` has the number of the fact, from 1, as `line`, and the `reason`. `token` as that of a reply.
    """

    accepted: int
    repeated: int
    refused: Sequence[Mapping[str, Any]]
    token: str | None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> "Taken":
        return cls(answer["accepted"], answer["repeated"], answer["refused"], answer["position"])


class LiveRecord(NamedTuple):
    """A record of the live feed. Shape: a feed that begins `after=place` goes on behind it."""

    place: str
    record: Mapping[str, Any]


class LiveMessage(LiveRecord):
    """What is said on the live feed and recorded nowhere. Shape: `place` is that of the record before it."""

    __slots__ = ()
