"""These are the commands, the events, the state and the rules of a consent: a user lets a client act for them."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Literal, assert_never

from pydantic import Field, StringConstraints

from domain.given import Given
from domain.identity.api_key import Scope, Sha256
from domain.identity.client import RedirectUri
from domain.identity.user import UserId
from domain.message import Command, Decider, Event, KeptApart, classes_of, filled, known, value
from domain.rejection import conflict, not_allowed, not_found
from schemas.envelope import StreamId
from schemas.values import Id, Text

CODE_LASTS = timedelta(seconds=60)
CONSENT_LASTS = timedelta(days=30)

CodeChallenge = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""The SHA-256 of the client's verifier in base64url. Source: RFC 7636, section 4.2."""

OPENID, PROFILE, EMAIL = WHO = ("openid", "profile", "email")
"""The scopes by which a client asks who its user is; the first one goes with each of the others.

Source: OpenID Connect Core 1.0, section 5.4.
"""

_Apart = Annotated[str | None, KeptApart()]


def consent_stream(consent_id: str) -> StreamId:
    return StreamId(f"consent-{consent_id}")


# --- commands


@value
class _OfConsent(Command):
    consent_id: Id

    @property
    def stream(self) -> StreamId:
        return consent_stream(self.consent_id)


@value
class GiveConsent(_OfConsent):
    """The server sends it when a user has allowed a client to act for them; the client gets a code.

    Shape: `password` is the number of the one that the user signed in with: the consent ends when there is a newer one.
    """

    IS_OURS: ClassVar = True
    client_id: Id
    user_id: UserId
    scopes: Annotated[tuple[Scope | Literal["openid", "profile", "email"], ...], Field(min_length=1, max_length=53)]
    redirect_uri: RedirectUri
    code_challenge: CodeChallenge
    code_sha256: Sha256
    password: int
    nonce: Annotated[str, StringConstraints(max_length=255)] | None = None


@value
class RedeemCode(_OfConsent):
    """The server sends it when the client has shown the code and its verifier; the client gets its first tokens."""

    IS_OURS: ClassVar = True
    family_sha256: Sha256
    refresh_sha256: Sha256


@value
class RotateRefreshToken(_OfConsent):
    """The server sends it when the client has shown its refresh token; the client gets the next one."""

    IS_OURS: ClassVar = True
    refresh_sha256: Sha256


@value
class EndConsent(_OfConsent):
    """No token that came of the consent is good any more."""

    IS_FOR_OWN: ClassVar = True
    reason: Text = ""


ConsentCommand = GiveConsent | RedeemCode | RotateRefreshToken | EndConsent

# --- events


@value
class ConsentGiven(Event):
    TYPE: ClassVar = "consent.given"
    client_id: str
    user_id: str
    scopes: tuple[str, ...]
    redirect_uri: str
    password: int
    code_expires_at: datetime
    expires_at: datetime
    code_challenge: _Apart = None
    code_sha256: _Apart = None
    nonce: _Apart = None


@value
class CodeRedeemed(Event):
    """Shape: `number` counts the refresh tokens of the consent; this is the first."""

    TYPE: ClassVar = "consent.code.redeemed"
    number: int
    family_sha256: _Apart = None
    refresh_sha256: _Apart = None


@value
class RefreshTokenRotated(Event):
    TYPE: ClassVar = "consent.refresh_token.rotated"
    number: int
    refresh_sha256: _Apart = None


@value
class ConsentEnded(Event):
    TYPE: ClassVar = "consent.ended"
    reason: str


ConsentEvent = ConsentGiven | CodeRedeemed | RefreshTokenRotated | ConsentEnded

# --- state


@value
class Consent:
    """Shape: `number` counts its refresh tokens, 0 while its code was not redeemed."""

    code_expires_at: datetime
    expires_at: datetime
    number: int = 0
    ended: bool = False


def evolve_consent(state: Consent | None, event: ConsentEvent) -> Consent:
    match event:
        case ConsentGiven():
            return filled(Consent, event)
        case CodeRedeemed() | RefreshTokenRotated():
            return replace(known(state), number=event.number)
        case ConsentEnded():
            return replace(known(state), ended=True)
        case _:
            assert_never(event)


# --- rules


def decide_consent(command: ConsentCommand, state: Consent | None, given: Given) -> tuple[ConsentEvent, ...]:
    if isinstance(command, GiveConsent):
        if state is not None:
            raise conflict(f"consent {command.consent_id} is given already")
        code_expires_at, expires_at = given.now + CODE_LASTS, given.now + CONSENT_LASTS
        return (filled(ConsentGiven, command, code_expires_at=code_expires_at, expires_at=expires_at),)
    if state is None:
        raise not_found(f"consent {command.consent_id} is not known")
    match command:
        case EndConsent():
            return () if state.ended else (ConsentEnded(reason=command.reason),)
        case RedeemCode():
            _check_open(state, state.code_expires_at, given)
            if state.number:
                raise not_allowed("the code was redeemed already")
            return (filled(CodeRedeemed, command, number=1),)
        case RotateRefreshToken():
            _check_open(state, state.expires_at, given)
            if not state.number:
                raise not_allowed("the code was not redeemed yet, so there is no refresh token")
            return (filled(RefreshTokenRotated, command, number=state.number + 1),)
        case _:
            assert_never(command)


def _check_open(state: Consent, until: datetime, given: Given) -> None:
    """Raises: CommandRejected."""
    if state.ended:
        raise not_allowed("the consent is ended; the user has to give another one")
    if given.now >= until:
        raise not_allowed(f"it was good until {until.isoformat()}; the user has to give another consent")


CONSENT = Decider(
    category="consent",
    commands=classes_of(ConsentCommand),
    events=classes_of(ConsentEvent),
    decide=decide_consent,
    evolve=evolve_consent,
)
