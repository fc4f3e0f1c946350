"""A command that may carry personal data is sealed on its way to its writer: its topic keeps it for days."""

from functools import cache

from domain import catalog
from domain.message import Command, Personal, marked_fields
from infra.master_key import MasterKey
from schemas.sealed import Tampered, seal, unseal
from streams.ports import Submission
from streams.write.messages import encode_submission

_PLACE = b"command"
_SEALED = b"\x01"
"""Begins a sealed message; one in the open is JSON."""


class SealedCommands:
    """Seals and opens the messages of one deployment, with a key that is made of its master key."""

    def __init__(self, master: MasterKey) -> None:
        self._key = master.derived("commands")

    def seal(self, message: bytes) -> bytes:
        return seal(self._key, message, _PLACE)

    def opened(self, message: bytes) -> bytes:
        """Return the message of a record; one that does not open is given as it is, and is no command."""
        if message[:1] != _SEALED:
            return message
        try:
            return unseal(self._key, message, _PLACE)
        except Tampered:
            return message


def message_of(submission: Submission, sealing: SealedCommands | None) -> bytes:
    """Return what is sent. Shape: a sender without the key sends no command that may carry personal data."""
    message = encode_submission(submission)
    if not _may_be_personal(submission.command):
        return message
    if sealing is None:
        raise ValueError(f"{submission.name} may carry personal data; give the gate the master key")
    return sealing.seal(message)


def _may_be_personal(command: Command) -> bool:
    own, leads_to_personal_events = _marks(catalog.name_of(type(command)))
    return leads_to_personal_events or any(getattr(command, name) is not None for name in own)


@cache
def _marks(name: str) -> tuple[tuple[str, ...], bool]:
    command = catalog.COMMANDS[name]
    events = catalog.decider_of(command).events
    return marked_fields(command, Personal), any(marked_fields(event, Personal) for event in events)
