"""Users are invited, set their passwords, and sign in and out by way of whoever decides commands."""

import asyncio
import hmac
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from domain.identity.session import EndSession
from domain.identity.user import InviteUser, OfferPassword, SetPassword
from domain.rejection import Kind
from projections.credentials import Credentials, values_of
from projections.sign_in import Parts, member_of, offer_of
from read_api.edge.auth import Caller, Unauthenticated, secret_sha256
from read_api.edge.problems import Problem
from read_api.edge.roles import OWNER
from read_api.edge.sessions import SessionCookie
from schemas.envelope import Actor, ActorType, StreamId, TenantId
from streams.intake.http.accepting import Refused, accepted
from streams.intake.http.commands import Gate
from streams.intake.http.new_sessions import NewSessions
from streams.intake.http.passwords import Passwords, SlowDown
from streams.ports import Reply

ACTIVE = "ACTIVE"

# the same text for a tenant, a user and a password that are wrong, and for a user who has none
_NOT_RIGHT = "the tenant, the user or the password is not right"
_NO_OFFER = "the token is not good, or not any more; ask for a new one"


class Offered(NamedTuple):
    """A token that is shown this once: whoever has it may set the user's password."""

    token: str
    reply: Reply


class Accounts:
    """What users, and those who manage them, do with accounts.

    Raises: Refused; LogUnavailable or Overloaded, safe to retry.
    """

    def __init__(
        self,
        gate: Gate,
        credentials: Credentials,
        passwords: Passwords,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._gate = gate
        self._credentials = credentials
        self._passwords = passwords
        self._slow_down = SlowDown()
        self._now = now
        self._sessions = NewSessions(gate, credentials)

    async def invite(self, caller: Caller, command: InviteUser) -> Offered:
        """Invite a user with a command that lacks its token."""
        token = secrets.token_urlsafe(32)
        named = InviteUser(
            user_id=command.user_id,
            email=command.email,
            roles=command.roles,
            expires_at=command.expires_at,
            token_sha256=secret_sha256(token),
        )
        return Offered(token, await accepted(self._gate, caller.tenant_id, named, caller.actor))

    async def offer_password(self, caller: Caller, user_id: str) -> Offered:
        """Let a user set a password who lost theirs, or was invited without a token."""
        token = secrets.token_urlsafe(32)
        command = OfferPassword(user_id=user_id, token_sha256=secret_sha256(token))
        return Offered(token, await accepted(self._gate, caller.tenant_id, command, caller.actor))

    async def roles_of(self, tenant_id: TenantId, user_id: str) -> tuple[str, ...]:
        """Return the roles of a user; of one who has not joined, and may have any, the highest."""
        member = member_of(await self._parts(tenant_id, f"user-{user_id}"))
        return member.roles if member else (OWNER,)

    async def set_password(self, tenant_id: TenantId, user_id: str, token: str, password: str) -> Reply:
        """Set a password with the token of an invitation, or of an offer.

        Raises: Problem: 403, it is not good; 503, too many sign in.
        """
        offer = offer_of(await self._parts(tenant_id, f"user-{user_id}"))
        if (
            offer is None
            or not hmac.compare_digest(offer.token_sha256, secret_sha256(token))
            or offer.expires_at <= self._now()
            or not await self._is_active(tenant_id)
        ):
            raise Problem(403, _NO_OFFER)
        with self._passwords.place():
            command = SetPassword(user_id=user_id, password_hash=await self._passwords.hash(password))
        try:
            # a token is good once: after that the stream is at another version
            return await accepted(self._gate, tenant_id, command, _user(user_id), expected_version=offer.version)
        except Refused as refused:
            if refused.refusal.kind in (Kind.CONFLICT, Kind.NOT_ALLOWED):
                raise Problem(403, _NO_OFFER) from refused
            raise

    async def sign_in(self, tenant_id: TenantId, user_id: str, password: str) -> SessionCookie:
        """Start a session. Raises: Unauthenticated; Problem: 429, too many tries; 503, too many sign in."""
        who = (str(tenant_id), user_id)
        # who gets no place does not count: so many names that earlier tries are forgotten would cost nothing
        with self._passwords.place():
            self._slow_down.try_once(who)
            member = member_of(await self._parts(tenant_id, f"user-{user_id}"))
            is_right = await self._passwords.verify(password, member.password_hash if member else None)
        # asked in any case: how long the answer takes says nothing
        is_active = await self._is_active(tenant_id)
        if not is_right or member is None or not is_active:
            raise Unauthenticated(_NOT_RIGHT)
        self._slow_down.succeeded(who)
        return await self._sessions.start(tenant_id, user_id, member.number)

    async def sign_out(self, caller: Caller) -> None:
        """End the caller's session; whoever came with something else has none."""
        command = EndSession(session_id=caller.credential_id, reason="signed out")
        await accepted(self._gate, caller.tenant_id, command, caller.actor)

    async def _is_active(self, tenant_id: TenantId) -> bool:
        return await asyncio.to_thread(self._credentials.status_of, tenant_id) == ACTIVE

    async def _parts(self, tenant_id: TenantId, stream: str) -> Parts:
        return values_of(await asyncio.to_thread(self._credentials.of_stream, tenant_id, StreamId(stream)))


def _user(user_id: str) -> Actor:
    return Actor(ActorType.USER, user_id)
