"""Which secrets for services outside are there, and for which tasks? None of them is shown."""

from typing import Any, Literal, assert_never

from domain.automation.provider_key import (
    PROVIDER_KEY,
    ProviderKeyAdded,
    ProviderKeyEvent,
    ProviderKeyRevoked,
    ProviderKeyRotated,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: ProviderKeyEvent) -> tuple[Patch]:
    return decided(envelope, _fields(instant_text(envelope.happened_at), event))


def _fields(at: str, event: ProviderKeyEvent) -> dict[str, Any]:
    match event:
        case ProviderKeyAdded():
            return {
                "status": "ACTIVE",
                "provider": event.provider,
                "kinds": list(event.kinds),
                "base_url": event.base_url,
                "prefix": event.prefix,
                "added_at": at,
            }
        case ProviderKeyRotated():
            return {"prefix": event.prefix, "rotated_at": at}
        case ProviderKeyRevoked():
            return {"status": "REVOKED", "status_reason": event.reason, "revoked_at": at}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="provider_keys",
    layout=Documents(
        filters=("status", "provider"),
        values={"status": Literal["ACTIVE", "REVOKED"]},
        sorts=("added_at", "provider"),
        default_sort="-added_at",
        scope="provider_keys",
        example={
            "id": "openai",
            "version": 1,
            "status": "ACTIVE",
            "provider": "openai",
            "kinds": ["chat.complete"],
            "base_url": "https://api.openai.com/v1",
            "prefix": "sk-pr",
        },
    ),
    topics=(Topic.EVENTS,),
    events=PROVIDER_KEY.events,
    project=project,
)
