"""Who may sign in, how, and who is signed in, follows from the events of users, of providers and of sessions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from domain.identity.session import SESSION_LASTS, SessionEnded, SessionStarted
from domain.identity.sign_in_provider import SignInProviderRemoved, SignInProviderSet
from domain.identity.user import (
    IdentityLinked,
    IdentityUnlinked,
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
from schemas.envelope import Envelope, StreamId
from schemas.payload import Encoded

MEMBER, PASSWORD, OFFER, SESSION = "member", "password", "offer", "session"
IDENTITY, PROVIDER, SECRET = "identity", "provider", "secret"
DISABLED = "disabled"
"""The part of a user that says when they were disabled last; it stays when somebody is invited under their id again."""
LINKED = "linked"
"""The part of an identity that says which user it was linked with last; it counts while the user has it."""

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
        IdentityLinked,
        IdentityUnlinked,
        SignInProviderSet,
        SignInProviderRemoved,
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

    @property
    def began_at(self) -> datetime:
        return self.expires_at - SESSION_LASTS


class Provider(NamedTuple):
    """A provider through which people of a tenant sign in. Shape: `sealed` is the secret that it knows us by."""

    id: str
    name: str
    issuer: str
    client_id: str
    sealed: str


def identity_stream(identity_sha256: str) -> StreamId:
    """Return what the part is kept under that says whose an identity is: nothing is recorded there."""
    return StreamId(f"identity-{identity_sha256}")


def user_stream(user_id: str) -> StreamId:
    return StreamId(f"user-{user_id}")


def linked(event: Envelope) -> str | None:
    """Return the identity that an event that was just decided links with its user, None for all others."""
    apart = event.data.apart if isinstance(event.data, Encoded) else {}
    return apart.get("identity_sha256") if event.type == IdentityLinked.TYPE else None


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
            disabled = {"at": instant_text(event.recorded_at)}
            return {MEMBER: NOTHING, PASSWORD: NOTHING, OFFER: NOTHING, DISABLED: disabled}
        case IdentityLinked.TYPE | IdentityUnlinked.TYPE:
            return _identity(event, apart)
        case SignInProviderSet.TYPE | SignInProviderRemoved.TYPE:
            return _provider(event, apart)
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


def _identity(event: Envelope, apart: Mapping[str, Any]) -> Parts:
    if event.type == IdentityUnlinked.TYPE:
        return {IDENTITY: NOTHING}
    member = {MEMBER: {"roles": list(event.data["roles"])}, OFFER: NOTHING}
    return {**member, IDENTITY: {"sha256": digest}} if (digest := apart.get("identity_sha256")) else member


def _provider(event: Envelope, apart: Mapping[str, Any]) -> Parts:
    if event.type == SignInProviderRemoved.TYPE:
        return {PROVIDER: NOTHING, SECRET: NOTHING}
    said = {PROVIDER: {name: event.data[name] for name in ("name", "issuer", "client_id")}}
    return {**said, SECRET: {"sealed": apart["sealed"]}} if apart.get("sealed") else said


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


def disabled_at_of(parts: Parts) -> datetime | None:
    """Return when a user was disabled last, None where that never was, or before it was remembered."""
    found = parts.get(DISABLED)
    return datetime.fromisoformat(found["at"]) if found else None


def identity_of(parts: Parts) -> str | None:
    """Return the hash of the identity that a user signs in with, None where there is none."""
    return (parts.get(IDENTITY) or NOTHING).get("sha256")


def linked_user_of(parts: Parts) -> str | None:
    """Return which user an identity was linked with last, None where there was none."""
    return (parts.get(LINKED) or NOTHING).get("user_id")


def provider_of(provider_id: str, parts: Parts) -> Provider | None:
    """Return the provider of a stream, None where there is none, or not any more."""
    said, secret = parts.get(PROVIDER), parts.get(SECRET)
    return Provider(provider_id, **said, sealed=secret["sealed"]) if said and secret else None


def offer_of(parts: Parts) -> Offer | None:
    if not (found := parts.get(OFFER)):
        return None
    return Offer(found["token_sha256"], datetime.fromisoformat(found["expires_at"]), found["version"])


def session_of(parts: Parts) -> Session | None:
    if not (found := parts.get(SESSION)):
        return None
    expires_at = datetime.fromisoformat(found["expires_at"])
    return Session(found["user_id"], found["secret_sha256"], expires_at, found["number"])
