"""Whoever asks learns here who they are to this server, and what they may do."""

from fastapi import APIRouter, Response

from read_api.edge.asking import Asking
from read_api.edge.responses import Json, answered
from read_api.edge.scopes import granted

router = APIRouter(tags=["who"])

_EXAMPLE = {
    "tenant_id": "acme",
    "actor": {"type": "user", "id": "ann"},
    "credential": {"type": "session", "id": "5f1c2d1e9a7b4c60"},
    "roles": ["ADMIN"],
    "scopes": [],
    "may": ["*"],
    "organization_id": None,
}


@router.get(
    "/v1/me",
    summary="Who asks, by which credential, and with which roles or scopes; any valid credential will do",
    description="`may` is what the roles or scopes come to, as scopes of a key: `devices:read`, `fleet:*`, or `*`.",
    responses=answered(_EXAMPLE, "Who asks"),
)
async def me(caller: Asking) -> Response:
    return Json(
        {
            "tenant_id": caller.tenant_id,
            "actor": caller.actor._asdict(),
            "credential": {"type": caller.kind.value, "id": caller.credential_id or caller.id},
            "roles": caller.roles,
            "scopes": caller.scopes,
            "may": granted(caller),
            "organization_id": caller.organization_id,
        }
    )
