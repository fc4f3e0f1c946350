"""A client that a user let know who they are asks here, and is told what its scopes say, and nothing that is masked."""

from typing import Any

import orjson
from anyio import to_thread
from fastapi import APIRouter, Request, Response

from projections.consents import MayKnow, known_by
from projections.identity.users import PROJECTION as USERS
from projections.personal import Opening
from read_api.answers import Answers, Asked
from read_api.edge.asking import Asking
from read_api.edge.auth import Caller, CredentialKind
from read_api.edge.credential import BEARER, credential_of
from read_api.edge.jws import read_token
from read_api.edge.problems import Problem
from read_api.edge.responses import Json, answered
from read_api.edge.roles import roles_allow
from read_api.reading import PERSONAL_SCOPE

router = APIRouter(tags=["who"])

_EXAMPLE = {"sub": "ann", "preferred_username": "ann", "email": "ann@acme.example"}
_SCHEMA = {
    "type": "object",
    "required": ["sub"],
    "properties": {name: {"type": "string"} for name in _EXAMPLE},
}
_NOTHING = MayKnow(user=False, name=False, email=False)
_REFUSED = {"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="openid"'}


@router.post("/oauth/userinfo", include_in_schema=False)
@router.get(
    "/oauth/userinfo",
    summary="Who the user is for whom a client acts (OpenID Connect), with a token of the scope openid",
    description="`preferred_username` comes with the scope `profile`. `email` comes with the scope `email`, where the"
    " user's roles see personal fields open; it is the address of their invitation, and left out where it would be"
    " masked or is erased.",
    responses=answered(_EXAMPLE, "Who the user is", schema=_SCHEMA),
)
async def userinfo(request: Request, caller: Asking, answers: Asked) -> Response:
    may_know = _may_know(request) if caller.kind is CredentialKind.CLIENT_OF_USER else _NOTHING
    if not may_know.user:
        raise Problem(403, "the token is not of a client that may know who its user is (openid)", headers=_REFUSED)
    said: dict[str, Any] = {"sub": caller.id}
    if may_know.name:
        said["preferred_username"] = caller.id
    if may_know.email and roles_allow(caller.roles, PERSONAL_SCOPE):
        said |= await to_thread.run_sync(_email, answers, caller)
    return Json(said)


def _may_know(request: Request) -> MayKnow:
    """Return what the scopes of a token say that is known to be good."""
    token = read_token((credential_of(request) or "").removeprefix(BEARER))
    return known_by(orjson.loads(token.payload)["scope"])


def _email(answers: Answers, caller: Caller) -> dict[str, str]:
    """Return the claim, nothing where the address is not known. Raises: StoreUnavailable."""
    found = answers.documents.get(USERS.name, caller.tenant_id, caller.id)
    if found is None:
        return {}
    email = Opening(answers.personal, allowed=True).document(caller.tenant_id, found.fields, ("email",))["email"]
    # what is erased or damaged says so, and is no address
    return {"email": email} if "@" in str(email) else {}
