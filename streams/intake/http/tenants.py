"""The operator registers a new tenant here and gets its first API key, once."""

import secrets
from contextlib import suppress
from typing import NamedTuple

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError

from domain.identity.api_key import IssueApiKey, Scope
from domain.identity.tenant import RegisterTenant
from domain.message import Command
from read_api.edge.asking import Asking
from read_api.edge.auth import secret_sha256
from read_api.edge.problems import Problem
from read_api.edge.responses import Json
from read_api.edge.scopes import require_operator
from schemas.envelope import Actor, TenantId
from schemas.values import Name, TenantName
from streams.identifiers import new_id
from streams.intake.http.bodies import body_of
from streams.intake.http.commands import STATUS, Gate, invalid
from streams.ports import LogUnavailable, Reply, Submission

EVERYTHING: tuple[Scope, ...] = ("*",)

_TRIES = 3


class NewKey(NamedTuple):
    """An API key as its owner gets it, and the command that makes it valid; the secret is in `text` alone."""

    text: str
    command: IssueApiKey


def new_key(scopes: tuple[Scope, ...] = EVERYTHING, name: str | None = None) -> NewKey:
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    command = IssueApiKey(key_id=key_id, secret_sha256=secret_sha256(secret), scopes=scopes, name=name)
    return NewKey(f"ak_{key_id}.sk_{secret}", command)


class Onboarding(NamedTuple):
    """What makes a tenant ready to be used: the commands, in order, and its first API key."""

    submissions: tuple[Submission, ...]
    api_key: str


def onboard(tenant_id: TenantId, name: str, actor: Actor) -> Onboarding:
    key = new_key(name="first key")
    commands: tuple[Command, ...] = (RegisterTenant(tenant_id=tenant_id, name=name), key.command)
    submissions = tuple(
        Submission(new_id(), tenant_id, f"identity.{type(command).__name__}", command, actor) for command in commands
    )
    return Onboarding(submissions, key.text)


class _NewTenant(BaseModel):
    model_config = ConfigDict(extra="forbid")
    tenant_id: TenantName
    name: Name


def tenants_router(gate: Gate) -> APIRouter:
    router = APIRouter(tags=["commands"])

    @router.post(
        "/v1/tenants",
        summary="A new tenant, with its first API key; for the operator's key only",
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": _NewTenant.model_json_schema(),
                        "example": {"tenant_id": "acme", "name": "Acme Ltd"},
                    }
                },
            }
        },
    )
    async def new_tenant(request: Request, caller: Asking) -> Response:
        require_operator(caller, "register tenants")
        try:
            async with body_of(request) as body:
                wanted = _NewTenant.model_validate_json(body)
        except ValidationError as error:
            raise invalid(error) from error
        onboarding = onboard(TenantId(wanted.tenant_id), wanted.name, caller.actor)
        for submission in onboarding.submissions:
            reply = await _answered(gate, submission)
            if reply.refusal is not None:
                raise Problem(STATUS[reply.refusal.kind], reply.refusal.reason, kind=reply.refusal.kind.value)
        answer = {"tenant_id": wanted.tenant_id, "api_key": onboarding.api_key, "position": str(reply.position)}
        return Json(answer, status_code=201)

    return router


async def _answered(gate: Gate, submission: Submission) -> Reply:
    """Ask again under the same id where no answer came: the key is told with this answer or never."""
    for _ in range(_TRIES - 1):
        with suppress(LogUnavailable):
            return await gate.execute(submission)
    return await gate.execute(submission)
