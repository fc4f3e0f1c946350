"""Who may sign in, and who is signed in, follows from the events of users and of their sessions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from domain.identity.session import SessionEnded, SessionStarted
from domain.identity.user import (
    InvitationExpired,
    InvitationWithdrawn,
    PasswordOffered,
    PasswordSet,
    UserDisabled,
    UserInvited,
    UserJoined,
    UserRoleChanged,
)
from projections.fields import instant_text
from schemas.envelope import Envelope
from schemas.payload import Encoded

MEMBER, PASSWORD, OFFER, SESSION = "member", "password", "offer", "session"

Parts = Mapping[str, Mapping[str, Any]]
"""The parts of a credential by their names."""

NOTHING: Mapping[str, Any] = {}
"""Stands for a part that is not there any more."""

TYPES = frozenset(
    event.TYPE
    for event in (
        UserInvited,
        UserJoined,
        InvitationWithdrawn,
        InvitationExpired,
        UserRoleChanged,
        UserDisabled,
        PasswordOffered,
        PasswordSet,
        SessionStarted,
        SessionEnded,
    )
)


class Member(NamedTuple):
    """A user who has joined and may ask.

    Shape: `password_hash` is None for one without a password; `number` counts their passwords.
    """

    roles: tuple[str, ...]
    password_hash: str | None
    number: int


class Offer(NamedTuple):
    """A right to set a user's password, good until `expires_at`, and while the user's stream is at `version`."""

    token_sha256: str
    expires_at: datetime
    version: int


class Session(NamedTuple):
    """A sign-in. Shape: it is good while the user's password is the one of this number."""

    user_id: str
    secret_sha256: str
    expires_at: datetime
    number: int


def changes(event: Envelope) -> Parts:
    """Return the parts that an event changes; what is kept apart from it comes with one that was just decided."""
    data, apart = event.data, event.data.apart if isinstance(event.data, Encoded) else {}
    match event.type:
        case UserInvited.TYPE | PasswordOffered.TYPE:
            return {OFFER: _offer(event, apart.get("token_sha256"))}
        case UserJoined.TYPE:
            return {MEMBER: {"roles": list(data["roles"])}, OFFER: NOTHING}
        case UserRoleChanged.TYPE:
            return {MEMBER: {"roles": list(data["roles"])}}
        case PasswordSet.TYPE:
            # the roles too: who joined before there were passwords is not a member here yet
            member = {"roles": list(data["roles"])}
            return {MEMBER: member, OFFER: NOTHING, PASSWORD: _password(data, apart.get("password_hash"))}
        case InvitationWithdrawn.TYPE | InvitationExpired.TYPE:
            return {OFFER: NOTHING}
        case UserDisabled.TYPE:
            return {MEMBER: NOTHING, PASSWORD: NOTHING, OFFER: NOTHING}
        case SessionStarted.TYPE:
            return {SESSION: _session(data, apart.get("secret_sha256"))}
        case _:
            return {SESSION: NOTHING}


def _offer(event: Envelope, token_sha256: str | None) -> Mapping[str, Any]:
    if token_sha256 is None:
        return NOTHING
    expires_at = instant_text(event.data["expires_at"])
    return {"token_sha256": token_sha256, "expires_at": expires_at, "version": event.version}


def _password(data: Mapping[str, Any], hash_: str | None) -> Mapping[str, Any]:
    return NOTHING if hash_ is None else {"hash": hash_, "number": data["number"]}


def _session(data: Mapping[str, Any], secret_sha256: str | None) -> Mapping[str, Any]:
    if secret_sha256 is None:
        return NOTHING
    return {
        "user_id": data["user_id"],
        "secret_sha256": secret_sha256,
        "expires_at": instant_text(data["expires_at"]),
        "number": data["password"],
    }


def member_of(parts: Parts) -> Member | None:
    if not (found := parts.get(MEMBER)):
        return None
    password = parts.get(PASSWORD) or {}
    roles: Sequence[str] = found["roles"]
    return Member(tuple(roles), password.get("hash"), password.get("number", 0))


def offer_of(parts: Parts) -> Offer | None:
    if not (found := parts.get(OFFER)):
        return None
    return Offer(found["token_sha256"], datetime.fromisoformat(found["expires_at"]), found["version"])


def session_of(parts: Parts) -> Session | None:
    if not (found := parts.get(SESSION)):
        return None
    expires_at = datetime.fromisoformat(found["expires_at"])
    return Session(found["user_id"], found["secret_sha256"], expires_at, found["number"])
