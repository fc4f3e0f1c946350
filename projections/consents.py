"""What a client has to show that acts for a user, and until when it is good, follows from the events of a consent."""

from datetime import datetime
from typing import NamedTuple

from domain.identity.consent import (
    EMAIL,
    OPENID,
    PROFILE,
    WHO,
    CodeRedeemed,
    ConsentEnded,
    ConsentGiven,
    RefreshTokenRotated,
)
from projections.fields import instant_text
from projections.sign_in import NOTHING, Parts
from schemas.envelope import Envelope, StreamId
from schemas.payload import Encoded

CONSENT, CODE, FAMILY, REFRESH = "consent", "code", "family", "refresh"

TYPES = frozenset(event.TYPE for event in (ConsentGiven, CodeRedeemed, RefreshTokenRotated, ConsentEnded))


class Code(NamedTuple):
    """What a client shows first, once, with the verifier of which `challenge` is the hash.

    Shape: `nonce` is what the client wants to read again in the ID token.
    """

    sha256: str
    challenge: str
    redirect_uri: str
    expires_at: datetime
    nonce: str | None


class Refresh(NamedTuple):
    """The refresh token that is good now.

    Shape: each has the secret of the family beside its own, so that an older one is told from an invented one. It is
    the `number`th, and good while the consent's stream is at `version`.
    """

    sha256: str
    family_sha256: str
    number: int
    version: int


class Consent(NamedTuple):
    """A user lets a client act for them.

    Shape: `refresh` is None while the code was not redeemed. It is good while the user's password is that of this
    number.
    """

    client_id: str
    user_id: str
    scopes: tuple[str, ...]
    password: int
    expires_at: datetime
    code: Code
    refresh: Refresh | None


def consent_stream(consent_id: str) -> StreamId:
    return StreamId(f"consent-{consent_id}")


def rights_of(scope: str) -> tuple[str, ...]:
    """Return which scopes of a token are rights here: that a client may know who its user is opens nothing."""
    return tuple(one for one in scope.split() if one not in WHO)


class MayKnow(NamedTuple):
    """What a client may know of its user; without `user` nothing at all."""

    user: bool
    name: bool
    email: bool


def known_by(scope: str) -> MayKnow:
    """Return what a client with these scopes may know of its user."""
    scopes = scope.split()
    return MayKnow(OPENID in scopes, PROFILE in scopes, EMAIL in scopes)


def changes(event: Envelope) -> Parts:
    """Return the parts that an event changes; what is kept apart from it comes with one that was just decided."""
    data, apart = event.data, event.data.apart if isinstance(event.data, Encoded) else {}
    match event.type:
        case ConsentGiven.TYPE:
            given = {name: data[name] for name in ("client_id", "user_id", "scopes", "password")}
            code = {
                "sha256": apart.get("code_sha256"),
                "challenge": apart.get("code_challenge"),
                "redirect_uri": data["redirect_uri"],
                "expires_at": instant_text(data["code_expires_at"]),
                "nonce": apart.get("nonce"),
            }
            return {CONSENT: {**given, "expires_at": instant_text(data["expires_at"])}, CODE: code}
        case CodeRedeemed.TYPE | RefreshTokenRotated.TYPE:
            refresh = {"sha256": apart.get("refresh_sha256"), "number": data["number"], "version": event.version}
            family = {FAMILY: {"sha256": apart["family_sha256"]}} if "family_sha256" in apart else {}
            return {**family, REFRESH: refresh}
        case _:
            return {CONSENT: NOTHING, CODE: NOTHING, FAMILY: NOTHING, REFRESH: NOTHING}


def consent_of(parts: Parts) -> Consent | None:
    """Return the consent of a stream, None where there is none, or not any more."""
    given, code = parts.get(CONSENT), parts.get(CODE)
    if not given or not code or code["sha256"] is None:
        return None
    family, refresh = parts.get(FAMILY), parts.get(REFRESH)
    return Consent(
        given["client_id"],
        given["user_id"],
        tuple(given["scopes"]),
        given["password"],
        datetime.fromisoformat(given["expires_at"]),
        # a code of an earlier version has no nonce
        Code(
            code["sha256"],
            code["challenge"],
            code["redirect_uri"],
            datetime.fromisoformat(code["expires_at"]),
            code.get("nonce"),
        ),
        Refresh(refresh["sha256"], family["sha256"], refresh["number"], refresh["version"])
        if family and refresh
        else None,
    )
