"""A route that makes its command itself gives it to the writer here, for the caller, and answers with its outcome."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from fastapi import Request, Response

from domain import catalog
from domain.message import Command
from read_api.edge.auth import Caller
from read_api.edge.tokens import token_of
from streams.identifiers import new_id
from streams.intake.http.accepting import checked
from streams.intake.http.commands import Gate, answer_of, command_id_of, use_events
from streams.ports import CALLER_WAITS_S, Reply, Submission
from streams.write.answers import fingerprint


def submission(caller: Caller, command: Command, command_id: str) -> Submission:
    return Submission(
        command_id=command_id,
        tenant_id=caller.tenant_id,
        name=catalog.name_of(type(command)),
        command=command,
        actor=caller.actor,
        deadline=datetime.now(UTC) + timedelta(seconds=CALLER_WAITS_S),
    )


async def given(request: Request, gate: Gate, caller: Caller, command: Command) -> Reply:
    """Give a command under an id of its own, for a route that answers with what is shown this once. Raises: Refused."""
    reply = checked(await gate.execute(submission(caller, command, new_id())))
    await use_events(request, caller, reply)
    return reply


def position_in(request: Request, reply: Reply) -> str | None:
    """Return the token of where a command was recorded, None where nothing was."""
    return reply.position and token_of(request, reply.position)


class Giving(NamedTuple):
    """Shape: `fingerprint_key` is the deployment's."""

    gate: Gate
    fingerprint_key: bytes

    async def give(self, request: Request, caller: Caller, command: Command, said: Any) -> Response:
        """Answer a request with the outcome of its command.

        Shape: `said` is what the caller said; under one `Idempotency-Key` it has to be the same each time.
        """
        given = submission(caller, command, command_id_of(request.headers.get("Idempotency-Key")))
        hash_ = fingerprint(given.name, said, None, key=self.fingerprint_key)
        reply = await self.gate.execute(given._replace(command_hash=hash_))
        await use_events(request, caller, reply)
        return answer_of(reply, request.app.state.log)
