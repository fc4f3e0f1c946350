"""A user's consent becomes a code, the code becomes tokens, and each refresh token becomes the next, once."""

import asyncio
import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from domain.identity.consent import EndConsent, GiveConsent, RedeemCode, RotateRefreshToken
from domain.rejection import Kind
from projections.consents import Consent, Refresh, consent_of, consent_stream
from projections.credentials import Credentials, values_of
from projections.sign_in import Member, Parts
from read_api.edge.auth import Caller, secret_sha256
from read_api.edge.own_tokens import member_now
from schemas.envelope import Actor, ActorType, TenantId
from streams.intake.http.accepting import Refused, accepted
from streams.intake.http.commands import Gate
from streams.intake.http.token_requests import AskingClient, TokenRefused, wanted_for_user

# how far behind the log a gateway's credentials may be
_LOOKS = 10
_LOOK_S = 0.05

_CONSENT_ID = re.compile(r"[0-9a-f]{32}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_NUMBER = re.compile(r"[0-9]{1,9}")

_NO_CODE = "the code is not good, or not any more"
_NO_REFRESH = "the refresh token is not good, or not any more"


class Asked(NamedTuple):
    """What a client asks a user to allow."""

    asking: AskingClient
    redirect_uri: str
    scopes: Sequence[str]
    challenge: str
    nonce: str | None = None


class RefreshToken(NamedTuple):
    """What a client keeps to get another access token: no part of it has a dot in it."""

    consent_id: str
    number: int
    family: str
    secret: str

    def __str__(self) -> str:
        return ".".join(map(str, self))


class Allowed(NamedTuple):
    """What a client may do for a user with the access token that it gets now.

    Shape: `nonce` is what it said when it asked for the code.
    """

    consent_id: str
    user_id: str
    scopes: Sequence[str]
    refresh_token: str
    nonce: str | None


class Consents:
    """The consents of all users. Raises: LogUnavailable, StoreUnavailable or Overloaded, safe to retry."""

    def __init__(
        self, gate: Gate, credentials: Credentials, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._gate = gate
        self._credentials = credentials
        self._now = now

    async def give(self, asked: Asked, caller: Caller) -> str:
        """Record what a user allows, and return the code that says so to the client. Raises: Refused."""
        consent_id, secret = secrets.token_hex(16), secrets.token_urlsafe(32)
        member = await asyncio.to_thread(member_now, self._credentials, caller.tenant_id, caller.id)
        command = GiveConsent(
            consent_id=consent_id,
            client_id=asked.asking.id,
            user_id=caller.id,
            scopes=tuple(asked.scopes),
            redirect_uri=asked.redirect_uri,
            code_challenge=asked.challenge,
            code_sha256=secret_sha256(secret),
            password=member.number if member else 0,
            nonce=asked.nonce,
        )
        await accepted(self._gate, caller.tenant_id, command, caller.actor)
        return f"{consent_id}.{secret}"

    async def redeem(self, asking: AskingClient, code: str, redirect_uri: str, verifier: str) -> Allowed:
        """Return what a code, and the verifier of its challenge, stand for.

        Shape: a code that is shown twice ends the consent: somebody else may have it.
        Raises: TokenRefused. Source: RFC 6749, sections 4.1.2 and 4.1.3; RFC 7636, section 4.6.
        """
        consent_id, _, secret = code.partition(".")
        found = await self._of(asking, consent_id)
        if found is None or not hmac.compare_digest(found.code.sha256, secret_sha256(secret)):
            raise TokenRefused("invalid_grant", _NO_CODE)
        if found.refresh is not None:
            await self._end(asking, consent_id, "its code was shown twice")
            raise TokenRefused("invalid_grant", _NO_CODE)
        if (
            found.code.expires_at <= self._now()
            or found.code.redirect_uri != redirect_uri
            or not (_VERIFIER.fullmatch(verifier) and hmac.compare_digest(found.code.challenge, challenge_of(verifier)))
            or await self._member(asking.tenant_id, found) is None
        ):
            raise TokenRefused("invalid_grant", _NO_CODE)
        token = RefreshToken(consent_id, 1, secrets.token_urlsafe(32), secrets.token_urlsafe(32))
        hashes = {"family_sha256": secret_sha256(token.family), "refresh_sha256": secret_sha256(token.secret)}
        await self._once(asking, RedeemCode(consent_id=consent_id, **hashes), 1, _NO_CODE)
        return await self._allowed(asking, found, token)

    async def refresh(self, asking: AskingClient, text: str, wanted: str | None) -> Allowed:
        """Return what a refresh token stands for, with the token that takes its place.

        Shape: `wanted` are some of the scopes, None for all. A token that is shown twice ends the consent: somebody
        else may have it.
        Raises: TokenRefused. Source: RFC 9700, section 4.14.2.
        """
        token = _read(text)
        found, now_good = await self._of_token(asking, token)
        if token.number != now_good.number or not hmac.compare_digest(now_good.sha256, secret_sha256(token.secret)):
            await self._end(asking, token.consent_id, "a refresh token was shown twice")
            raise TokenRefused("invalid_grant", _NO_REFRESH)
        if found.expires_at <= self._now() or await self._member(asking.tenant_id, found) is None:
            raise TokenRefused("invalid_grant", _NO_REFRESH)
        scopes = wanted_for_user(wanted, found.scopes)
        next_ = token._replace(number=token.number + 1, secret=secrets.token_urlsafe(32))
        command = RotateRefreshToken(consent_id=token.consent_id, refresh_sha256=secret_sha256(next_.secret))
        await self._once(asking, command, now_good.version, _NO_REFRESH)
        return await self._allowed(asking, found._replace(scopes=tuple(scopes)), next_)

    async def end(self, asking: AskingClient, consent_id: str) -> None:
        """End a consent of the client's; one that is not there, or another client's, is as if it were ended."""
        if await self._of(asking, consent_id) is not None:
            await self._end(asking, consent_id, "revoked by its client")

    async def end_by(self, asking: AskingClient, text: str) -> None:
        """End the consent of a refresh token, of the one that is good or of one before it; no other does anything."""
        try:
            token = _read(text)
            await self._of_token(asking, token)
        except TokenRefused:
            return
        await self._end(asking, token.consent_id, "revoked by its client")

    async def _of(self, asking: AskingClient, consent_id: str) -> Consent | None:
        """Return a consent of the client's, None where there is none."""
        if not _CONSENT_ID.fullmatch(consent_id):
            return None
        for _ in range(_LOOKS):
            # of one that is ended there are parts, which say nothing any more
            if parts := await self._parts(asking.tenant_id, consent_id):
                found = consent_of(parts)
                return found if found is not None and found.client_id == asking.id else None
            await asyncio.sleep(_LOOK_S)
        return None

    async def _of_token(self, asking: AskingClient, token: RefreshToken) -> tuple[Consent, Refresh]:
        """Return the consent that a token is of, and what is known of its good one. Raises: TokenRefused."""
        for _ in range(_LOOKS):
            found = await self._of(asking, token.consent_id)
            if found is None:
                break
            now_good = found.refresh
            # a gateway may be a moment behind the one that gave the token
            if now_good is not None and now_good.number >= token.number:
                if not hmac.compare_digest(now_good.family_sha256, secret_sha256(token.family)):
                    break
                return found, now_good
            await asyncio.sleep(_LOOK_S)
        raise TokenRefused("invalid_grant", _NO_REFRESH)

    async def _once(
        self, asking: AskingClient, command: RedeemCode | RotateRefreshToken, version: int, no: str
    ) -> None:
        """Decide a command where nobody was faster; else the same was shown twice. Raises: TokenRefused; Refused."""
        try:
            await accepted(self._gate, asking.tenant_id, command, _actor(asking), expected_version=version)
        except Refused as refused:
            if refused.refusal.kind is Kind.CONFLICT:
                await self._end(asking, command.consent_id, "a code or a refresh token was shown twice")
            elif refused.refusal.kind is not Kind.NOT_ALLOWED:
                raise
            raise TokenRefused("invalid_grant", no) from refused

    async def _allowed(self, asking: AskingClient, consent: Consent, token: RefreshToken) -> Allowed:
        """Wait until the token can be used here: the next request may come at once."""
        for _ in range(_LOOKS):
            found = consent_of(await self._parts(asking.tenant_id, token.consent_id))
            if found is None or (found.refresh is not None and found.refresh.number >= token.number):
                break
            await asyncio.sleep(_LOOK_S)
        return Allowed(token.consent_id, consent.user_id, consent.scopes, str(token), consent.code.nonce)

    async def _parts(self, tenant_id: TenantId, consent_id: str) -> Parts:
        stream = consent_stream(consent_id)
        return values_of(await asyncio.to_thread(self._credentials.of_stream, tenant_id, stream))

    async def _member(self, tenant_id: TenantId, consent: Consent) -> Member | None:
        """Return the user of a consent, None where the user is not what they were when they gave it."""
        member = await asyncio.to_thread(member_now, self._credentials, tenant_id, consent.user_id)
        return member if member is not None and member.number == consent.password else None

    async def _end(self, asking: AskingClient, consent_id: str, reason: str) -> None:
        command = EndConsent(consent_id=consent_id, reason=reason)
        await accepted(self._gate, asking.tenant_id, command, _actor(asking))


def challenge_of(verifier: str) -> str:
    """Return what a client shows of a verifier before the verifier itself. Source: RFC 7636, section 4.2, S256."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _read(text: str) -> RefreshToken:
    """Raises: TokenRefused."""
    parts = text.split(".")
    if len(parts) != len(RefreshToken._fields) or not _NUMBER.fullmatch(parts[1]):
        raise TokenRefused("invalid_grant", _NO_REFRESH)
    consent_id, number, family, secret = parts
    return RefreshToken(consent_id, int(number), family, secret)


def _actor(asking: AskingClient) -> Actor:
    return Actor(ActorType.API_KEY, asking.id)
