"""These are the commands, the events, the state and the rules of a user, who is invited and joins in time or not."""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, assert_never

from pydantic import Field, StringConstraints

from domain.given import Given
from domain.identity.api_key import Sha256
from domain.message import Command, Decider, Event, KeptApart, Personal, classes_of, filled, known, value
from domain.rejection import conflict, invalid, not_allowed, not_found
from schemas.envelope import StreamId
from schemas.values import Id, Instant, Text

INVITATION_LASTS = timedelta(days=7)
OFFER_LASTS = timedelta(days=1)

UserId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:~-]*$")]
"""An identifier that may be no address: it stands in the name of a stream, where nothing can be erased."""

Email = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^\s@\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+$")]


class Role(StrEnum):
    OWNER = "OWNER"
    ADMIN = "ADMIN"
    USER = "USER"
    VIEWER = "VIEWER"
    AUDITOR = "AUDITOR"


PasswordHash = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[\x21-\x7e]+$")]

_Apart = Annotated[str | None, KeptApart()]
"""A hash that is a credential, and in no payload."""


def user_stream(user_id: str) -> StreamId:
    return StreamId(f"user-{user_id}")


# --- commands


@value
class _OfUser(Command):
    user_id: UserId

    @property
    def stream(self) -> StreamId:
        return user_stream(self.user_id)


@value
class InviteUser(_OfUser):
    """Without `expires_at` the invitation lasts seven days.

    Shape: whoever has the text of which `token_sha256` is the hash may join and set a password.
    """

    email: Email
    roles: Annotated[tuple[Role, ...], Field(min_length=1, max_length=5)]
    expires_at: Instant | None = None
    token_sha256: Sha256 | None = None


@value
class AcceptInvitation(_OfUser):
    pass


@value
class WithdrawInvitation(_OfUser):
    reason: Text = ""


@value
class ExpireInvitation(_OfUser):
    """Refused until the invitation is over; a process sends it then."""


@value
class ChangeUserRole(_OfUser):
    roles: Annotated[tuple[Role, ...], Field(min_length=1, max_length=5)]


@value
class DisableUser(_OfUser):
    """Who is disabled may be invited again."""

    reason: Text = ""


@value
class OfferPassword(_OfUser):
    """Let whoever has the text of which this is the hash set the password of a user, and so join, for a day."""

    # the server's own routes check what these two need
    IS_OURS: ClassVar = True
    token_sha256: Sha256


@value
class SetPassword(_OfUser):
    """Who was invited joins with it. The caller has checked the right to do so, and sends a slow hash."""

    IS_OURS: ClassVar = True
    password_hash: PasswordHash


@value
class LinkIdentity(_OfUser):
    """Who was invited joins with it. The caller has checked that this is who the user is at the provider.

    Shape: `identity_sha256` is of the provider's address and its name for the person; a user has one at a time. Where
    `joins` is false it is a user who links themselves, and one who has not joined is refused.
    """

    IS_OURS: ClassVar = True
    provider_id: Id
    identity_sha256: Sha256
    joins: bool = True


@value
class UnlinkIdentity(_OfUser):
    """The user does not sign in through the provider any more; sessions go on until they end."""

    reason: Text = ""


UserCommand = (
    InviteUser
    | AcceptInvitation
    | WithdrawInvitation
    | ExpireInvitation
    | ChangeUserRole
    | DisableUser
    | OfferPassword
    | SetPassword
    | LinkIdentity
    | UnlinkIdentity
)

# --- events


@value
class UserInvited(Event):
    TYPE: ClassVar = "user.invited"
    email: Annotated[str, Personal()]
    roles: tuple[str, ...]
    expires_at: datetime
    token_sha256: _Apart = None


@value
class UserJoined(Event):
    TYPE: ClassVar = "user.joined"
    roles: tuple[str, ...]


@value
class InvitationWithdrawn(Event):
    TYPE: ClassVar = "user.invitation.withdrawn"
    reason: str


