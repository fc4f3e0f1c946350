"""A session is started here for a user who has shown who they are, and its cookie is given to their browser."""

import asyncio
import secrets

from fastapi import Request, Response

from domain.identity.session import SESSION_LASTS, StartSession
from projections.credentials import Credentials, values_of
from projections.sign_in import session_of
from read_api.edge.auth import secret_sha256
from read_api.edge.credential import COOKIE
from read_api.edge.sessions import SessionCookie
from schemas.envelope import Actor, ActorType, StreamId, TenantId
from streams.intake.http.accepting import accepted
from streams.intake.http.commands import Gate

# how far behind the log a gateway's credentials may be
_LOOKS = 40
_LOOK_S = 0.05


class NewSessions:
    """Starts sessions. Raises: Refused; LogUnavailable or Overloaded, safe to retry."""

    def __init__(self, gate: Gate, credentials: Credentials) -> None:
        self._gate = gate
        self._credentials = credentials

    async def start(self, tenant_id: TenantId, user_id: str, password: int) -> SessionCookie:
        """Start a session, which ends when the user has a newer password than the one of this number."""
        cookie = SessionCookie(tenant_id, secrets.token_hex(16), secrets.token_urlsafe(32))
        hash_ = secret_sha256(cookie.secret)
        command = StartSession(session_id=cookie.session_id, user_id=user_id, secret_sha256=hash_, password=password)
        await accepted(self._gate, tenant_id, command, Actor(ActorType.USER, user_id))
        await self._known(cookie)
        return cookie

    async def _known(self, cookie: SessionCookie) -> None:
        """Wait until a session can be used here: the next request comes at once."""
        stream = StreamId(f"session-{cookie.session_id}")
        for _ in range(_LOOKS):
            if session_of(values_of(await asyncio.to_thread(self._credentials.of_stream, cookie.tenant_id, stream))):
                return
            await asyncio.sleep(_LOOK_S)


def give_session(answer: Response, request: Request, cookie: SessionCookie) -> None:
    """Let the browser that gets an answer show the session from then on."""
    answer.set_cookie(
        COOKIE,
        str(cookie),
        max_age=int(SESSION_LASTS.total_seconds()),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
