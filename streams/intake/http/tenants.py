"""The operator registers, suspends and reactivates tenants here; a new one gets its first API key, once."""

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError

from read_api.edge.asking import Asking
from read_api.edge.responses import Json
from read_api.edge.scopes import require_operator
from schemas.envelope import TenantId
from schemas.values import Name, TenantName, Text
from streams.intake.http.bodies import body_of
from streams.intake.http.commands import invalid
from streams.intake.http.onboarding import Tenants
from streams.ports import Reply

B = TypeVar("B", bound=BaseModel)

_Tenant = Annotated[TenantName, Path(description="whose", examples=["acme"])]


class _NewTenant(BaseModel):
    model_config = ConfigDict(extra="forbid")
    tenant_id: TenantName
    name: Name


class _Why(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: Text = ""


def tenants_router(tenants: Tenants) -> APIRouter:
    router = APIRouter(tags=["commands"])

    @router.post(
        "/v1/tenants",
        summary="A new tenant, with its first API key; for the operator's key only",
        openapi_extra=documented_body(_NewTenant, {"tenant_id": "acme", "name": "Acme Ltd"}),
    )
    async def new_tenant(request: Request, caller: Asking) -> Response:
        require_operator(caller, "register tenants")
        wanted = await read_body(request, _NewTenant)
        given = await tenants.add(TenantId(wanted.tenant_id), wanted.name, caller.actor)
        answer = {"tenant_id": wanted.tenant_id, "api_key": given.api_key, "position": str(given.reply.position)}
        return Json(answer, status_code=201)

    @router.post(
        "/v1/tenants/{tenant_id}/suspend",
        summary="No key of the tenant does anything until it is reactivated; for the operator's key only",
        openapi_extra=documented_body(_Why, {"reason": "unpaid"}),
    )
    async def suspend(tenant_id: _Tenant, request: Request, caller: Asking) -> Response:
        require_operator(caller, "suspend tenants")
        wanted = await read_body(request, _Why)
        return _changed(tenant_id, await tenants.suspend(TenantId(tenant_id), wanted.reason, caller.actor))

    @router.post(
        "/v1/tenants/{tenant_id}/reactivate",
        summary="The keys of a suspended tenant work again; for the operator's key only",
        openapi_extra=documented_body(_Why, {"reason": "paid"}),
    )
    async def reactivate(tenant_id: _Tenant, request: Request, caller: Asking) -> Response:
        require_operator(caller, "reactivate tenants")
        wanted = await read_body(request, _Why)
        return _changed(tenant_id, await tenants.reactivate(TenantId(tenant_id), wanted.reason, caller.actor))

    return router


def _changed(tenant_id: str, reply: Reply) -> Response:
    position = None if reply.position is None else str(reply.position)
    return Json({"tenant_id": tenant_id, "events": [event.type for event in reply.events], "position": position})


async def read_body(request: Request, class_: type[B]) -> B:
    """Return what a request asks for; no body asks for nothing but what is the default. Raises: Problem."""
    try:
        async with body_of(request) as body:
            return class_.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise invalid(error) from error


def documented_body(class_: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": class_.model_json_schema(), "example": example}}
    return {"requestBody": {"required": True, "content": content}}
