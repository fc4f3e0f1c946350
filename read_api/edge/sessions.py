"""The cookie of a session says which user asks, who signed in before."""

import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from projections.credentials import Credentials, values_of
from projections.sign_in import Member, Parts, Session, disabled_at_of, member_of, session_of
from read_api.edge.auth import Caller, CredentialKind, Unauthenticated, secret_sha256
from schemas.envelope import StreamId, TenantId

_LONGEST_COOKIE = 512
_NOT_VALID = "the session is over; sign in again"


class SessionCookie(NamedTuple):
    """What a browser keeps: no part of it has a dot in it."""

    tenant_id: TenantId
    session_id: str
    secret: str

    def __str__(self) -> str:
        return ".".join(self)


class Sessions:
    """Finds the users of sessions. Any thread may ask."""

    def __init__(self, credentials: Credentials, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._credentials = credentials
        self._now = now

    def caller(self, text: str) -> Caller:
        """Return the user of a session, with the roles that they have now.

        Raises: Unauthenticated: it has ended, the user is disabled or has another password; StoreUnavailable.
        Source: session.started, session.ended, user.joined, user.role.changed, user.password.set, user.disabled.
        """
        tenant, *rest = text.split(".")
        if len(text) > _LONGEST_COOKIE or len(rest) != len(SessionCookie._fields) - 1:
            raise Unauthenticated(_NOT_VALID)
        shown = SessionCookie(TenantId(tenant), *rest)
        session = session_of(self._parts(shown.tenant_id, f"session-{shown.session_id}"))
        if session is None or not hmac.compare_digest(session.secret_sha256, secret_sha256(shown.secret)):
            raise Unauthenticated(_NOT_VALID)
        member = self._member(shown.tenant_id, session)
        if member is None:
            raise Unauthenticated(_NOT_VALID)
        return Caller(
            shown.tenant_id,
            session.user_id,
            (),
            kind=CredentialKind.SESSION,
            roles=member.roles,
            credential_id=shown.session_id,
        )

    def user_of(self, tenant_id: TenantId, session_id: str) -> str | None:
        """Return the user of a session that is still good, None where it is over. Raises: StoreUnavailable.

        Shape: whoever asks has seen the session's secret before.
        """
        session = session_of(self._parts(tenant_id, f"session-{session_id}"))
        return session.user_id if session and self._member(tenant_id, session) else None

    def _member(self, tenant_id: TenantId, session: Session) -> Member | None:
        """Return the user of a session as they are now, None where it is over."""
        if session.expires_at <= self._now():
            return None
        parts = self._parts(tenant_id, f"user-{session.user_id}")
        member, disabled_at = member_of(parts), disabled_at_of(parts)
        # whoever has the id after that may be somebody else, and without a password their number is the same
        is_of_before = disabled_at is not None and session.began_at <= disabled_at
        return None if member is None or member.number != session.number or is_of_before else member

    def _parts(self, tenant_id: TenantId, stream: str) -> Parts:
        return values_of(self._credentials.of_stream(tenant_id, StreamId(stream)))
