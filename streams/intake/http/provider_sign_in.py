"""People whom a tenant's provider knows are sent there, and are users of the tenant when they come back, or nobody."""

import asyncio
import hashlib
import hmac
import logging
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol
from urllib.parse import urlencode

from domain.identity.sign_in import EndSignIn, Failure
from domain.identity.user import LinkIdentity
from domain.rejection import Kind
from projections.credentials import Credentials, values_of
from projections.sign_in import (
    Parts,
    Provider,
    identity_of,
    identity_stream,
    linked_user_of,
    member_of,
    provider_of,
    user_stream,
)
from read_api.edge.auth import Caller
from read_api.edge.id_token import Identity
from read_api.edge.jws import BadToken
from read_api.edge.problems import Problem
from read_api.edge.sessions import SessionCookie, Sessions
from schemas.envelope import Actor, ActorType, StreamId, TenantId
from schemas.sealed import Tampered
from streams.intake.http.accepting import Refused, accepted
from streams.intake.http.accounts import ACTIVE
from streams.intake.http.begun_sign_in import LASTS_S, BegunSignIn, Links, SealedSignIns
from streams.intake.http.commands import Gate
from streams.intake.http.new_sessions import NewSessions
from streams.intake.http.provider_keys import SecretBox
from streams.intake.http.provider_tokens import CannotAsk, ProviderTokens

_LOG = logging.getLogger(__name__)

_SCOPE = "openid email"
_NOBODY = Actor(ActorType.SYSTEM, "sign-in")
_NO_PROVIDER = "nobody signs in to this tenant through this provider"


class NotIn(StrEnum):
    """Why nobody is signed in, as the page is told, beside what Failure says."""

    STATE = "state"
    """The browser came back without what it was sent away with, too late, or twice."""
    DENIED = "denied"
    """The provider let nobody in."""
    PROVIDER = "provider"
    """The provider, or what it was asked, gave no answer that counts."""


class NotSignedIn(Exception):  # noqa: N818
    """Nobody is signed in; the person may begin again."""

    def __init__(self, why: NotIn | Failure) -> None:
        super().__init__(why.value)
        self.why = why


class Invited(NamedTuple):
    """A user whose invitation is open. Shape: `version` is that of the user's stream."""

    user_id: str
    version: int


class FindUsers(Protocol):
    """Finds users in a list that may be a moment behind the log. Raises: StoreUnavailable, safe to retry."""

    def invited(self, tenant_id: TenantId, email: str) -> Invited | None:
        """Return the one user who is invited with an address, None where there is none, or are several."""

    def version_of(self, tenant_id: TenantId, user_id: str) -> int | None:
        """Return the version of the stream of a user who has joined, None where there is none."""


class Away(NamedTuple):
    """Where a browser is sent, and what it brings back."""

    location: str
    sealed: str


