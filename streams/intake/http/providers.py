"""A tenant says here through which provider its people sign in, and their browsers go there and come back."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, StringConstraints

from domain.identity.sign_in_provider import IssuerUrl, SetSignInProvider
from projections.credentials import Credentials
from read_api.edge.asking import Allowed, caller_of
from read_api.edge.auth import Caller, CredentialKind, Forbidden
from read_api.edge.problems import Problem
from read_api.edge.queries import TAKES_ANY
from read_api.edge.rates import RateLimiter, Window, where_it_may_wait, whole_seconds
from read_api.edge.responses import Json, answered
from read_api.edge.scopes import may
from schemas.envelope import TenantId
from schemas.values import Id, Name, TenantName
from streams.intake.http.begun_sign_in import LASTS_S
from streams.intake.http.command_docs import KEY, REPLIED
from streams.intake.http.commands import Gate
from streams.intake.http.described import described_body
from streams.intake.http.giving import Giving
from streams.intake.http.new_sessions import give_session
from streams.intake.http.provider_keys import SecretBox
from streams.intake.http.provider_sign_in import NotSignedIn, ProviderSignIns, sealed_as
from streams.intake.http.sign_in import small_body
from streams.intake.http.tenants import read_body

AWAY = "factline_sign_in"
"""The cookie of a browser that is at a provider."""

BEGUN_A_MINUTE = 120
"""So many sign-ins of one tenant are begun from one address in a minute; many people may share one."""

_SEE_OTHER = 303
_Secret = Annotated[str, StringConstraints(min_length=1, max_length=4_000, pattern=r"^[!-~]+$")]
_Tenant = Annotated[TenantName, Path(description="whose people", examples=["acme"])]
_Provider = Annotated[Id, Path(description="through whom", examples=["keycloak"])]

_EXAMPLE = {
    "provider_id": "keycloak",
    "name": "Acme",
    "issuer": "https://id.acme.example/realms/acme",
    "client_id": "factline",
    "client_secret": "…",
}
_AWAY = {"location": "https://id.acme.example/realms/acme/protocol/openid-connect/auth?response_type=code&state=…"}


class _Set(BaseModel):
    model_config = ConfigDict(extra="forbid")
    provider_id: Id
    name: Name
    issuer: IssuerUrl
    client_id: Name
    client_secret: _Secret


class _Begin(BaseModel):
    model_config = ConfigDict(extra="forbid")
    link: bool = False


def providers_router(
    gate: Gate, credentials: Credentials, box: SecretBox, fingerprint_key: bytes, sign_ins: ProviderSignIns
) -> APIRouter:
    """Shape: `fingerprint_key` is the deployment's."""
    router = APIRouter(tags=["who"])
    giving = Giving(gate, fingerprint_key)

    @router.post(
        "/v1/sign_in_providers",
        summary="Let people of the tenant sign in through a provider (OpenID Connect); no route shows the secret again",
        description="At the provider, register `/v1/sign-in/<tenant>/<provider_id>/callback` of this server as the"
        " address that people are sent back to. Given again, it takes the place of what was given before.",
        responses=REPLIED,
        openapi_extra={**described_body(_Set, _EXAMPLE), "parameters": [KEY]},
    )
    async def set_(
        request: Request, caller: Annotated[Caller, Depends(Allowed("identity:write", records="events"))]
    ) -> Response:
        if not may(caller, "*"):
            raise Forbidden("a provider says who owners are too, and this caller has not every right (*) itself")
        wanted = await read_body(request, _Set)
        named = sealed_as(wanted.provider_id)
        sealed = await asyncio.to_thread(box.seal, caller.tenant_id, named, wanted.client_secret)
        command = SetSignInProvider(
            provider_id=wanted.provider_id,
            name=wanted.name,
            issuer=wanted.issuer,
            client_id=wanted.client_id,
            sealed=sealed,
        )
        # of what the caller said: sealed it is another text each time
        return await giving.give(request, caller, command, wanted.model_dump(mode="json"))

    @router.get(
        "/v1/sign-in/{tenant_id}",
        summary="Through whom people of a tenant sign in beside their passwords; needs no credential",
        description="The list is as empty for a tenant that is not there as for one without a provider.",
        responses=answered({"providers": [{"provider_id": "keycloak", "name": "Acme"}]}, "Providers"),
    )
    async def providers(tenant_id: _Tenant) -> Response:
        found = await asyncio.to_thread(credentials.sign_in_providers, TenantId(tenant_id))
        return Json({"providers": [{"provider_id": one.id, "name": one.name} for one in found]})

    @router.post(
        "/v1/sign-in/{tenant_id}/{provider_id}",
        summary="Begin to sign in through a provider: the browser keeps a cookie, and goes to `location`",
        description="With `link`, and the cookie of a session, the user who is signed in signs in through the provider"
        " from then on. Else it is for who has done so, and for who is invited with an e-mail address that the provider"
        " has verified.",
        responses=answered(_AWAY, "Where to go", headers={"Set-Cookie": "what the browser brings back"}),
        openapi_extra=described_body(_Begin, {"link": False}),
    )
    async def begin(tenant_id: _Tenant, provider_id: _Provider, request: Request) -> Response:
        await _count(request, tenant_id)
        wanted = await small_body(request, _Begin)
        user = await _who_links(request, tenant_id) if wanted.link else None
        back = _address(request, tenant_id, provider_id)
        away = await sign_ins.begin(TenantId(tenant_id), provider_id, back, user)
        answer = Json({"location": away.location})
        answer.set_cookie(
            AWAY,
            away.sealed,
            max_age=LASTS_S,
            path=_path(tenant_id, provider_id),
            secure=request.url.scheme == "https",
            httponly=True,
            # the provider's page sends the browser back, and the cookie has to come along
            samesite="lax",
        )
        return answer

    # for browsers that a provider sends, and for nobody who reads the description
    @router.get(
        "/v1/sign-in/{tenant_id}/{provider_id}/callback", include_in_schema=False, openapi_extra={TAKES_ANY: True}
    )
    async def callback(tenant_id: _Tenant, provider_id: _Provider, request: Request) -> Response:
        back = _address(request, tenant_id, provider_id)
        sealed, items = request.cookies.get(AWAY, ""), request.query_params.multi_items()
        try:
            cookie = await sign_ins.finish(TenantId(tenant_id), provider_id, back, sealed, items)
        except NotSignedIn as error:
            # always to this page, and with a word that it knows: nobody is led elsewhere from here, or told a lie
            answer = RedirectResponse(f"/#sign-in-failed={error.why.value}", _SEE_OTHER)
        else:
            answer = RedirectResponse(f"/#signed-in={tenant_id}", _SEE_OTHER)
            if cookie is not None:
                give_session(answer, request, cookie)
        answer.delete_cookie(AWAY, path=_path(tenant_id, provider_id), httponly=True, samesite="lax")
        return answer

    return router


