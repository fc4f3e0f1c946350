"""What a route needs to be accepted is given to the writer here: a refusal ends the route."""

from domain import catalog
from domain.message import Command
from domain.rejection import Kind
from schemas.envelope import Actor, TenantId
from streams.identifiers import new_id
from streams.intake.http.commands import Gate
from streams.ports import Refusal, Reply, Submission


class Refused(Exception):  # noqa: N818
    """A rule refused what was asked for; nothing more was done. A retry gives the same answer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def checked(reply: Reply, *, but: Kind | None = None) -> Reply:
    """Return a reply that is no refusal, or one of the kind `but`. Raises: Refused."""
    if reply.refusal is not None and reply.refusal.kind is not but:
        raise Refused(reply.refusal)
    return reply


async def accepted(
    gate: Gate, tenant_id: TenantId, command: Command, actor: Actor, *, expected_version: int | None = None
) -> Reply:
    """Give a command to the writer, under an id of its own. Raises: Refused; LogUnavailable or Overloaded, retry."""
    name = catalog.name_of(type(command))
    given = Submission(new_id(), tenant_id, name, command, actor, expected_version=expected_version)
    return checked(await gate.execute(given))
