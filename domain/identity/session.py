"""These are the commands, the events, the state and the rules of a session, from a user's sign-in to its end."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, assert_never

from domain.given import Given
from domain.identity.api_key import Sha256
from domain.identity.user import UserId
from domain.message import Command, Decider, Event, KeptApart, classes_of, filled, known, value
from domain.rejection import conflict, not_found
from schemas.envelope import StreamId
from schemas.values import Id, Text

SESSION_LASTS = timedelta(hours=12)


def session_stream(session_id: str) -> StreamId:
    return StreamId(f"session-{session_id}")


# --- commands


@value
class _OfSession(Command):
    session_id: Id

    @property
    def stream(self) -> StreamId:
        return session_stream(self.session_id)


@value
class StartSession(_OfSession):
    """The server sends it when a user has shown their password.

    Shape: `password` is the number of the one that the user gave: the session ends when there is a newer one.
    """

    IS_OURS: ClassVar = True
    user_id: UserId
    secret_sha256: Sha256
    password: int


@value
class EndSession(_OfSession):
    IS_FOR_OWN: ClassVar = True
    reason: Text = ""


SessionCommand = StartSession | EndSession

# --- events


@value
class SessionStarted(Event):
    TYPE: ClassVar = "session.started"
    user_id: str
    expires_at: datetime
    password: int
    secret_sha256: Annotated[str | None, KeptApart()] = None


@value
class SessionEnded(Event):
    TYPE: ClassVar = "session.ended"
    reason: str


SessionEvent = SessionStarted | SessionEnded

# --- state


@value
class Session:
    user_id: str
    ended: bool = False


def evolve_session(state: Session | None, event: SessionEvent) -> Session:
    match event:
        case SessionStarted():
            return Session(user_id=event.user_id)
        case SessionEnded():
            return replace(known(state), ended=True)
        case _:
            assert_never(event)


# --- rules


def decide_session(command: SessionCommand, state: Session | None, given: Given) -> tuple[SessionEvent, ...]:
    match command:
        case StartSession():
            if state is not None:
                raise conflict(f"session {command.session_id} is started already")
            return (filled(SessionStarted, command, expires_at=given.now + SESSION_LASTS),)
        case EndSession():
            if state is None:
                raise not_found(f"session {command.session_id} is not known")
            return () if state.ended else (SessionEnded(reason=command.reason),)
        case _:
            assert_never(command)


SESSION = Decider(
    category="session",
    commands=classes_of(SessionCommand),
    events=classes_of(SessionEvent),
    decide=decide_session,
    evolve=evolve_session,
)