class ProviderSignIns:
    """Sign-ins through providers. Raises: Problem; LogUnavailable, StoreUnavailable or Overloaded, safe to retry."""

    def __init__(
        self,
        gate: Gate,
        credentials: Credentials,
        box: SecretBox,
        *,
        tokens: ProviderTokens,
        sealed: SealedSignIns,
        users: FindUsers,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._gate = gate
        self._credentials = credentials
        self._box = box
        self._tokens = tokens
        self._sealed = sealed
        self._users = users
        self._now = now
        self._new_sessions = NewSessions(gate, credentials)
        self._sessions = Sessions(credentials)

    async def begin(self, tenant_id: TenantId, provider_id: str, redirect_uri: str, who: Caller | None) -> Away:
        """Return how a browser gets to a provider; the user of a session, if any, takes the identity from there.

        Source: OpenID Connect Core 1.0, section 3.1.2.1; RFC 7636.
        """
        provider = await self._provider(tenant_id, provider_id)
        if provider is None:
            raise Problem(404, _NO_PROVIDER)
        try:
            about = await self._tokens.about(tenant_id, provider.issuer)
        except CannotAsk as error:
            _LOG.warning("provider %s of tenant %s: %s", provider_id, tenant_id, error)
            raise Problem(502, "the provider gives no answer that counts; try again later") from error
        links = await self._links(who) if who else None
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        until = self._now() + LASTS_S
        begun = BegunSignIn(
            tenant_id, provider_id, provider.issuer, about.says_issuer, state, nonce, verifier, links=links, until=until
        )
        challenge = hashlib.sha256(begun.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": redirect_uri,
            "scope": _SCOPE,
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in about.authorization_endpoint else "?"
        return Away(f"{about.authorization_endpoint}{joint}{urlencode(query)}", self._sealed.seal(begun))

    async def finish(
        self, tenant_id: TenantId, provider_id: str, redirect_uri: str, sealed: str, items: Sequence[tuple[str, str]]
    ) -> SessionCookie | None:
        """Return the session of whoever comes back from a provider with these parameters, None where they have one.

        Raises: NotSignedIn.
        """
        said = dict(items)
        begun = self._sealed.open(sealed)
        # each provider has an address here of its own, so that no other one answers in its place
        if begun is None or (begun.tenant_id, begun.provider_id) != (tenant_id, provider_id) or len(said) != len(items):
            raise NotSignedIn(NotIn.STATE)
        if not hmac.compare_digest(said.get("state", "").encode(), begun.state.encode()) or self._now() >= begun.until:
            raise NotSignedIn(NotIn.STATE)
        # source: RFC 9207, section 2.4
        if said.get("iss", None if begun.says_issuer else begun.issuer) != begun.issuer:
            raise NotSignedIn(NotIn.STATE)
        if "error" in said:
            raise NotSignedIn(NotIn.DENIED)
        provider = await self._provider(tenant_id, provider_id)
        if provider is None or provider.issuer != begun.issuer:
            raise NotSignedIn(NotIn.PROVIDER)
        form = {
            "grant_type": "authorization_code",
            "code": said.get("code", ""),
            "redirect_uri": redirect_uri,
            "code_verifier": begun.verifier,
        }
        user_id = await self._user(begun, await self._identity(begun, provider, form))
        done = EndSignIn(sign_in_id=begun.id, provider_id=provider_id, user_id=user_id)
        await self._record(begun, done, Actor(ActorType.USER, user_id))
        if begun.links is not None:
            return None
        member = member_of(await self._parts(tenant_id, user_stream(user_id)))
        return await self._new_sessions.start(tenant_id, user_id, member.number if member else 0)

    async def _identity(self, begun: BegunSignIn, provider: Provider, form: Mapping[str, str]) -> Identity:
        """Raises: NotSignedIn."""
        tenant_id = TenantId(begun.tenant_id)
        try:
            secret = await asyncio.to_thread(self._box.open, tenant_id, sealed_as(provider.id), provider.sealed)
            about = await self._tokens.about(tenant_id, provider.issuer)
            return await self._tokens.identity(tenant_id, about, provider, form, secret=secret, nonce=begun.nonce)
        except (CannotAsk, Tampered) as error:
            _LOG.warning("provider %s of tenant %s: %s", provider.id, tenant_id, error)
            raise NotSignedIn(NotIn.PROVIDER) from error
        except BadToken as error:
            _LOG.warning("provider %s of tenant %s gave a token that does not count: %s", provider.id, tenant_id, error)
            raise await self._failed(begun, Failure.TOKEN) from error

    async def _user(self, begun: BegunSignIn, identity: Identity) -> str:
        """Return whose an identity is here, or whose it is from now on. Raises: NotSignedIn."""
        tenant_id = TenantId(begun.tenant_id)
        if (links := begun.links) is not None:
            # whoever signed out since then has taken back what was begun, too
            if await asyncio.to_thread(self._sessions.user_of, tenant_id, links.session_id) != links.user_id:
                raise NotSignedIn(NotIn.STATE)
            return await self._linked(begun, identity, Invited(links.user_id, links.version))
        found = linked_user_of(await self._parts(tenant_id, identity_stream(identity.sha256)))
        if found is not None:
            parts = await self._parts(tenant_id, user_stream(found))
            # they may have another one by now, or be out
            if identity_of(parts) == identity.sha256 and member_of(parts):
                return found
        if identity.email is None:
            raise await self._failed(begun, Failure.EMAIL if identity.says_email else Failure.UNKNOWN)
        invited = await asyncio.to_thread(self._users.invited, tenant_id, identity.email)
        if invited is None:
            raise await self._failed(begun, Failure.UNKNOWN)
        return await self._linked(begun, identity, invited)

    async def _linked(self, begun: BegunSignIn, identity: Identity, user: Invited) -> str:
        """Link at the version that was seen: with another one the id may be somebody else's. Raises: NotSignedIn."""
        command = LinkIdentity(
            user_id=user.user_id,
            provider_id=begun.provider_id,
            identity_sha256=identity.sha256,
            joins=begun.links is None,
        )
        actor = Actor(ActorType.USER, user.user_id)
        try:
            await accepted(self._gate, TenantId(begun.tenant_id), command, actor, expected_version=user.version)
        except Refused as refused:
            if refused.refusal.kind in (Kind.CONFLICT, Kind.NOT_ALLOWED):
                raise await self._failed(begun, Failure.UNKNOWN) from refused
            raise
        return user.user_id

    async def _links(self, caller: Caller) -> Links:
        """Raises: Problem."""
        version = await asyncio.to_thread(self._users.version_of, caller.tenant_id, caller.id)
        if version is None:
            raise Problem(503, "the list of users does not know you yet; try again", retry_after_s=1)
        return Links(caller.id, caller.credential_id, version)

    async def _failed(self, begun: BegunSignIn, why: Failure) -> NotSignedIn:
        """Record that somebody whom the provider let in is not let in here, and return what to raise.

        Shape: before the provider has given a token nothing is recorded: anybody could fill the log.
        """
        command = EndSignIn(sign_in_id=begun.id, provider_id=begun.provider_id, failure=why)
        await self._record(begun, command, _NOBODY)
        return NotSignedIn(why)

    async def _record(self, begun: BegunSignIn, command: EndSignIn, actor: Actor) -> None:
        """Record how a sign-in ended. Raises: NotSignedIn, it has ended before."""
        try:
            await accepted(self._gate, TenantId(begun.tenant_id), command, actor)
        except Refused as refused:
            raise NotSignedIn(NotIn.STATE) from refused

    async def _provider(self, tenant_id: TenantId, provider_id: str) -> Provider | None:
        """Return a provider through which people of an active tenant sign in."""
        if await asyncio.to_thread(self._credentials.status_of, tenant_id) != ACTIVE:
            return None
        found = await self._parts(tenant_id, StreamId(f"sign_in_provider-{provider_id}"))
        return provider_of(provider_id, found)

    async def _parts(self, tenant_id: TenantId, stream: StreamId) -> Parts:
        return values_of(await asyncio.to_thread(self._credentials.of_stream, tenant_id, stream))


def sealed_as(provider_id: str) -> str:
    """Return what the secret of a provider is sealed for: no id of a provider key has a blank."""
    return f"sign-in provider {provider_id}"
