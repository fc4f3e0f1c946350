"""The rules for sessions."""

from domain.identity.session import SESSION
from domain.rejection import Kind
from tests.examples.identity import END_SESSION, SESSION_ENDED, SESSION_STARTED, START_SESSION
from tests.given_when_then import Rules

session = Rules(SESSION)


def test_session_starts_once_and_lasts_half_a_day() -> None:
    session.given().when(START_SESSION).then(SESSION_STARTED)
    session.given(SESSION_STARTED).when(START_SESSION).then_refused(Kind.CONFLICT, "session s1 is started already")


def test_session_ends_once() -> None:
    session.given(SESSION_STARTED).when(END_SESSION).then(SESSION_ENDED)
    session.given(SESSION_STARTED, SESSION_ENDED).when(END_SESSION).then_nothing()
    session.given().when(END_SESSION).then_refused(Kind.NOT_FOUND, "session s1 is not known")
