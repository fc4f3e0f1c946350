"""An import puts what it has read into a sink, which answers once it is durable."""

from collections.abc import Callable, Mapping, Sequence
from time import sleep
from typing import Any, NamedTuple, Protocol

import orjson

from domain.message import adapter
from domain.rejection import Kind
from schemas.envelope import Actor, ActorType
from streams.ports import FactSubmission, Reply, Submission

IMPORTER = Actor(ActorType.TOOL, "factline-import")

_NOT_DONE = (Kind.NOT_NOW, Kind.EXPIRED)
"""Of a command that was refused so nothing is kept, and it may be sent again: there was no room, or no time."""

_TRIES = 10
_LATER_S = 1.0
"""How often, and after what pause, commands are sent that a server could not take while it took others."""

AGAIN = "what is counted here is recorded; run the same import again to go on, nothing is recorded twice"


class ImportFailed(Exception):  # noqa: N818
    """The import cannot begin or go on; the message says what to do. What was answered before is recorded."""


class CommandTaken(NamedTuple):
    """What became of a command.

    Shape: a refused one has `kind` and `reason`; `changed` says that there are events of it. `repeated` says that its
    id was answered before, and this is that first answer.
    """

    repeated: bool = False
    kind: str | None = None
    reason: str = ""
    changed: bool = True


class FactsTaken(NamedTuple):
    """What became of a batch of facts. Shape: `refused` gives the place in the batch, from 0, and the reason."""

    accepted: int
    repeated: int
    refused: Mapping[int, str]


class Sink(Protocol):
    """Takes batches for one tenant; every batch may be sent again."""

    @property
    def threads(self) -> int:
        """Return how many batches may be on their way at once."""

    def commands(self, batch: Sequence[Submission]) -> Sequence[CommandTaken]:
        """Return what became of each command, in order, once it is durable. Raises: ImportFailed."""

    def facts(self, batch: Sequence[FactSubmission]) -> FactsTaken:
        """Return what became of the facts, once they are durable. Raises: ImportFailed."""

    def stop(self) -> None:
        """Give up waiting for a server that does not answer."""


def every_reply(
    send: Callable[[Sequence[Mapping[str, Any]]], Sequence[Mapping[str, Any]]], commands: Sequence[Mapping[str, Any]]
) -> Sequence[Mapping[str, Any]]:
    """Send commands, and those again for which there was no room or no time; return a reply for each."""
    replies: dict[int, Mapping[str, Any]] = {}
    waiting = list(range(len(commands)))
    for again in range(_TRIES):
        if again:
            sleep(_LATER_S)
        replies |= zip(waiting, send([commands[n] for n in waiting]), strict=True)
        waiting = [n for n in waiting if replies[n].get("kind") in _NOT_DONE]
        if not waiting:
            break
    return [replies[n] for n in range(len(commands))]


def command_json(submission: Submission) -> dict[str, Any]:
    return {
        "id": submission.command_id,
        "command": submission.name,
        "body": orjson.Fragment(adapter(type(submission.command)).dump_json(submission.command)),
        "happened_at": submission.happened_at,
    }


def taken(reply: Reply) -> CommandTaken:
    """Return what a writer's reply says became of its command."""
    if reply.refusal is not None:
        return CommandTaken(reply.repeated, reply.refusal.kind.value, reply.refusal.reason, changed=False)
    return CommandTaken(reply.repeated, changed=bool(reply.events))


def told_by(reply: Mapping[str, Any]) -> CommandTaken:
    repeated = bool(reply.get("repeated"))
    if reply["outcome"] != "accepted":
        return CommandTaken(repeated, str(reply["kind"]), str(reply["reason"]), changed=False)
    return CommandTaken(repeated, changed=reply.get("events") != [])
