"""The operator registers, suspends and reactivates tenants here, and gives them API keys, each shown once."""

import asyncio
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.identity.api_key import Most, RequestLimits, Scope
from domain.identity.tenant import SetQuota
from domain.identity.user import Email, UserId
from projections.credentials import Credentials
from read_api.edge.asking import Operating
from read_api.edge.auth import Caller
from read_api.edge.responses import Json, answered
from read_api.edge.tokens import token_of
from schemas.envelope import TenantId
from schemas.values import Name, TenantName, Text
from streams.intake.http.bodies import body_of
from streams.intake.http.commands import invalid
from streams.intake.http.described import described_body
from streams.intake.http.giving import position_in
from streams.intake.http.onboarding import EVERYTHING, OWN_HOUSE, Given, Owner, Tenants
from streams.ports import Reply

B = TypeVar("B", bound=BaseModel)

_GIVEN = {"tenant_id": "acme", "key_id": "3f2a…", "api_key": "ak_3f2a….sk_…", "position": "events/0/12"}
_CHANGED = answered({"tenant_id": "acme", "events": ["tenant.suspended"], "position": "events/0/12"})

_Tenant = Annotated[TenantName, Path(description="whose", examples=["acme"])]


class _NewTenant(BaseModel):
    model_config = ConfigDict(extra="forbid")
    tenant_id: TenantName
    name: Name
    owner_id: UserId | None = None
    owner_email: Email | None = None


class _OperatorsKey(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Name | None = None
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=50)] = EVERYTHING
    limits: RequestLimits = OWN_HOUSE


class _Quota(BaseModel):
    """Shape: what is left out has no limit."""

    model_config = ConfigDict(extra="forbid")
    events_per_day: Most | None = None
    facts_per_day: Most | None = None
    live_streams: Most | None = None
    requests_per_minute: Most | None = None
    requests_per_hour: Most | None = None
    requests_per_day: Most | None = None


class _Why(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: Text = ""


def tenant_list_router(credentials: Credentials) -> APIRouter:
    router = APIRouter(tags=["operator"])

    @router.get(
        "/v1/tenants",
        summary="Every tenant and its status; for the operator's key only",
        responses=answered({"rows": [{"tenant_id": "acme", "status": "ACTIVE"}], "next": None}),
    )
    async def all_tenants(_caller: Annotated[Caller, Depends(Operating("list tenants"))]) -> Response:
        found = await asyncio.to_thread(credentials.tenants)
        rows = [{"tenant_id": tenant_id, "status": status} for tenant_id, status in sorted(found.items())]
        return Json({"rows": rows, "next": None})

    return router


def tenants_router(tenants: Tenants) -> APIRouter:
    router = APIRouter(tags=["commands"])

    @router.post(
        "/v1/tenants",
        summary="A new tenant, or one without a key that works, and its API key; for the operator's key only",
        status_code=201,
        responses=answered({**_GIVEN, "registered": True}, "Registered", status=201),
        openapi_extra=described_body(
            _NewTenant, {"tenant_id": "acme", "name": "Acme Ltd", "owner_id": "ann", "owner_email": "ann@acme.example"}
        ),
    )
    async def new_tenant(
        request: Request, caller: Annotated[Caller, Depends(Operating("register tenants"))]
    ) -> Response:
        wanted = await read_body(request, _NewTenant)
        owner = Owner(wanted.owner_id, wanted.owner_email)
        given = await tenants.add(TenantId(wanted.tenant_id), wanted.name, caller.actor, owner)
        return _given(request, wanted.tenant_id, given, registered=given.registered)

    @router.post(
        "/v1/tenants/{tenant_id}/keys",
        summary="One more API key for a tenant, shown this once; for the operator's key only",
        status_code=201,
        responses=answered({**_GIVEN, "scopes": ["*"], "limits": {"minute": 600}}, "Issued", status=201),
        openapi_extra=described_body(_OperatorsKey, {"name": "instead of the lost one", "scopes": ["*"]}),
    )
    async def give_key(
        tenant_id: _Tenant, request: Request, caller: Annotated[Caller, Depends(Operating("give keys to tenants"))]
    ) -> Response:
        wanted = await read_body(request, _OperatorsKey)
        given = await tenants.give_key(
            TenantId(tenant_id), caller.actor, wanted.scopes, wanted.name, limits=wanted.limits
        )
        return _given(request, tenant_id, given, scopes=wanted.scopes, limits=wanted.limits)

    @router.post(
        "/v1/tenants/{tenant_id}/suspend",
        summary="No key of the tenant does anything until it is reactivated; for the operator's key only",
        responses=_CHANGED,
        openapi_extra=described_body(_Why, {"reason": "unpaid"}),
    )
    async def suspend(
        tenant_id: _Tenant, request: Request, caller: Annotated[Caller, Depends(Operating("suspend tenants"))]
    ) -> Response:
        wanted = await read_body(request, _Why)
        return _changed(request, tenant_id, await tenants.suspend(TenantId(tenant_id), wanted.reason, caller.actor))

    @router.post(
        "/v1/tenants/{tenant_id}/reactivate",
        summary="The keys of a suspended tenant work again; for the operator's key only",
        responses=_CHANGED,
        openapi_extra=described_body(_Why, {"reason": "paid"}),
    )
    async def reactivate(
        tenant_id: _Tenant, request: Request, caller: Annotated[Caller, Depends(Operating("reactivate tenants"))]
    ) -> Response:
        wanted = await read_body(request, _Why)
        return _changed(request, tenant_id, await tenants.reactivate(TenantId(tenant_id), wanted.reason, caller.actor))

    @router.post(
        "/v1/tenants/{tenant_id}/quota",
        summary="How much a tenant may do, in place of what was set before; for the operator's key only",
        responses=answered({"tenant_id": "acme", "events": ["tenant.quota.set"], "position": "events/0/12"}),
        openapi_extra=described_body(_Quota, {"events_per_day": 1_000, "live_streams": 5, "requests_per_minute": 600}),
    )
    async def set_quota(
        tenant_id: _Tenant, request: Request, caller: Annotated[Caller, Depends(Operating("set quotas of tenants"))]
    ) -> Response:
        wanted = await read_body(request, _Quota)
        command = SetQuota(tenant_id=tenant_id, **wanted.model_dump())
        return _changed(request, tenant_id, await tenants.set_quota(command, caller.actor))

    return router


def _given(request: Request, tenant_id: str, given: Given, **more: Any) -> Response:
    key = {"key_id": given.key_id, "api_key": given.api_key}
    # a key that was given was recorded
    position = position_in(request, given.reply)
    return Json({"tenant_id": tenant_id, **key, "position": position, **more}, status_code=201)


def _changed(request: Request, tenant_id: str, reply: Reply) -> Response:
    position = None if reply.position is None else token_of(request, reply.position)
    return Json({"tenant_id": tenant_id, "events": [event.type for event in reply.events], "position": position})


async def read_body(request: Request, class_: type[B]) -> B:
    """Return what a request asks for; no body asks for nothing but what is the default. Raises: Problem."""
    try:
        async with body_of(request) as body:
            return class_.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise invalid(error) from error
