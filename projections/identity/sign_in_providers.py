"""Through which providers do people of this tenant sign in, and since when?"""

from typing import Any, Literal, assert_never

from domain.identity.sign_in_provider import (
    SIGN_IN_PROVIDER,
    SignInProviderEvent,
    SignInProviderRemoved,
    SignInProviderSet,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: SignInProviderEvent) -> tuple[Patch]:
    return decided(envelope, _fields(event, instant_text(envelope.happened_at)))


def _fields(event: SignInProviderEvent, at: str) -> dict[str, Any]:
    match event:
        case SignInProviderSet():
            said = {"name": event.name, "issuer": event.issuer, "client_id": event.client_id}
            return {**said, "status": "ACTIVE", "status_reason": "", "changed_at": at}
        case SignInProviderRemoved():
            return {"status": "REMOVED", "status_reason": event.reason, "changed_at": at}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="sign_in_providers",
    layout=Documents(
        filters=("status", "issuer"),
        values={"status": Literal["ACTIVE", "REMOVED"]},
        sorts=("changed_at", "name"),
        default_sort="-changed_at",
        scope="issuers",
        example={
            "id": "keycloak",
            "version": 1,
            "name": "Acme",
            "issuer": "https://id.acme.example/realms/acme",
            "client_id": "factline",
            "status": "ACTIVE",
        },
    ),
    topics=(Topic.EVENTS,),
    events=SIGN_IN_PROVIDER.events,
    project=project,
)
