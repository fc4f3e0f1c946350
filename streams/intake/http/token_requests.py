"""A program that asks for a token sends a form, says which client it is, and is refused as RFC 6749 has it."""

import asyncio
import base64
import hmac
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote_plus

from fastapi import Request, Response
from pydantic import TypeAdapter, ValidationError

from domain.identity.api_key import Scope
from domain.identity.consent import OPENID, WHO
from projections.credentials import Credentials, values_of
from projections.own_issuer import OwnClient, client_of, client_stream
from read_api.edge.auth import secret_sha256
from read_api.edge.problems import Problem
from read_api.edge.responses import Json
from read_api.edge.scopes import covers
from schemas.envelope import TenantId
from streams.intake.http.accounts import ACTIVE
from streams.intake.http.passwords import SlowDown

FORM = "application/x-www-form-urlencoded"

_LARGEST_BODY = 16_384
_MOST_FIELDS = 30
_LONGEST_ID = 128
_MOST_SCOPES = 50
_SCOPE: TypeAdapter[str] = TypeAdapter(Scope)

Form = Mapping[str, str]
"""The fields of a form; one without a value is as if it were not there."""


class TokenRefused(Exception):  # noqa: N818
    """No token is given; a retry gives the same answer, but for 429. Source: RFC 6749, section 5.2."""

    def __init__(
        self, error: str, description: str, *, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(description)
        self.error = error
        self.status = status
        self.headers = headers

    def answer(self) -> Response:
        return Json({"error": self.error, "error_description": str(self)}, self.status, self.headers)


class AskingClient(NamedTuple):
    """A client that has shown who it is, or is public and has said so."""

    tenant_id: TenantId
    id: str
    client: OwnClient


async def form_of(request: Request) -> Form:
    """Return what a request says. Raises: TokenRefused."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != FORM:
        raise TokenRefused("invalid_request", f"send the fields as {FORM}")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise TokenRefused("invalid_request", f"the form has more than {_LARGEST_BODY} bytes")
    try:
        found = parse_qsl(body.decode("ascii"), errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise TokenRefused("invalid_request", "the form cannot be read") from None
    form = dict(found)
    if len(form) != len(found):
        raise TokenRefused("invalid_request", "a field is given twice")
    return form


def needed(form: Form, name: str) -> str:
    """Return a field. Raises: TokenRefused, it is missing."""
    if not (value := form.get(name)):
        raise TokenRefused("invalid_request", f"{name} is missing")
    return value


def _is_scope(text: str) -> bool:
    try:
        _SCOPE.validate_python(text)
    except ValidationError:
        return False
    return True


def wanted_scopes(wanted: str | None, allowed: Sequence[str]) -> Sequence[str]:
    """Return the scopes that are asked for, or all that are allowed. Raises: TokenRefused, one is not allowed."""
    scopes = list(dict.fromkeys(wanted.split())) if wanted else list(allowed)
    # those that there are not would be shown to the user, as words of the client's
    known = len(scopes) <= _MOST_SCOPES and all(_is_scope(scope) for scope in scopes)
    if not scopes or not known or not all(covers(allowed, scope) for scope in scopes):
        raise TokenRefused("invalid_scope", f"the scopes may be {' '.join(allowed)}, or some of it")
    return scopes


def wanted_for_user(wanted: str | None, allowed: Sequence[str]) -> Sequence[str]:
    """Return what is asked for to act for a user, who they are too, where that is allowed. Raises: TokenRefused."""
    asked = dict.fromkeys(wanted.split() if wanted else allowed)
    if OPENID not in asked:
        return wanted_scopes(wanted, allowed)
    who, rest = [scope for scope in WHO if scope in asked], " ".join(scope for scope in asked if scope not in WHO)
    others = [scope for scope in allowed if scope not in WHO]
    if not set(who).issubset(allowed):
        raise TokenRefused("invalid_scope", f"the scopes may be {' '.join(allowed)}, or some of it")
    return [*who, *(wanted_scopes(rest, others) if rest else ())]


class AskingClients:
    """Finds out which client asks. Raises: StoreUnavailable, safe to retry."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._slow_down = SlowDown()

    async def asking(self, request: Request, form: Form) -> AskingClient:
        """Return the client that sends a request.

        Shape: whose secret is right is never told to wait: a secret cannot be guessed, and nobody shall be able to
        lock a client out.
        Raises: TokenRefused: 401, it is none, or its tenant is not active; 429, too many wrong secrets.
        """
        client_id, secret = _shown(request, form)
        found = await self.find(client_id)
        if found is not None and _is_right(found.client, secret):
            return found
        try:
            self._slow_down.try_once(("client", client_id[:_LONGEST_ID]))
        except Problem as problem:
            said = "too many wrong secrets; wait"
            raise TokenRefused("slow_down", said, status=429, headers=problem.headers) from None
        headers = {"WWW-Authenticate": 'Basic realm="factline"'}
        raise TokenRefused("invalid_client", "the client or its secret is not right", status=401, headers=headers)

    async def find(self, client_id: str) -> AskingClient | None:
        """Return a client of an active tenant; None where there is none."""
        tenant, dot, _ = client_id.rpartition(".")
        if not dot or len(client_id) > _LONGEST_ID or "|" in client_id:
            return None
        return await asyncio.to_thread(self._find, TenantId(tenant), client_id)

    def _find(self, tenant_id: TenantId, client_id: str) -> AskingClient | None:
        client = client_of(values_of(self._credentials.of_stream(tenant_id, client_stream(client_id))))
        if client is None or self._credentials.status_of(tenant_id) != ACTIVE:
            return None
        return AskingClient(tenant_id, client_id, client)


def _shown(request: Request, form: Form) -> tuple[str, str | None]:
    """Return the id, and the secret if there is one. Raises: TokenRefused. Source: RFC 6749, section 2.3.1."""
    header = request.headers.get("Authorization")
    if header is None:
        return needed(form, "client_id"), form.get("client_secret")
    scheme, _, text = header.partition(" ")
    try:
        said = base64.b64decode(text.strip(), validate=True).decode()
    except ValueError:
        said = ""
    client_id, colon, secret = said.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise TokenRefused("invalid_request", "the Authorization header must look like Basic <id and secret in base64>")
    client_id = unquote_plus(client_id)
    if "client_secret" in form or form.get("client_id", client_id) != client_id:
        raise TokenRefused("invalid_request", "the client says in two ways who it is; let it use one")
    return client_id, unquote_plus(secret)


def _is_right(client: OwnClient, secret: str | None) -> bool:
    if client.is_public:
        return not secret
    shown = secret_sha256(secret or "")
    return any(hmac.compare_digest(digest, shown) for digest in client.secrets_sha256)