@value
class InvitationExpired(Event):
    TYPE: ClassVar = "user.invitation.expired"
    expires_at: datetime


@value
class UserRoleChanged(Event):
    TYPE: ClassVar = "user.role.changed"
    roles: tuple[str, ...]


@value
class UserDisabled(Event):
    TYPE: ClassVar = "user.disabled"
    reason: str


@value
class PasswordOffered(Event):
    TYPE: ClassVar = "user.password.offered"
    expires_at: datetime
    token_sha256: _Apart = None


@value
class PasswordSet(Event):
    """Shape: `number` counts the passwords of the user; whoever signed in with an earlier one has to do so again."""

    TYPE: ClassVar = "user.password.set"
    roles: tuple[str, ...]
    number: int
    password_hash: _Apart = None


@value
class IdentityLinked(Event):
    """Shape: it takes the place of an identity that the user had before."""

    TYPE: ClassVar = "user.identity.linked"
    roles: tuple[str, ...]
    provider_id: str
    identity_sha256: _Apart = None


@value
class IdentityUnlinked(Event):
    TYPE: ClassVar = "user.identity.unlinked"
    provider_id: str
    reason: str


UserEvent = (
    UserInvited
    | UserJoined
    | InvitationWithdrawn
    | InvitationExpired
    | UserRoleChanged
    | UserDisabled
    | PasswordOffered
    | PasswordSet
    | IdentityLinked
    | IdentityUnlinked
)

# --- state


class UserStatus(StrEnum):
    INVITED = "INVITED"
    ACTIVE = "ACTIVE"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"
    DISABLED = "DISABLED"


@value
class User:
    """Shape: `linked` is the provider that the user may sign in through, None where there is none."""

    email: str
    roles: tuple[str, ...]
    expires_at: datetime
    status: UserStatus = UserStatus.INVITED
    passwords: int = 0
    linked: str | None = None


def evolve_user(state: User | None, event: UserEvent) -> User:
    match event:
        case UserInvited():
            return filled(User, event, passwords=0 if state is None else state.passwords)
        case UserRoleChanged():
            return replace(known(state), roles=event.roles)
        case UserDisabled():
            return replace(known(state), status=UserStatus.DISABLED)
        case PasswordOffered():
            return known(state)
        case PasswordSet():
            return replace(known(state), passwords=event.number)
        case IdentityLinked() | IdentityUnlinked():
            return replace(known(state), linked=event.provider_id if isinstance(event, IdentityLinked) else None)
        case UserJoined():
            return replace(known(state), status=UserStatus.ACTIVE)
        case InvitationWithdrawn():
            return replace(known(state), status=UserStatus.WITHDRAWN)
        case InvitationExpired():
            return replace(known(state), status=UserStatus.EXPIRED)
        case _:
            assert_never(event)


# --- rules


def decide_user(command: UserCommand, state: User | None, given: Given) -> tuple[UserEvent, ...]:
    if isinstance(command, InviteUser):
        return _invite(command, state, given)
    if state is None:
        raise not_found(f"user {command.user_id} is not known; invite them first")
    match command:
        case AcceptInvitation():
            return _accept(command, state, given)
        case WithdrawInvitation() | ExpireInvitation():
            return _end_invitation(command, state, given)
        case SetPassword():
            joined = _accept(command, state, given)
            number = state.passwords + 1
            return (*joined, PasswordSet(roles=state.roles, number=number, password_hash=command.password_hash))
        case LinkIdentity():
            if not command.joins and state.status is not UserStatus.ACTIVE:
                raise not_allowed(f"user {command.user_id} has not joined, they are {state.status}")
            return (*_accept(command, state, given), filled(IdentityLinked, command, roles=state.roles))
        case UnlinkIdentity():
            return _unlinked(state, command.reason)
        case ChangeUserRole() | DisableUser() | OfferPassword():
            return _change(command, state, given)
        case _:
            assert_never(command)


