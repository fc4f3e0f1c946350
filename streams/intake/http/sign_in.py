"""Users are invited here, set their passwords, and sign in and out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from domain.identity.user import Email, InviteUser, Role, UserId
from read_api.edge.asking import Allowed, Asking
from read_api.edge.auth import Caller, CredentialKind, Forbidden
from read_api.edge.credential import COOKIE, require_same_origin
from read_api.edge.problems import Problem
from read_api.edge.responses import Json, answered
from read_api.edge.scopes import require_to_grant_roles
from schemas.envelope import TenantId
from schemas.values import Instant, TenantName
from streams.intake.http.accounts import Accounts, Offered
from streams.intake.http.commands import invalid, use_events
from streams.intake.http.described import described_body
from streams.intake.http.giving import position_in
from streams.intake.http.media_types import JSON, media_type
from streams.intake.http.new_sessions import give_session
from streams.intake.http.tenants import B, read_body

_LARGEST_BODY = 4_096

_OFFERED = answered({"user_id": "ann", "token": "…", "position": "events/0/12"}, "The token is valid now", status=201)

_Managing = Annotated[Caller, Depends(Allowed("identity:write", records="events"))]

_NewPassword = Annotated[str, StringConstraints(min_length=10, max_length=200)]
_Password = Annotated[str, StringConstraints(max_length=200)]
_Token = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class _Invitation(BaseModel):
    model_config = ConfigDict(extra="forbid")
    user_id: UserId
    email: Email
    roles: Annotated[tuple[Role, ...], Field(min_length=1, max_length=5)]
    expires_at: Instant | None = None


class _WithToken(BaseModel):
    model_config = ConfigDict(extra="forbid")
    tenant_id: TenantName
    user_id: UserId
    token: _Token
    password: _NewPassword


class _SignIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    tenant_id: TenantName
    user_id: UserId
    password: _Password


def sign_in_router(accounts: Accounts) -> APIRouter:
    router = APIRouter(tags=["who"])

    @router.post(
        "/v1/invitations",
        summary="Invite a user; the token, shown this once, lets them join and set a password",
        status_code=201,
        responses=_OFFERED,
        openapi_extra=described_body(_Invitation, {"user_id": "ann", "email": "ann@acme.example", "roles": ["USER"]}),
    )
    async def invite(request: Request, caller: _Managing) -> Response:
        wanted = await read_body(request, _Invitation)
        require_to_grant_roles(caller, wanted.roles)
        command = InviteUser(**dict(wanted))
        return await _offered(request, caller, wanted.user_id, await accounts.invite(caller, command))

    @router.post(
        "/v1/users/{user_id}/password-token",
        summary="Let a user set a password, who lost theirs or has none yet; the token, shown this once, lasts a day",
        status_code=201,
        responses=_OFFERED,
    )
    async def offer(
        user_id: Annotated[UserId, Path(description="who")], request: Request, caller: _Managing
    ) -> Response:
        # whoever sets a user's password can be that user
        require_to_grant_roles(caller, await accounts.roles_of(caller.tenant_id, user_id))
        return await _offered(request, caller, user_id, await accounts.offer_password(caller, user_id))

    @router.post(
        "/v1/passwords",
        summary="Set a password with a token, and join where it is an invitation's; needs no other credential",
        responses=answered({"user_id": "ann", "events": ["user.password.set"]}),
        openapi_extra=described_body(
            _WithToken,
            {"tenant_id": "acme", "user_id": "ann", "token": "…", "password": "correct horse battery staple"},
        ),
    )
    async def set_password(request: Request) -> Response:
        wanted = await small_body(request, _WithToken)
        tenant_id = TenantId(wanted.tenant_id)
        reply = await accounts.set_password(tenant_id, wanted.user_id, wanted.token, wanted.password)
        return Json({"user_id": wanted.user_id, "events": [event.type for event in reply.events]})

    @router.post(
        "/v1/sign-in",
        summary="Start a session; its cookie says from then on who asks",
        responses=answered(
            {"tenant_id": "acme", "user_id": "ann", "session_id": "3f2a…"},
            "Signed in",
            headers={"Set-Cookie": "what each request of the session carries"},
        ),
        openapi_extra=described_body(
            _SignIn, {"tenant_id": "acme", "user_id": "ann", "password": "correct horse battery staple"}
        ),
    )
    async def sign_in(request: Request) -> Response:
        wanted = await small_body(request, _SignIn)
        cookie = await accounts.sign_in(TenantId(wanted.tenant_id), wanted.user_id, wanted.password)
        answer = Json({"tenant_id": wanted.tenant_id, "user_id": wanted.user_id, "session_id": cookie.session_id})
        give_session(answer, request, cookie)
        return answer

    @router.post(
        "/v1/sign-out",
        summary="End the session of the caller, within a second everywhere",
        responses=answered({"signed_out": True}),
    )
    async def sign_out(caller: Asking) -> Response:
        if caller.kind is not CredentialKind.SESSION:
            raise Forbidden("only a session can sign out; revoke a key, or let a token expire")
        await accounts.sign_out(caller)
        answer = Json({"signed_out": True})
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return router


async def _offered(request: Request, caller: Caller, user_id: str, offered: Offered) -> Response:
    await use_events(request, caller, offered.reply)
    position = position_in(request, offered.reply)
    return Json({"user_id": user_id, "token": offered.token, "position": position}, status_code=201)


async def small_body(request: Request, class_: type[B]) -> B:
    """Return what somebody asks for of whom nothing is known yet. Raises: Problem."""
    media_type(request.headers.get("Content-Type", ""), JSON)
    if "Sec-Fetch-Site" in request.headers or "Origin" in request.headers:
        # another site's page must not sign its visitor in as somebody else
        require_same_origin(request)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise Problem(413, f"the body has more than {_LARGEST_BODY} bytes", headers={"Connection": "close"})
    try:
        return class_.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error) from error
