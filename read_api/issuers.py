"""A tenant learns here whose tokens it takes."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Response

from projections.credentials import TrustedIssuer
from read_api.edge.responses import Answer, documented, table
from read_api.reading import Read, Reading

router = APIRouter(prefix="/v1/issuers", tags=["who"])

_EXAMPLE = {
    "id": "keycloak",
    "issuer": "https://id.acme.example/realms/acme",
    "audiences": ["factline"],
    "jwks_uri": "https://id.acme.example/realms/acme/protocol/openid-connect/certs",
    "keys": [],
}


@router.get("", summary="Issuers whose tokens the tenant takes now", responses=documented(_EXAMPLE))
def issuers(read: Annotated[Read, Depends(Reading("issuers"))]) -> Response:
    return table([_answer(issuer) for issuer in read.answers.credentials.issuers(read.tenant_id)], read.as_of)


def _answer(issuer: TrustedIssuer) -> Answer:
    return {
        "id": issuer.id,
        "issuer": issuer.issuer,
        "audiences": issuer.audiences,
        "jwks_uri": issuer.jwks_uri,
        "keys": orjson.loads(issuer.keys),
    }
