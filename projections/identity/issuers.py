"""Whose tokens does this tenant take, and since when?"""

from typing import Any, Literal, assert_never

from domain.identity.issuer import ISSUER, IssuerDistrusted, IssuerEvent, IssuerTrusted
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: IssuerEvent) -> tuple[Patch]:
    return decided(envelope, _fields(event, instant_text(envelope.happened_at)))


def _fields(event: IssuerEvent, at: str) -> dict[str, Any]:
    match event:
        case IssuerTrusted():
            return {
                "issuer": event.issuer,
                "audiences": list(event.audiences),
                "jwks_uri": event.jwks_uri or "",
                "key_ids": [key.kid or "" for key in event.keys],
                "status": "TRUSTED",
                "changed_at": at,
            }
        case IssuerDistrusted():
            return {"status": "DISTRUSTED", "status_reason": event.reason, "changed_at": at}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="issuers",
    layout=Documents(
        filters=("status", "issuer"),
        values={"status": Literal["TRUSTED", "DISTRUSTED"]},
        sorts=("changed_at",),
        default_sort="-changed_at",
        scope="issuers",
        example={
            "id": "keycloak",
            "version": 1,
            "issuer": "https://id.acme.example/realms/acme",
            "audiences": ["factline"],
            "jwks_uri": "https://id.acme.example/realms/acme/protocol/openid-connect/certs",
            "status": "TRUSTED",
        },
    ),
    topics=(Topic.EVENTS,),
    events=ISSUER.events,
    project=project,
)
