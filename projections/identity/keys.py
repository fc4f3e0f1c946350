"""Which API keys does this tenant have, and what may each of them do?"""

from typing import Any, Literal, assert_never

from domain.identity.api_key import API_KEY, ApiKeyEvent, ApiKeyIssued, ApiKeyRevoked, ApiKeyRotated, RequestLimits
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: ApiKeyEvent) -> tuple[Patch]:
    return decided(envelope, _fields(event, instant_text(envelope.happened_at)))


def _fields(event: ApiKeyEvent, at: str) -> dict[str, Any]:
    # the hash that the first version of these events has is shown nowhere
    match event:
        case ApiKeyIssued():
            return {
                "name": event.name or "",
                "scopes": list(event.scopes),
                "limits": _limits(event.limits),
                "status": "ACTIVE",
                "issued_at": at,
            }
        case ApiKeyRotated():
            return {"rotated_at": at}
        case ApiKeyRevoked():
            return {"status": "REVOKED", "status_reason": event.reason, "revoked_at": at}
        case _:
            assert_never(event)


def _limits(limits: RequestLimits | None) -> dict[str, int]:
    if limits is None:
        return {}
    said = {"minute": limits.minute, "hour": limits.hour, "day": limits.day}
    return {window: most for window, most in said.items() if most is not None}


PROJECTION = Projection(
    name="keys",
    layout=Documents(
        filters=("status",),
        values={"status": Literal["ACTIVE", "REVOKED"]},
        sorts=("name", "issued_at"),
        default_sort="-issued_at",
        scope="keys",
        example={
            "id": "acme.3f2a1c9e7a5b4d60",
            "version": 1,
            "name": "agent of web-1",
            "scopes": ["telemetry:write"],
            "limits": {"minute": 600},
            "status": "ACTIVE",
            "issued_at": "2026-01-31T08:30:00.000000Z",
        },
    ),
    topics=(Topic.EVENTS,),
    events=API_KEY.events,
    project=project,
)
