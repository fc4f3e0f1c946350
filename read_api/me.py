"""Whoever asks learns here who they are to this server, and what they may do."""

from fastapi import APIRouter, Response

from read_api.edge.asking import Asking
from read_api.edge.auth import CredentialKind
from read_api.edge.responses import Json, answered

router = APIRouter(tags=["who"])

_EXAMPLE = {
    "tenant_id": "acme",
    "actor": {"type": "user", "id": "ann"},
    "credential": {"type": "session", "id": "5f1c2d1e9a7b4c60"},
    "roles": ["ADMIN"],
    "scopes": [],
    "organization_id": None,
}


@router.get(
    "/v1/me",
    summary="Who asks, by which credential, and with which roles or scopes; any valid credential will do",
    responses=answered(_EXAMPLE, "Who asks"),
)
async def me(caller: Asking) -> Response:
    is_key = caller.kind is CredentialKind.API_KEY
    return Json(
        {
            "tenant_id": caller.tenant_id,
            "actor": caller.actor._asdict(),
            "credential": {"type": caller.kind.value, "id": caller.id if is_key else caller.credential_id},
            "roles": caller.roles,
            "scopes": caller.scopes,
            "organization_id": caller.organization_id,
        }
    )
