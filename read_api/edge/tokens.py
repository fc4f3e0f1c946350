"""A position that leaves the system says of which log it is, and since which restore: `events/0/42@4c1d2e3f5a6b.1`."""

from collections.abc import Sequence
from hashlib import sha256

from fastapi import Request

from read_api.edge.problems import Problem
from schemas.envelope import Position

_TAG_CHARACTERS = 12


def log_tag(log_id: str, epoch: int) -> str:
    """Return what tells one log, and one epoch of it, from others in a token."""
    return f"{sha256(log_id.encode()).hexdigest()[:_TAG_CHARACTERS]}.{epoch}"


def token(position: Position, log: str) -> str:
    return f"{position}@{log}" if log else str(position)


def token_of(request: Request, position: Position) -> str:
    """Return the token of a position of this application's log."""
    return token(position, request.app.state.log)


def check_log(texts: Sequence[str], log: str) -> None:
    """Do nothing where tokens are of this log; those of earlier versions do not say. Raises: Problem (409)."""
    for text in texts:
        of = text.strip().partition("@")[2]
        if of and of != log:
            raise Problem(
                409,
                f"{text.strip()[:100]} is of another log, or from before this one was restored; ask without it",
            )
