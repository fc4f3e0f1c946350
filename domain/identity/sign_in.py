"""These are the command, the events, the state and the rules of a sign-in through a provider: once, or not at all."""

from enum import StrEnum
from typing import ClassVar

from domain.given import Given
from domain.identity.user import UserId
from domain.message import Command, Decider, Event, classes_of, value
from domain.rejection import conflict, invalid
from schemas.envelope import StreamId
from schemas.values import Id


class Failure(StrEnum):
    """Why somebody whom the provider let in was not let in here."""

    TOKEN = "token"  # noqa: S105 - a word
    """What the provider gave does not say for sure who it is."""
    UNKNOWN = "unknown"
    """No user is linked with who it is, and none is invited with their address."""
    EMAIL = "email"
    """A user may be invited, but the provider has not verified the address."""


# --- commands


@value
class EndSignIn(Command):
    """The server sends it when a provider has let somebody in, who is a user of the tenant or not let in here.

    Shape: either `user_id` or `failure` is given. The server makes the id of the state that the browser brings back,
    so that none is used twice.
    """

    IS_OURS: ClassVar = True
    sign_in_id: Id
    provider_id: Id
    user_id: UserId | None = None
    failure: Failure | None = None

    @property
    def stream(self) -> StreamId:
        return StreamId(f"sign_in-{self.sign_in_id}")


# --- events


@value
class UserAuthenticated(Event):
    TYPE: ClassVar = "user.authenticated"
    provider_id: str
    user_id: str


@value
class UserLoginFailed(Event):
    TYPE: ClassVar = "user.login.failed"
    provider_id: str
    reason: str


SignInEvent = UserAuthenticated | UserLoginFailed

# --- state


@value
class SignIn:
    provider_id: str


def evolve_sign_in(_state: SignIn | None, event: SignInEvent) -> SignIn:
    return SignIn(provider_id=event.provider_id)


# --- rules


def decide_sign_in(command: EndSignIn, state: SignIn | None, _given: Given) -> tuple[SignInEvent, ...]:
    if state is not None:
        raise conflict(f"sign-in {command.sign_in_id} has ended already; begin another one")
    match command.user_id, command.failure:
        case str(user_id), None:
            return (UserAuthenticated(provider_id=command.provider_id, user_id=user_id),)
        case None, Failure() as failure:
            return (UserLoginFailed(provider_id=command.provider_id, reason=failure.value),)
        case _:
            raise invalid("give either user_id or failure")


SIGN_IN = Decider(
    category="sign_in",
    commands=classes_of(EndSignIn),
    events=classes_of(SignInEvent),
    decide=decide_sign_in,
    evolve=evolve_sign_in,
)
