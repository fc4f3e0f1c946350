"""What became of a command is asked by its id, and answered by the writer that would decide it."""

from collections.abc import Mapping
from typing import NamedTuple

from domain.rejection import Kind
from schemas.envelope import Actor, StreamId, TenantId
from streams.ports import MARK_DAYS, Answered, CommandKey, Refusal, Reply

_UNKNOWN = Refusal(
    Kind.NOT_FOUND,
    "you have sent no command under this id that is known here: either none was decided, or it was answered more than"
    f" {MARK_DAYS} days ago and recorded nothing; send it again under the same id",
)


class Inquiry(NamedTuple):
    """The question what the actor's command of an id was answered.

    Shape: it goes the way of commands, so whatever was sent before it is decided when it is answered.
    """

    command_id: str
    tenant_id: TenantId
    actor: Actor

    @property
    def key(self) -> CommandKey:
        return (self.tenant_id, self.actor, self.command_id)


def outcome(inquiry: Inquiry, answered: Mapping[CommandKey, Answered]) -> Reply:
    """Return the command's first answer, marked as `repeated`; one that is not is a refusal of the question itself."""
    if found := answered.get(inquiry.key):
        return found.reply._replace(repeated=True)
    return Reply(inquiry.command_id, "refused", StreamId("?"), 0, refusal=_UNKNOWN)
