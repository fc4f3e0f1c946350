"""Programs get tokens of their tenant here, by OAuth 2.0, and give them back."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from read_api.edge.contract import OWN
from read_api.edge.queries import TAKES_ANY
from read_api.edge.responses import Json, answered
from streams.intake.http.granting import CLIENT_CREDENTIALS, GRANT_TYPES, Granting
from streams.intake.http.own_issuer import issuer_of
from streams.intake.http.token_requests import FORM, AskingClients, TokenRefused, form_of

_GIVEN = {"access_token": "eyJhbGciOiJFUzI1NiJ9.…", "token_type": "Bearer", "expires_in": 600, "scope": "devices:read"}

_WHO: Mapping[str, str] = {
    "client_id": "unless it comes as HTTP Basic",
    "client_secret": "of a confidential client, unless it comes as HTTP Basic",
}
_TOKEN_FIELDS: Mapping[str, str] = {
    "grant_type": " or ".join(GRANT_TYPES),
    **_WHO,
    "scope": "some of the scopes, with blanks between them; all of them where it is left out",
    "code": "that a user's browser brought, for authorization_code",
    "redirect_uri": "where it was brought to, for authorization_code",
    "code_verifier": "of which the challenge was made (RFC 7636), for authorization_code",
    "refresh_token": "the last one that was given, for refresh_token",
}
_REVOKE_FIELDS: Mapping[str, str] = {
    "token": "a refresh token, or an access token for a user",
    **_WHO,
    "token_type_hint": "is passed over: a token says itself what it is",
}


_INTROSPECT_FIELDS: Mapping[str, str] = {
    "token": "an access token of this server",
    **_WHO,
    "token_type_hint": "is passed over: a token says itself what it is",
}
_INTROSPECTED = {
    "active": True,
    "scope": "devices:read",
    "client_id": "acme.5f1c2d1e9a7b4c60",
    "sub": "ann",
    "token_type": "Bearer",
    "exp": 1767225600,
    "iat": 1767225000,
    "iss": "https://factline.example/oauth/acme",
    "aud": "factline",
    "jti": "5f1c2d1e9a7b4c605f1c2d1e9a7b4c60",
    "tenant_id": "acme",
    "consent_id": "5f1c2d1e9a7b4c605f1c2d1e9a7b4c60",
}
_INTROSPECTED_SCHEMA = {
    "type": "object",
    "required": ["active"],
    "properties": {
        name: {"type": {bool: "boolean", int: "integer", str: "string"}[type(one)]}
        for name, one in _INTROSPECTED.items()
    },
}


def _form(example: Mapping[str, str], required: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the `openapi_extra` of a form. Shape: `fields` says what each one is."""
    schema = {
        "type": "object",
        "required": [required],
        "properties": {name: {"type": "string", "description": what} for name, what in fields.items()},
    }
    body = {"required": True, "content": {FORM: {"schema": schema, "example": dict(example)}}}
    return {TAKES_ANY: True, "requestBody": body}


def _refusal(description: str, error: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    }
    content = {"schema": schema, "example": {"error": error, "error_description": "what is wrong"}}
    return {"description": description, "content": {"application/json": content}, OWN: True}


_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: _refusal("Refused, as RFC 6749 has it", "invalid_request"),
    401: _refusal("The client or its secret is not right", "invalid_client"),
    429: _refusal("Too many wrong secrets", "slow_down"),
}


def oauth_router(clients: AskingClients, granting: Granting) -> APIRouter:
    router = APIRouter(tags=["who"])

    @router.post(
        "/oauth/token",
        summary="An access token for a client (RFC 6749); the client shows who it is, no other credential is needed",
        description="A confidential client sends its id and secret as HTTP Basic, or as `client_id` and"
        " `client_secret` of the form, a public one its `client_id` alone. The token is good for 10 minutes; send it as"
        " `Authorization: Bearer`. One for a user comes with a `refresh_token`, which is good once: it gets the next"
        " access token, and the next refresh token. A code or a refresh token that is shown twice ends them all. With"
        " the scope `openid` the answer to a code has an `id_token`, which says to the client who the user is.",
        responses={**answered(_GIVEN, "A token"), **_REFUSALS},
        openapi_extra=_form({"grant_type": CLIENT_CREDENTIALS, "scope": "devices:read"}, "grant_type", _TOKEN_FIELDS),
    )
    async def token(request: Request) -> Response:
        try:
            form = await form_of(request)
            asking = await clients.asking(request, form)
            return Json(await granting.give(issuer_of(request, asking.tenant_id), asking, form))
        except TokenRefused as refused:
            return refused.answer()

    @router.post(
        "/oauth/revoke",
        summary="End what a client may do for a user (RFC 7009), by any token that came of it",
        description="The client shows who it is as at /oauth/token. Its tokens for the user are out within a second. A"
        " token that is none is passed over.",
        responses={**answered({}, "It is ended"), **_REFUSALS},
        openapi_extra=_form({"token": "…"}, "token", _REVOKE_FIELDS),
    )
    async def revoke(request: Request) -> Response:
        try:
            form = await form_of(request)
            await granting.revoke(await clients.asking(request, form), form)
        except TokenRefused as refused:
            return refused.answer()
        return Json({})

    @router.post(
        "/oauth/introspect",
        summary="What an access token of this server is good for now (RFC 7662), for a service that was sent one",
        description="The service shows who it is as a confidential client at /oauth/token. `scope` is what the token"
        " may at this moment: of a client that acts for a user what the user's roles allow too. Of anything else than a"
        " good access token of the same tenant the answer is `active` false, and nothing more.",
        responses={**answered(_INTROSPECTED, "What it is good for", schema=_INTROSPECTED_SCHEMA), **_REFUSALS},
        openapi_extra=_form({"token": "…"}, "token", _INTROSPECT_FIELDS),
    )
    async def introspect(request: Request) -> Response:
        try:
            form = await form_of(request)
            return Json(await granting.introspect(await clients.asking(request, form), form))
        except TokenRefused as refused:
            return refused.answer()

    return router