async def _count(request: Request, tenant_id: str) -> None:
    """Count a sign-in that is begun, before anything is looked up. Raises: Problem (429), there were too many.

    Shape: by the address too, so that nobody keeps all others of a tenant out.
    """
    limiter: RateLimiter | None = request.app.state.limiter
    if limiter is None:
        return
    address = request.client.host if request.client else ""
    windows = [Window(f"sign-in:{{{tenant_id}}}:{address}", "minute", BEGUN_A_MINUTE)]
    counted = await where_it_may_wait(request, limiter.count, windows)
    if counted is not None and not counted.allowed:
        wait_s = whole_seconds(counted.left[0])
        raise Problem(
            429, f"too many sign-ins were begun from your address; try again in {wait_s} s", retry_after_s=wait_s
        )


async def _who_links(request: Request, tenant_id: str) -> Caller:
    """Return the caller with a session. Raises: Unauthenticated; Forbidden; Problem."""
    caller = await caller_of(request)
    if caller.kind is not CredentialKind.SESSION:
        raise Forbidden("only a user who signed in here links who they are at a provider")
    if caller.tenant_id != tenant_id:
        raise Problem(403, "the provider is of another tenant than the user who is signed in")
    return caller


def _path(tenant_id: str, provider_id: str) -> str:
    return f"/v1/sign-in/{tenant_id}/{provider_id}/callback"


def _address(request: Request, tenant_id: str, provider_id: str) -> str:
    return f"{str(request.base_url).rstrip('/')}{_path(tenant_id, provider_id)}"
