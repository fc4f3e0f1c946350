"""A client sends its user's browser here, and the user says on a page of this server if the client may act for them."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from domain.identity.consent import WHO
from read_api.edge.asking import Admitted, caller_of
from read_api.edge.auth import CredentialKind, Forbidden, Unauthenticated
from read_api.edge.contract import OWN
from read_api.edge.problems import Problem
from read_api.edge.queries import TAKES_ANY
from read_api.edge.responses import answered
from streams.intake.http.consent_page import ALLOW, DENY, consent_page
from streams.intake.http.consents import Asked, Consents
from streams.intake.http.own_issuer import issuer_of
from streams.intake.http.token_requests import (
    FORM,
    AskingClient,
    AskingClients,
    TokenRefused,
    form_of,
    wanted_for_user,
)

_PATH = "/oauth/authorize"
_SEE_OTHER = 303
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")

_PARAMETERS: Mapping[str, tuple[str, str]] = {
    "response_type": ("code", "only this"),
    "client_id": ("acme.5f1c2d1e9a7b4c60", "the client"),
    "redirect_uri": ("https://reports.example/signed-in", "one of the client's addresses, to the letter"),
    "code_challenge": ("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "SHA-256 of the verifier, in base64url"),
    "code_challenge_method": ("S256", "only this"),
    "scope": (
        "devices:read",
        "some of the client's scopes, and openid, profile and email; all of them where it is left out",
    ),
    "state": ("af0ifjsldkj", "comes back to the client as it is"),
    "nonce": ("n-0S6_WzA2Mj", "comes back to the client in the ID token"),
}
_OPTIONAL = ("scope", "state", "nonce")
_LONGEST_NONCE = 255

_DESCRIBED: dict[str, Any] = {
    TAKES_ANY: True,
    "parameters": [
        {
            "name": name,
            "in": "query",
            "required": name not in _OPTIONAL,
            "description": what,
            "schema": {"type": "string"},
            "example": example,
        }
        for name, (example, what) in _PARAMETERS.items()
    ],
}

_DECISION = {"type": "object", "required": ["decision"], "properties": {"decision": {"enum": [ALLOW, DENY]}}}

_PAGE = answered("<!doctype html>…", "A page", media_type="text/html", schema={"type": "string"})
_BACK: dict[int | str, dict[str, Any]] = {
    _SEE_OTHER: {
        "description": "Back to the client, with `code` or `error`, and `state` and `iss`",
        "headers": {"Location": {"description": "the client's address", "schema": {"type": "string"}}},
        OWN: True,
    }
}


class _Request(NamedTuple):
    """What a client sent a browser with, as far as it is known whom to answer."""

    asking: AskingClient
    redirect_uri: str
    issuer: str
    said: Mapping[str, str]

    def back(self, **said: str) -> Response:
        """Send the browser back to the client. Source: RFC 6749, section 4.1.2; RFC 9207."""
        state = {"state": self.said["state"]} if "state" in self.said else {}
        query = urlencode({**said, **state, "iss": self.issuer})
        joint = "&" if "?" in self.redirect_uri else "?"
        return RedirectResponse(f"{self.redirect_uri}{joint}{query}", _SEE_OTHER)


def authorizing_router(clients: AskingClients, consents: Consents) -> APIRouter:
    router = APIRouter(tags=["who"])

    @router.get(
        _PATH,
        summary="The page on which a user allows a client to act for them (RFC 6749, with PKCE); for browsers",
        description="A client that is not known, or an address that is not one of its own to the letter, is a problem;"
        " whatever else is wrong is told to the client at its address. Parameters that are not known are passed over.",
        response_class=HTMLResponse,
        responses={**_PAGE, **_BACK},
        openapi_extra=_DESCRIBED,
    )
    async def ask(request: Request) -> Response:
        found = await _requested(request, clients)
        asked = _asked(found)
        if isinstance(asked, Response):
            return asked
        return _page(asked)

    @router.post(
        _PATH,
        summary="What the user says on that page: the browser goes back to the client, with a code where they allow it",
        description="It takes the cookie of a session, and a page of this server that sends it. Without a session the"
        " answer is a page that leads to the sign-in.",
        response_class=HTMLResponse,
        responses={**_PAGE, **_BACK},
        openapi_extra={
            **_DESCRIBED,
            "requestBody": {
                "required": True,
                "content": {FORM: {"schema": _DECISION, "example": {"decision": ALLOW}}},
            },
        },
    )
    async def decide(request: Request) -> Response:
        found = await _requested(request, clients)
        asked = _asked(found)
        if isinstance(asked, Response):
            return asked
        if await _decision(request) == DENY:
            return found.back(error="access_denied", error_description="the user does not allow it")
        try:
            caller = await caller_of(request)
        except Unauthenticated:
            return _page(asked, signed_out=True)
        await Admitted(records="events")(request, caller)
        if caller.kind is not CredentialKind.SESSION:
            raise Forbidden("only a user who signed in here lets a client act for them")
        if caller.tenant_id != found.asking.tenant_id:
            raise Forbidden("the client is of another tenant than the user who is signed in")
        return found.back(code=await consents.give(asked, caller))

    return router


def _page(asked: Asked, *, signed_out: bool = False) -> Response:
    name, tenant_id = asked.asking.client.name, asked.asking.tenant_id
    return consent_page(name, tenant_id, asked.scopes, asked.redirect_uri, signed_out=signed_out)


async def _requested(request: Request, clients: AskingClients) -> _Request:
    """Return what is asked, with an address that is the client's own: nobody is ever sent to another one.

    Raises: Problem.
    """
    items = [(name, value) for name, value in request.query_params.multi_items() if value]
    said = dict(items)
    if len(said) != len(items):
        raise Problem(400, "a parameter is given twice; give each once")
    asking = await clients.find(said.get("client_id", ""))
    if asking is None or said.get("redirect_uri") not in asking.client.redirect_uris:
        raise Problem(400, "the client is not known, or redirect_uri is not one of its own to the letter")
    return _Request(asking, said["redirect_uri"], issuer_of(request, asking.tenant_id), said)


def _asked(found: _Request) -> Asked | Response:
    """Return what the user is to allow, or the answer to a client that asks for what there is not."""
    said = found.said
    if said.get("response_type") != "code":
        return found.back(error="unsupported_response_type", error_description="response_type may be code")
    challenge = said.get("code_challenge", "")
    if said.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
        return found.back(error="invalid_request", error_description="it takes a code_challenge of the method S256")
    if "none" in said.get("prompt", "").split():
        # source: OpenID Connect Core 1.0, section 3.1.2.6
        return found.back(error="interaction_required", error_description="the user is always asked")
    nonce, wanted = said.get("nonce"), said.get("scope")
    if len(nonce or "") > _LONGEST_NONCE:
        return found.back(error="invalid_request", error_description=f"a nonce has {_LONGEST_NONCE} characters at most")
    allowed = found.asking.client.scopes
    try:
        # whoever asks for nothing in particular does not ask who the user is
        scopes = wanted_for_user(wanted, (*WHO, *allowed) if wanted else allowed)
    except TokenRefused as refused:
        return found.back(error=refused.error, error_description=str(refused))
    return Asked(found.asking, found.redirect_uri, scopes, challenge, nonce)


async def _decision(request: Request) -> str:
    """Raises: Problem."""
    try:
        decision = (await form_of(request)).get("decision")
    except TokenRefused as refused:
        raise Problem(400, str(refused)) from refused
    if decision not in (ALLOW, DENY):
        raise Problem(400, f"decision may be {ALLOW} or {DENY}")
    return decision
