"""An ID token of a provider says who signed in there, to whoever asked for it, and to nobody else."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from read_api.edge.auth import Unauthenticated
from read_api.edge.jws import BadToken, VerifyKey, read_token, verify_token
from read_api.edge.jwt import SUBJECT, check_times


class Expected(NamedTuple):
    """What an ID token must say. Shape: `nonce` was sent with this one sign-in."""

    issuer: str
    client_id: str
    nonce: str


class Identity(NamedTuple):
    """Who somebody is at a provider. Shape: `email` is one that the provider has verified, None where there is none."""

    sha256: str
    email: str | None
    says_email: bool


def identity_in(text: str, keys: Sequence[VerifyKey], expected: Expected, now: float) -> Identity:
    """Return who an ID token says signed in. Units: `now` is seconds since 1970.

    Raises: BadToken.
    Source: OpenID Connect Core 1.0, section 3.1.3.7.
    """
    token = read_token(text)
    verify_token(token, keys)
    claims = _claims(token.payload)
    if claims.get("iss") != expected.issuer:
        raise BadToken("its iss is not the provider")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in audiences:
        raise BadToken("its aud is not this server")
    party = claims.get("azp", expected.client_id if len(audiences) == 1 else None)
    if party != expected.client_id:
        raise BadToken("its azp is not this server")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise BadToken("its nonce is not that of this sign-in")
    try:
        check_times(claims, now)
    except Unauthenticated as error:
        raise BadToken(str(error)) from error
    subject, email = claims.get("sub"), claims.get("email")
    if not isinstance(subject, str) or not SUBJECT.fullmatch(subject):
        raise BadToken("its sub is none")
    says_email = isinstance(email, str) and bool(email)
    verified = email if says_email and claims.get("email_verified") is True else None
    # no address of a provider has a blank
    digest = hashlib.sha256(f"{expected.issuer} {subject}".encode()).hexdigest()
    return Identity(digest, verified, says_email)


def _claims(payload: bytes) -> Mapping[str, Any]:
    try:
        claims = orjson.loads(payload)
    except orjson.JSONDecodeError:
        raise BadToken("it is not JSON") from None
    if not isinstance(claims, dict):
        raise BadToken("it is not an object")
    return claims
