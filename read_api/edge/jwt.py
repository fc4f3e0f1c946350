"""A token of an issuer that a tenant trusts, or of this server itself, says who asks."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import orjson

from projections.credentials import Credentials, TrustedIssuer
from read_api.edge.auth import Caller, CredentialKind, Unauthenticated
from read_api.edge.issuer_keys import IssuerKeys
from read_api.edge.jws import BadToken, Unverified, VerifyKey, read_token, verify_token
from read_api.edge.own_tokens import own_caller, own_key
from read_api.edge.roles import ROLES
from schemas.envelope import TenantId

SKEW_S = 60.0
"""Two clocks may differ by so much."""

SUBJECT = re.compile(r"[\x21-\x7e]{1,255}")
"""Source: OpenID Connect Core 1.0, section 2, `sub`."""

# the same text whatever is wrong, until it is known that an issuer of the tenant wrote the token
_NOT_VALID = "the token is not valid"


class Tokens:
    """Finds the callers that tokens name. Any thread may ask."""

    def __init__(self, credentials: Credentials, keys: IssuerKeys, now: Callable[[], float] = time.time) -> None:
        self._credentials = credentials
        self._keys = keys
        self._now = now

    def caller(self, text: str) -> Caller:
        """Return who a token says asks.

        Shape: its `tenant_id` must be a tenant that trusts its `iss` for one of its `aud`, or has a signing key of its
        `kid`. Roles that do not exist are passed over: issuers have roles of their own.
        Raises: Unauthenticated; Problem (503), the issuer's keys are not known for now; StoreUnavailable.
        Source: RFC 7519, section 4.1; RFC 8725.
        """
        try:
            token = read_token(text)
            claims = orjson.loads(token.payload)
        except (BadToken, orjson.JSONDecodeError):
            raise Unauthenticated(_NOT_VALID) from None
        if not isinstance(claims, dict):
            raise Unauthenticated(_NOT_VALID)
        tenant_id = claims.get("tenant_id")
        if not isinstance(tenant_id, str):
            raise Unauthenticated(_NOT_VALID)
        now = self._now()
        at = datetime.fromtimestamp(now, UTC)
        own = own_key(self._credentials, TenantId(tenant_id), token.kid, at)
        if own is not None:
            _check(token, [own])
            check_times(claims, now)
            return own_caller(self._credentials, TenantId(tenant_id), claims, at)
        issuer = self._issuer_of(TenantId(tenant_id), claims)
        _check(token, self._keys.find(issuer, token))
        check_times(claims, now)
        organization = claims.get("organization_id")
        if not isinstance(organization, str | None) or organization == "":
            raise Unauthenticated("organization_id of the token is not the id of one")
        return Caller(
            issuer.tenant_id,
            # a user of this server has no slash in their id, and two issuers may know the same subject
            f"{issuer.id}/{_subject(claims)}",
            (),
            kind=CredentialKind.TOKEN,
            roles=_roles(claims),
            credential_id=issuer.id,
            organization_id=organization,
        )

    def _issuer_of(self, tenant_id: TenantId, claims: Mapping[str, Any]) -> TrustedIssuer:
        name, audience = claims.get("iss"), claims.get("aud")
        audiences = {audience} if isinstance(audience, str) else set(_texts(audience))
        for issuer in self._credentials.issuers(tenant_id):
            if issuer.issuer == name and not audiences.isdisjoint(issuer.audiences):
                return issuer
        raise Unauthenticated(_NOT_VALID)


def _check(token: Unverified, keys: Sequence[VerifyKey]) -> None:
    """Raises: Unauthenticated, none of the keys signed the token."""
    try:
        verify_token(token, keys)
    except BadToken:
        raise Unauthenticated(_NOT_VALID) from None


def _texts(claim: Any) -> Sequence[str]:
    return [one for one in claim if isinstance(one, str)] if isinstance(claim, list) else []


def check_times(claims: Mapping[str, Any], now: float) -> None:
    """Raises: Unauthenticated, the token is not good now, or does not say until when it is."""
    expires, since, issued = (_instant(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None:
        raise Unauthenticated("the token does not say when it expires (exp)")
    if now >= expires + SKEW_S:
        raise Unauthenticated("the token is expired")
    if any(at is not None and at > now + SKEW_S for at in (since, issued)):
        raise Unauthenticated("the token is not good yet")


def _instant(claims: Mapping[str, Any], name: str) -> float | None:
    found = claims.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not isfinite(found):
        raise Unauthenticated(f"{name} of the token is not a number of seconds")
    return float(found)


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims.get("sub")
    if not (isinstance(subject, str) and SUBJECT.fullmatch(subject)):
        raise Unauthenticated("the token needs a sub of 1 to 255 visible ASCII characters")
    return subject


def _roles(claims: Mapping[str, Any]) -> tuple[str, ...]:
    said = set(_texts(claims.get("roles")))
    return tuple(role for role in ROLES if role in said)
