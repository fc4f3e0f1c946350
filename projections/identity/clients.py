"""Which programs may ask for tokens of this tenant, and what may they do with them?"""

from typing import Any, Literal, assert_never

from domain.identity.client import (
    CLIENT,
    ClientEvent,
    ClientKind,
    ClientRegistered,
    ClientRevoked,
    ClientSecretEnded,
    ClientSecretRotated,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: ClientEvent) -> tuple[Patch]:
    return decided(envelope, _fields(event, instant_text(envelope.happened_at)))


def _fields(event: ClientEvent, at: str) -> dict[str, Any]:
    match event:
        case ClientRegistered():
            return {
                "name": event.name,
                "kind": event.kind,
                "redirect_uris": list(event.redirect_uris),
                "scopes": list(event.scopes),
                "status": "ACTIVE",
                "registered_at": at,
            }
        case ClientRevoked():
            return {"status": "REVOKED", "status_reason": event.reason, "revoked_at": at}
        case ClientSecretRotated():
            return {"secrets": list(event.good), "rotated_at": at}
        case ClientSecretEnded():
            return {"secrets": list(event.good)}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="clients",
    layout=Documents(
        filters=("status", "kind"),
        values={"status": Literal["ACTIVE", "REVOKED"], "kind": ClientKind},
        sorts=("name", "registered_at"),
        default_sort="-registered_at",
        scope="clients",
        example={
            "id": "acme.5f1c2d1e9a7b4c60",
            "version": 1,
            "name": "reports",
            "kind": "confidential",
            "redirect_uris": ["https://reports.example/signed-in"],
            "scopes": ["devices:read"],
            "status": "ACTIVE",
            "registered_at": "2026-01-31T08:30:00.000000Z",
        },
    ),
    topics=(Topic.EVENTS,),
    events=CLIENT.events,
    project=project,
)
