"""A token that this server gave itself says which client asks, and for whom; what they may is looked up each time."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from projections.consents import consent_of, consent_stream, rights_of
from projections.credentials import Credentials, values_of
from projections.own_issuer import (
    AUDIENCE,
    SigningKey,
    client_of,
    client_stream,
    signing_key_stream,
    signing_keys_of,
)
from projections.sign_in import Member, member_of
from read_api.edge.auth import Caller, CredentialKind, Unauthenticated
from read_api.edge.jws import VerifyKey, keys_of
from schemas.envelope import StreamId, TenantId

_REMEMBERED = 1_000
_OVER = "the token is over: its client was revoked, or the user's consent is ended"


def own_key(credentials: Credentials, tenant_id: TenantId, kid: str | None, now: datetime) -> VerifyKey | None:
    """Return the tenant's own signing key of this id, None where it is none of those that count now.

    Raises: StoreUnavailable.
    """
    parts = values_of(credentials.of_stream(tenant_id, signing_key_stream(tenant_id)))
    return next((_verifying(key) for key in signing_keys_of(parts, now) if key.kid == kid), None)


@lru_cache(_REMEMBERED)
def _verifying(key: SigningKey) -> VerifyKey:
    [found] = keys_of({"keys": [key.jwk]})
    return found


def own_caller(credentials: Credentials, tenant_id: TenantId, claims: Mapping[str, Any], now: datetime) -> Caller:
    """Return who asks with a token that the tenant's own key signed and that is not expired.

    Raises: Unauthenticated; StoreUnavailable.
    Source: client.registered, client.revoked, consent.given, consent.ended, user.joined, user.role.changed,
    user.password.set, user.disabled.
    """
    if claims.get("aud") != AUDIENCE or not urlsplit(str(claims.get("iss"))).path.endswith(f"/oauth/{tenant_id}"):
        raise Unauthenticated("the token is not valid")
    client_id, scopes = str(claims["client_id"]), rights_of(str(claims["scope"]))
    if client_of(values_of(credentials.of_stream(tenant_id, client_stream(client_id)))) is None:
        raise Unauthenticated(_OVER)
    if "consent_id" not in claims:
        return Caller(tenant_id, client_id, scopes, kind=CredentialKind.CLIENT, credential_id=client_id)
    stream = consent_stream(str(claims["consent_id"]))
    consent = consent_of(values_of(credentials.of_stream(tenant_id, stream)))
    if consent is None or consent.client_id != client_id or consent.expires_at <= now:
        raise Unauthenticated(_OVER)
    member = member_now(credentials, tenant_id, consent.user_id)
    if member is None or member.number != consent.password:
        raise Unauthenticated(_OVER)
    return Caller(
        tenant_id,
        consent.user_id,
        scopes,
        kind=CredentialKind.CLIENT_OF_USER,
        roles=member.roles,
        credential_id=client_id,
    )


def member_now(credentials: Credentials, tenant_id: TenantId, user_id: str) -> Member | None:
    """Return a user who may ask now, None where there is none. Raises: StoreUnavailable."""
    return member_of(values_of(credentials.of_stream(tenant_id, StreamId(f"user-{user_id}"))))
