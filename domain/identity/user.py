"""These are the commands, the events, the state and the rules of a user, who is invited and joins in time or not."""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, assert_never

from pydantic import Field, StringConstraints

from domain.given import Given
from domain.message import Command, Decider, Event, Personal, classes_of, filled, known, value
from domain.rejection import conflict, invalid, not_allowed, not_found
from schemas.envelope import StreamId
from schemas.values import Instant, Text

INVITATION_LASTS = timedelta(days=7)

UserId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:~-]*$")]
"""An identifier that may be no address: it stands in the name of a stream, where nothing can be erased."""

Email = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^\s@\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+$")]


class Role(StrEnum):
    OWNER = "OWNER"
    ADMIN = "ADMIN"
    USER = "USER"
    VIEWER = "VIEWER"
    AUDITOR = "AUDITOR"


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
    """Without `expires_at` the invitation lasts seven days."""

    email: Email
    roles: Annotated[tuple[Role, ...], Field(min_length=1, max_length=5)]
    expires_at: Instant | None = None


@value
class AcceptInvitation(_OfUser):
    pass


@value
class WithdrawInvitation(_OfUser):
    reason: Text = ""


@value
class ExpireInvitation(_OfUser):
    """Refused until the invitation is over; a process sends it then."""


UserCommand = InviteUser | AcceptInvitation | WithdrawInvitation | ExpireInvitation

# --- events


@value
class UserInvited(Event):
    TYPE: ClassVar = "user.invited"
    email: Annotated[str, Personal()]
    roles: tuple[str, ...]
    expires_at: datetime


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


UserEvent = UserInvited | UserJoined | InvitationWithdrawn | InvitationExpired

# --- state


class UserStatus(StrEnum):
    INVITED = "INVITED"
    ACTIVE = "ACTIVE"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"


@value
class User:
    email: str
    roles: tuple[str, ...]
    expires_at: datetime
    status: UserStatus = UserStatus.INVITED


def evolve_user(state: User | None, event: UserEvent) -> User:
    match event:
        case UserInvited():
            return filled(User, event)
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
    is_open = state.status is UserStatus.INVITED
    match command:
        case AcceptInvitation():
            return _accept(command, state, given)
        case WithdrawInvitation():
            if state.status is UserStatus.ACTIVE:
                raise not_allowed(f"user {command.user_id} has joined already")
            return (InvitationWithdrawn(reason=command.reason),) if is_open else ()
        case ExpireInvitation():
            if is_open and given.now < state.expires_at:
                raise not_allowed(
                    f"the invitation of user {command.user_id} lasts until {state.expires_at.isoformat()}"
                )
            return (InvitationExpired(expires_at=state.expires_at),) if is_open else ()
        case _:
            assert_never(command)


def _invite(command: InviteUser, state: User | None, given: Given) -> tuple[UserEvent, ...]:
    roles = tuple(role.value for role in command.roles)
    expires_at = command.expires_at or given.now + INVITATION_LASTS
    if expires_at <= given.now:
        raise invalid(f"expires_at must be later than now, {given.now.isoformat()}")
    if state is not None and state.status is UserStatus.ACTIVE:
        raise conflict(f"user {command.user_id} has joined already")
    if state is not None and state.status is UserStatus.INVITED and given.now < state.expires_at:
        until = command.expires_at or state.expires_at
        if (command.email, roles, until) == (state.email, state.roles, state.expires_at):
            return ()
        raise conflict(f"user {command.user_id} is invited already; withdraw that invitation first")
    return (UserInvited(email=command.email, roles=roles, expires_at=expires_at),)


def _accept(command: AcceptInvitation, state: User, given: Given) -> tuple[UserEvent, ...]:
    if state.status is UserStatus.ACTIVE:
        return ()
    if state.status is UserStatus.WITHDRAWN:
        raise not_allowed(f"the invitation of user {command.user_id} was withdrawn")
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
