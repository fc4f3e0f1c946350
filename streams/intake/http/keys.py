"""A tenant gets more API keys here; the server makes their ids and secrets, and shows each secret once."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from domain.identity.api_key import RequestLimits, Scope
from read_api.edge.asking import Allowed
from read_api.edge.auth import Caller
from read_api.edge.responses import Json, answered
from read_api.edge.scopes import require_to_grant
from schemas.values import Name
from streams.intake.http.commands import use_events
from streams.intake.http.described import described_body
from streams.intake.http.giving import position_in
from streams.intake.http.grants import require_to_grant_limits
from streams.intake.http.onboarding import Tenants
from streams.intake.http.tenants import read_body

_EXAMPLE = {"name": "agent of web-1", "scopes": ["devices:read"], "limits": {"minute": 600}}


class _Key(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Name
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=50)]
    limits: RequestLimits | None = None


def keys_router(tenants: Tenants) -> APIRouter:
    router = APIRouter(tags=["commands"])

    @router.post(
        "/v1/keys",
        summary="One more API key of the caller's tenant, shown this once",
        status_code=201,
        responses=answered(
            {"key_id": "3f2a…", **_EXAMPLE, "api_key": "ak_3f2a….sk_…", "position": "events/0/12"},
            "Issued",
            status=201,
        ),
        openapi_extra=described_body(_Key, _EXAMPLE),
    )
    async def new_key(
        request: Request, caller: Annotated[Caller, Depends(Allowed("identity:write", records="events"))]
    ) -> Response:
        wanted = await read_body(request, _Key)
        require_to_grant(caller, wanted.scopes)
        require_to_grant_limits(caller, wanted.limits)
        given = await tenants.give_key(caller.tenant_id, caller.actor, wanted.scopes, wanted.name, limits=wanted.limits)
        await use_events(request, caller, given.reply)
        answer = {
            "key_id": given.key_id,
            "name": wanted.name,
            "scopes": wanted.scopes,
            "limits": wanted.limits,
            "api_key": given.api_key,
            "position": position_in(request, given.reply),
        }
        return Json(answer, status_code=201)

    return router
