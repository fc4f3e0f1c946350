"""Every rule refuses a command in the same way, which is defined here."""

import re
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """Why a command was refused; a refusal is a reply, never an event."""

    INVALID = "invalid"
    CONFLICT = "conflict"
    NOT_FOUND = "not_found"
    NOT_ALLOWED = "not_allowed"
    NOT_NOW = "not_now"
    REUSED = "reused"
    EXPIRED = "expired"
    """These two no rule says: the id is that of another command; the deadline was over before it was decided."""


class CommandRejected(Exception):  # noqa: N818 - the design's name: it says what happened
    """A rule refused the command; nothing was recorded. Retrying helps only for `not_now`."""

    def __init__(self, kind: Kind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


def invalid(reason: str) -> CommandRejected:
    return CommandRejected(Kind.INVALID, reason)


def conflict(reason: str) -> CommandRejected:
    return CommandRejected(Kind.CONFLICT, reason)


def not_found(reason: str) -> CommandRejected:
    return CommandRejected(Kind.NOT_FOUND, reason)


def not_allowed(reason: str) -> CommandRejected:
    return CommandRejected(Kind.NOT_ALLOWED, reason)


_FREE_AT = "it is free again at "


def not_now(reason: str, free_at: datetime | None = None) -> CommandRejected:
    """Shape: `free_at` is from when on it may be accepted, where a limit is reached; the reason then ends with it."""
    return CommandRejected(Kind.NOT_NOW, reason if free_at is None else f"{reason}; {_FREE_AT}{free_at.isoformat()}")


def free_again(reason: str) -> datetime | None:
    """Return from when on a command may be accepted that was refused `not_now`, None where no limit was reached."""
    found = re.search(rf"{_FREE_AT}(\S+)$", reason)
    return datetime.fromisoformat(found[1]) if found else None