def _end_invitation(command: WithdrawInvitation | ExpireInvitation, state: User, given: Given) -> tuple[UserEvent, ...]:
    is_open = state.status is UserStatus.INVITED
    if isinstance(command, WithdrawInvitation):
        if state.status is UserStatus.ACTIVE:
            raise not_allowed(f"user {command.user_id} has joined already")
        return (InvitationWithdrawn(reason=command.reason),) if is_open else ()
    if is_open and given.now < state.expires_at:
        raise not_allowed(f"the invitation of user {command.user_id} lasts until {state.expires_at.isoformat()}")
    return (InvitationExpired(expires_at=state.expires_at),) if is_open else ()


def _change(command: ChangeUserRole | DisableUser | OfferPassword, state: User, given: Given) -> tuple[UserEvent, ...]:
    if isinstance(command, DisableUser) and state.status is UserStatus.DISABLED:
        return ()
    # an invitation that was made without a token gets one in this way
    is_offer = isinstance(command, OfferPassword) and state.status is UserStatus.INVITED
    if state.status is not UserStatus.ACTIVE and not is_offer:
        raise not_allowed(f"user {command.user_id} has not joined, they are {state.status}")
    match command:
        case ChangeUserRole():
            roles = tuple(role.value for role in command.roles)
            return () if roles == state.roles else (UserRoleChanged(roles=roles),)
        case DisableUser():
            # whoever is invited again under this id may be somebody else
            return (UserDisabled(reason=command.reason), *_unlinked(state, "the user is disabled"))
        case OfferPassword():
            return (PasswordOffered(expires_at=given.now + OFFER_LASTS, token_sha256=command.token_sha256),)
        case _:
            assert_never(command)


def _unlinked(state: User, reason: str) -> tuple[UserEvent, ...]:
    return () if state.linked is None else (IdentityUnlinked(provider_id=state.linked, reason=reason),)


def _invite(command: InviteUser, state: User | None, given: Given) -> tuple[UserEvent, ...]:
    roles = tuple(role.value for role in command.roles)
    expires_at = command.expires_at or given.now + INVITATION_LASTS
    if expires_at <= given.now:
        raise invalid(f"expires_at must be later than now, {given.now.isoformat()}")
    if state is not None and state.status is UserStatus.ACTIVE:
        raise conflict(f"user {command.user_id} has joined already")
    if state is not None and state.status is UserStatus.INVITED and given.now < state.expires_at:
        until = command.expires_at or state.expires_at
        # with a token of its own it is another invitation: the first one's token is not known any more
        is_same = (command.email, roles, until) == (state.email, state.roles, state.expires_at)
        if is_same and command.token_sha256 is None:
            return ()
        raise conflict(f"user {command.user_id} is invited already; withdraw that invitation first")
    invited = UserInvited(email=command.email, roles=roles, expires_at=expires_at, token_sha256=command.token_sha256)
    return (invited,)


def _accept(command: AcceptInvitation | SetPassword | LinkIdentity, state: User, given: Given) -> tuple[UserEvent, ...]:
    if state.status is UserStatus.ACTIVE:
        return ()
    if state.status is UserStatus.WITHDRAWN:
        raise not_allowed(f"the invitation of user {command.user_id} was withdrawn")
    if state.status is UserStatus.DISABLED:
        raise not_allowed(f"user {command.user_id} is disabled; invite them again")
    # the process may be a moment late, or not have come to it yet
    if state.status is UserStatus.EXPIRED or given.now >= state.expires_at:
        raise not_allowed(
            f"the invitation of user {command.user_id} expired at {state.expires_at.isoformat()}; invite them again"
        )
    return (UserJoined(roles=state.roles),)


USER = Decider(
    category="user",
    commands=classes_of(UserCommand),
    events=classes_of(UserEvent),
    decide=decide_user,
    evolve=evolve_user,
)
