"""Whose API key is this, and what may it do?"""

from typing import Any, assert_never

from domain.identity.api_key import API_KEY, ApiKeyEvent, ApiKeyIssued, ApiKeyRevoked, ApiKeyRotated
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: ApiKeyEvent) -> tuple[Patch]:
    return decided(envelope, _fields(envelope, event))


def _fields(envelope: Envelope, event: ApiKeyEvent) -> dict[str, Any]:
    match event:
        case ApiKeyIssued():
            return {
                "key_id": event.key_id,
                "tenant": envelope.tenant_id,
                "name": event.name,
                "secret_sha256": event.secret_sha256,
                "scopes": list(event.scopes),
                "revoked": False,
                "issued_at": instant_text(envelope.happened_at),
            }
        case ApiKeyRotated():
            return {"secret_sha256": event.secret_sha256, "rotated_at": instant_text(envelope.happened_at)}
        case ApiKeyRevoked():
            return {"revoked": True, "revoked_at": instant_text(envelope.happened_at)}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="api_keys",
    layout=Documents(sorts=("name", "issued_at")),
    topics=(Topic.EVENTS,),
    events=API_KEY.events,
    project=project,
)
