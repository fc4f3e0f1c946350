"""Others learn here where a tenant's own tokens come from and which keys sign them, and the tenant takes a new key."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from domain.identity.consent import WHO
from read_api.edge.asking import Allowed
from read_api.edge.auth import Caller
from read_api.edge.jws import ES256
from read_api.edge.responses import Json, answered
from schemas.envelope import TenantId
from schemas.values import TenantName
from streams.intake.http.command_docs import KEY, REPLIED
from streams.intake.http.giving import Giving
from streams.intake.http.granting import GRANT_TYPES
from streams.intake.http.signing import Signing

_EXAMPLE_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    "kid": "4c1d2e3f5a6b7c8d",
    "alg": "ES256",
    "use": "sig",
}
_METHODS = ["client_secret_basic", "client_secret_post", "none"]

_Tenant = Annotated[TenantName, Path(description="whose tokens", examples=["acme"])]


def issuer_of(request: Request, tenant_id: str) -> str:
    """Return what tokens of a tenant that are asked for under this address have as `iss`."""
    return f"{_base(request)}/oauth/{tenant_id}"


def own_issuer_router(signing: Signing, giving: Giving) -> APIRouter:
    router = APIRouter(tags=["who"])

    @router.get(
        "/oauth/{tenant_id}/jwks.json",
        summary="The keys that a tenant's own tokens are signed with, as a JWKS; needs no credential",
        description="A key stays here for 15 minutes after another one took its place: as long as its tokens are good."
        " There is none before the tenant's first token.",
        responses=answered({"keys": [_EXAMPLE_KEY]}, "Public keys"),
    )
    async def jwks(tenant_id: _Tenant) -> Response:
        return Json({"keys": [key.jwk for key in await signing.public_keys(TenantId(tenant_id))]})

    @router.get(
        "/.well-known/oauth-authorization-server/oauth/{tenant_id}",
        summary="Where the tenant's own tokens come from (RFC 8414); needs no credential",
        responses=answered(_metadata("https://factline.example", "acme"), "Addresses, and what is understood there"),
    )
    async def metadata(tenant_id: _Tenant, request: Request) -> Response:
        return Json(_metadata(_base(request), tenant_id))

    @router.get(
        "/oauth/{tenant_id}/.well-known/openid-configuration",
        summary="The same for OpenID Connect Discovery; needs no credential",
        responses=answered(_metadata("https://factline.example", "acme"), "Addresses, and what is understood there"),
    )
    async def discovery(tenant_id: _Tenant, request: Request) -> Response:
        return Json(_metadata(_base(request), tenant_id))

    @router.post(
        "/v1/signing_keys",
        summary="Sign the tenant's tokens with a new key from now on; those that are out stay good until they end",
        responses=REPLIED,
        openapi_extra={"parameters": [KEY]},
    )
    async def rotate(
        request: Request, caller: Annotated[Caller, Depends(Allowed("identity:write", records="events"))]
    ) -> Response:
        return await giving.give(request, caller, await signing.new_key(caller.tenant_id), {})

    return router


def _metadata(base: str, tenant_id: str) -> dict[str, object]:
    issuer = f"{base}/oauth/{tenant_id}"
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{base}/oauth/authorize",
        "token_endpoint": f"{base}/oauth/token",
        "revocation_endpoint": f"{base}/oauth/revoke",
        "introspection_endpoint": f"{base}/oauth/introspect",
        "jwks_uri": f"{issuer}/jwks.json",
        "userinfo_endpoint": f"{base}/oauth/userinfo",
        "scopes_supported": list(WHO),
        "response_types_supported": ["code"],
        "grant_types_supported": list(GRANT_TYPES),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": _METHODS,
        "revocation_endpoint_auth_methods_supported": _METHODS,
        "introspection_endpoint_auth_methods_supported": [method for method in _METHODS if method != "none"],
        "authorization_response_iss_parameter_supported": True,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ES256],
        "claims_supported": ["iss", "sub", "aud", "iat", "exp", "nonce", "preferred_username", "email"],
    }


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")
