"""A tenant registers its clients here: the server makes their ids and secrets, and shows each secret once."""

import secrets
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from domain.identity.api_key import Scope
from domain.identity.client import ClientKind, RedirectUri, RegisterClient, RotateClientSecret
from projections.credentials import Credentials, values_of
from projections.own_issuer import client_of, client_stream
from read_api.edge.asking import Allowed
from read_api.edge.auth import Caller, secret_sha256
from read_api.edge.problems import Problem
from read_api.edge.responses import Json, answered
from read_api.edge.scopes import require_to_grant
from schemas.values import Id, Name
from streams.intake.http.commands import Gate
from streams.intake.http.described import described_body
from streams.intake.http.giving import given, position_in
from streams.intake.http.grants import require_to_grant_limits
from streams.intake.http.tenants import read_body

_EXAMPLE = {
    "name": "reports",
    "kind": "confidential",
    "redirect_uris": ["https://reports.example/signed-in"],
    "scopes": ["devices:read"],
}
_GIVEN = {"client_id": "acme.5f1c2d1e9a7b4c60", **_EXAMPLE, "client_secret": "…", "position": "events/0/12"}


class _Client(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Name
    kind: ClientKind = ClientKind.CONFIDENTIAL
    redirect_uris: Annotated[tuple[RedirectUri, ...], Field(max_length=20)] = ()
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=50)]


_ROTATED = {
    "client_id": "acme.5f1c2d1e9a7b4c60",
    "secret_id": "5f1c2d1e9a7b4c60",
    "client_secret": "…",
    "position": "events/0/13",
}


def clients_router(gate: Gate, credentials: Credentials) -> APIRouter:
    router = APIRouter(tags=["who"])

    @router.post(
        "/v1/clients",
        summary="A program that may ask for tokens of the caller's tenant; its secret is shown this once",
        description="A `confidential` client has a secret and may act for itself. A `public` one (a page, or a program"
        " on its user's machine) has none, `client_secret` is null, and it acts for users only. `redirect_uris` are"
        " where users are sent back to, to the letter.",
        status_code=201,
        responses=answered(_GIVEN, "Registered", status=201),
        openapi_extra=described_body(_Client, _EXAMPLE),
    )
    async def register(
        request: Request, caller: Annotated[Caller, Depends(Allowed("identity:write", records="events"))]
    ) -> Response:
        wanted = await read_body(request, _Client)
        require_to_grant(caller, wanted.scopes)
        require_to_grant_limits(caller, None)
        secret = secrets.token_urlsafe(32) if wanted.kind is ClientKind.CONFIDENTIAL else None
        # the tenant's name in front says where to look for it
        command = RegisterClient(
            client_id=f"{caller.tenant_id}.{secrets.token_hex(8)}",
            secret_sha256=secret and secret_sha256(secret),
            **dict(wanted),
        )
        reply = await given(request, gate, caller, command)
        answer = {
            "client_id": command.client_id,
            **wanted.model_dump(mode="json"),
            "client_secret": secret,
            "position": position_in(request, reply),
        }
        return Json(answer, status_code=201)

    @router.post(
        "/v1/clients/{client_id}/secrets",
        summary="Another secret of a client, which is shown this once; the one before stays good until it is ended",
        description="Two are good at a time: tell the new one to all of the client, then end the old one with"
        " `identity.EndClientSecret` and its `secret_id`. The first one is `first`. `/v1/clients` shows which are"
        " good, once there was a second one.",
        status_code=201,
        responses=answered(_ROTATED, "Rotated", status=201),
    )
    async def rotate(
        client_id: Annotated[Id, Path(description="which client", examples=["acme.5f1c2d1e9a7b4c60"])],
        request: Request,
        caller: Annotated[Caller, Depends(Allowed("identity:write", records="events"))],
    ) -> Response:
        stream = client_stream(client_id)
        client = client_of(values_of(await to_thread.run_sync(credentials.of_stream, caller.tenant_id, stream)))
        if client is None:
            raise Problem(404, f"client {client_id} is not known, or revoked")
        # whoever has its secret may what it may
        require_to_grant(caller, client.scopes)
        require_to_grant_limits(caller, None)
        secret = secrets.token_urlsafe(32)
        command = RotateClientSecret(
            client_id=client_id, secret_id=secrets.token_hex(8), secret_sha256=secret_sha256(secret)
        )
        reply = await given(request, gate, caller, command)
        answer = {
            "client_id": client_id,
            "secret_id": command.secret_id,
            "client_secret": secret,
            "position": position_in(request, reply),
        }
        return Json(answer, status_code=201)

    return router
