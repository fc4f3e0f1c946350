"""Tokens are given here to a client that has shown who it is, and taken back."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from anyio import to_thread

from domain.identity.consent import OPENID, WHO
from projections.credentials import Credentials
from projections.own_issuer import ACCESS_LASTS, AUDIENCE
from read_api.edge.auth import Unauthenticated
from read_api.edge.jws import BadToken, read_token, verify_token
from read_api.edge.own_tokens import own_caller, own_key
from read_api.edge.scopes import granted
from schemas.envelope import TenantId
from streams.intake.http.consents import Allowed, Consents
from streams.intake.http.signing import Signing
from streams.intake.http.token_requests import AskingClient, Form, TokenRefused, needed, wanted_scopes

AUTHORIZATION_CODE, CLIENT_CREDENTIALS, REFRESH_TOKEN = GRANT_TYPES = (
    "authorization_code",
    "client_credentials",
    "refresh_token",
)

_PARTS_OF_A_JWT = 3

Given = Mapping[str, Any]
"""The answer of RFC 6749, section 5.1."""


class Granting:
    """Gives access tokens. Raises: as Signing and Consents."""

    def __init__(
        self, signing: Signing, consents: Consents, credentials: Credentials, now: Callable[[], float] = time.time
    ) -> None:
        self._signing = signing
        self._consents = consents
        self._credentials = credentials
        self._now = now

    async def give(self, issuer: str, asking: AskingClient, form: Form) -> Given:
        """Return what a form asks for. Raises: TokenRefused."""
        match needed(form, "grant_type"):
            case "client_credentials":
                return await self._to_client(issuer, asking, form)
            case "authorization_code":
                shown = (needed(form, name) for name in ("code", "redirect_uri", "code_verifier"))
                allowed = await self._consents.redeem(asking, *shown)
                given = await self._for_user(issuer, asking, allowed)
                return {**given, **await self._who(issuer, asking, allowed)}
            case "refresh_token":
                allowed = await self._consents.refresh(asking, needed(form, "refresh_token"), form.get("scope"))
                return await self._for_user(issuer, asking, allowed)
            case _:
                raise TokenRefused("unsupported_grant_type", f"grant_type may be {', '.join(GRANT_TYPES)}")

    async def revoke(self, asking: AskingClient, form: Form) -> None:
        """End the consent that a token is of; one that is none, or of another client, is passed over.

        Raises: TokenRefused, it is of no consent, so that it cannot be revoked. Source: RFC 7009.
        """
        token = needed(form, "token")
        if token.count(".") + 1 != _PARTS_OF_A_JWT:
            await self._consents.end_by(asking, token)
            return
        claims = await to_thread.run_sync(self._claims_of, asking.tenant_id, token)
        # an ID token says no client_id
        if claims is None or claims.get("client_id") != asking.id:
            return
        if "consent_id" not in claims:
            said = "a client's token for itself ends after 10 minutes; RevokeClient ends the client"
            raise TokenRefused("unsupported_token_type", said)
        await self._consents.end(asking, str(claims["consent_id"]))

    async def introspect(self, asking: AskingClient, form: Form) -> Given:
        """Return what an access token of the client's tenant is good for now. Source: RFC 7662.

        Shape: `scope` is what it may at this moment; of what is no such token it says only that it is not active.
        Raises: TokenRefused, a public client shows nothing that others could not.
        """
        token = needed(form, "token")
        if asking.client.is_public:
            raise TokenRefused("unauthorized_client", "a public client may not ask what tokens of others are good for")
        return await to_thread.run_sync(self._introspected, asking.tenant_id, token)

    def _introspected(self, tenant_id: TenantId, text: str) -> Given:
        claims, now = self._claims_of(tenant_id, text), self._now()
        if claims is None or claims["exp"] <= now:
            return {"active": False}
        try:
            caller = own_caller(self._credentials, tenant_id, claims, datetime.fromtimestamp(now, UTC))
        except Unauthenticated:
            return {"active": False}
        who = [scope for scope in claims["scope"].split() if scope in WHO]
        scope = " ".join([*who, *granted(caller)])
        return {"active": True, **claims, "scope": scope, "token_type": "Bearer"}

    def _claims_of(self, tenant_id: TenantId, text: str) -> Mapping[str, Any] | None:
        """Return what a token says that the tenant's own key signed, None where it is none."""
        try:
            token = read_token(text)
            key = own_key(self._credentials, tenant_id, token.kid, datetime.fromtimestamp(self._now(), UTC))
            verify_token(token, [key] if key else [])
        except BadToken:
            return None
        claims: Mapping[str, Any] = orjson.loads(token.payload)
        return claims

    async def _to_client(self, issuer: str, asking: AskingClient, form: Form) -> Given:
        """Return a token by which a client acts for itself. Raises: TokenRefused. Source: RFC 6749, section 4.4."""
        if asking.client.is_public:
            raise TokenRefused("unauthorized_client", "a public client acts for users only")
        scopes = wanted_scopes(form.get("scope"), asking.client.scopes)
        return await self._access(issuer, asking, scopes, {"sub": asking.id})

    async def _for_user(self, issuer: str, asking: AskingClient, allowed: Allowed) -> Given:
        """Return a token by which a client acts for a user, and the one that gets the next."""
        of_whom = {"sub": allowed.user_id, "consent_id": allowed.consent_id}
        access = await self._access(issuer, asking, allowed.scopes, of_whom)
        return {**access, "refresh_token": allowed.refresh_token}

    async def _who(self, issuer: str, asking: AskingClient, allowed: Allowed) -> Given:
        """Return the ID token, where the client asked who the user is. Source: OpenID Connect Core 1.0, section 2."""
        if OPENID not in allowed.scopes:
            return {}
        now = int(self._now())
        claims = {
            "iss": issuer,
            "sub": allowed.user_id,
            "aud": asking.id,
            "iat": now,
            "exp": now + int(ACCESS_LASTS.total_seconds()),
            **({} if allowed.nonce is None else {"nonce": allowed.nonce}),
        }
        return {"id_token": await self._signing.sign(asking.tenant_id, claims, typ="JWT")}

    async def _access(
        self, issuer: str, asking: AskingClient, scopes: Sequence[str], of_whom: Mapping[str, str]
    ) -> Given:
        """Source: RFC 9068, section 2.2."""
        now, lasts_s, scope = int(self._now()), int(ACCESS_LASTS.total_seconds()), " ".join(scopes)
        claims = {
            "iss": issuer,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + lasts_s,
            "jti": secrets.token_hex(16),
            "tenant_id": asking.tenant_id,
            "client_id": asking.id,
            "scope": scope,
            **of_whom,
        }
        token = await self._signing.sign(asking.tenant_id, claims)
        return {"access_token": token, "token_type": "Bearer", "expires_in": lasts_s, "scope": scope}
