"""A tenant registers here where its events are sent to; the secret that they are signed with is shown once."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict

from domain import catalog
from domain.integration.processes import MAX_ENDPOINTS
from domain.integration.webhook_endpoint import (
    ChangeWebhook,
    EndpointId,
    EventTypes,
    RegisterWebhook,
    RotateWebhookSecret,
    WebhookStatus,
    WebhookUrl,
    endpoint_stream,
)
from projections.integration.webhook_endpoints import PROJECTION as ENDPOINTS
from projections.readers import DocumentsReader
from read_api.edge.asking import Allowed
from read_api.edge.auth import Caller, CredentialKind, Forbidden
from read_api.edge.problems import Problem
from read_api.edge.responses import Json, answered
from read_api.edge.scopes import require
from schemas.envelope import TenantId
from schemas.standard_webhooks import new_secret
from streams.intake.http.commands import Gate
from streams.intake.http.described import described_body
from streams.intake.http.giving import given, position_in
from streams.intake.http.provider_keys import SecretBox
from streams.intake.http.tenants import read_body

LISTENING = "live:read"
"""What whoever registers an endpoint needs besides: it hears what a live stream hears."""

_SAID = {"url": "https://shop.example/hooks", "types": ["payment.recorded", "invoice.approved"]}
_REGISTERED = {"endpoint_id": "shop", **_SAID, "secret": "whsec_…", "position": "events/0/12"}
_ROTATED = {"endpoint_id": "shop", "secret": "whsec_…", "position": "events/0/13"}
_CHANGED = {"endpoint_id": "shop", "position": "events/0/14"}

_Managing = Annotated[Caller, Depends(Allowed("integration:write", records="events"))]
_Endpoint = Annotated[EndpointId, Path(description="which endpoint", examples=["shop"])]


class _Register(BaseModel):
    model_config = ConfigDict(extra="forbid")
    endpoint_id: EndpointId
    url: WebhookUrl
    types: EventTypes


class _Change(BaseModel):
    """Shape: what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")
    url: WebhookUrl | None = None
    types: EventTypes | None = None


def webhooks_router(gate: Gate, box: SecretBox, documents: DocumentsReader) -> APIRouter:
    """Shape: `documents` has the view of the endpoints that there are."""
    router = APIRouter(tags=["commands"])

    @router.post(
        f"/v1/{ENDPOINTS.name}",
        summary="Send events of these types to an address; the secret that they are signed with is shown this once",
        description="Webhooks are signed as the Standard Webhooks specification says, sent one after the other in the"
        " order of the log, and repeated until they are taken. Personal fields are in them where whoever registers the"
        " endpoint, or changes it, may see them. It takes an API key, or a user who has signed in here.",
        status_code=201,
        responses=answered(_REGISTERED, "Registered", status=201),
        openapi_extra=described_body(_Register, {"endpoint_id": "shop", **_SAID}),
    )
    async def register(request: Request, caller: _Managing) -> Response:
        wanted = await read_body(request, _Register)
        _check(caller, wanted.types)
        if await asyncio.to_thread(_has_enough, documents, caller.tenant_id):
            raise Problem(
                409, f"there are {MAX_ENDPOINTS} webhook endpoints already; remove one with RemoveWebhook first"
            )
        secret = new_secret()
        sealed = await _sealed(box, caller.tenant_id, wanted.endpoint_id, secret)
        reply = await given(request, gate, caller, RegisterWebhook(**dict(wanted), sealed=sealed))
        answer = {**wanted.model_dump(mode="json"), "secret": secret, "position": position_in(request, reply)}
        return Json(answer, status_code=201)

    @router.post(
        f"/v1/{ENDPOINTS.name}/{{endpoint_id}}",
        summary="Another address for the webhooks of an endpoint, or other types of events",
        responses=answered(_CHANGED, "Changed"),
        openapi_extra=described_body(_Change, _SAID),
    )
    async def change(endpoint_id: _Endpoint, request: Request, caller: _Managing) -> Response:
        wanted = await read_body(request, _Change)
        _check(caller, wanted.types or ())
        reply = await given(request, gate, caller, ChangeWebhook(endpoint_id=endpoint_id, **dict(wanted)))
        return Json({"endpoint_id": endpoint_id, "position": position_in(request, reply)})

    @router.post(
        f"/v1/{ENDPOINTS.name}/{{endpoint_id}}/secret",
        summary="Another secret to sign the webhooks of an endpoint with, shown this once; the one before is forgotten",
        status_code=201,
        responses=answered(_ROTATED, "Rotated", status=201),
    )
    async def rotate(endpoint_id: _Endpoint, request: Request, caller: _Managing) -> Response:
        _check(caller, ())
        secret = new_secret()
        sealed = await _sealed(box, caller.tenant_id, endpoint_id, secret)
        reply = await given(request, gate, caller, RotateWebhookSecret(endpoint_id=endpoint_id, sealed=sealed))
        answer = {"endpoint_id": endpoint_id, "secret": secret, "position": position_in(request, reply)}
        return Json(answer, status_code=201)

    return router


def _check(caller: Caller, types: EventTypes) -> None:
    """Do nothing where the caller may have events of these types sent. Raises: Forbidden; Problem, no such type."""
    require(caller, LISTENING)
    if caller.kind not in (CredentialKind.API_KEY, CredentialKind.SESSION):
        # their rights are known only while their token is good
        raise Forbidden("a webhook endpoint is made with an API key, or by a user who has signed in here")
    if unknown := [name for name in types if name not in catalog.OFFERED]:
        raise Problem(422, f"types: webhooks tell of no event {unknown[0]}; `factline asyncapi` lists the events")


def _has_enough(documents: DocumentsReader, tenant_id: TenantId) -> bool:
    """Return whether there may be no other endpoint, as far as the view knows by now; the process knows for sure."""
    there = 0
    for status in (WebhookStatus.ACTIVE, WebhookStatus.PAUSED):
        found = documents.find(
            ENDPOINTS.name,
            tenant_id,
            filters={"status": status.value},
            sort="registered_at",
            descending=True,
            after=None,
            limit=MAX_ENDPOINTS,
        )
        there += len(found)
    return there >= MAX_ENDPOINTS


async def _sealed(box: SecretBox, tenant_id: TenantId, endpoint_id: str, secret: str) -> str:
    return await asyncio.to_thread(box.seal, tenant_id, endpoint_stream(endpoint_id), secret)
