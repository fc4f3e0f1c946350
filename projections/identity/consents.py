"""Which programs act for which users, and until when?"""

from typing import Any, Literal, assert_never

from domain.identity.consent import (
    CONSENT,
    CodeRedeemed,
    ConsentEnded,
    ConsentEvent,
    ConsentGiven,
    RefreshTokenRotated,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: ConsentEvent) -> tuple[Patch]:
    return decided(envelope, _fields(event, instant_text(envelope.happened_at)))


def _fields(event: ConsentEvent, at: str) -> dict[str, Any]:
    match event:
        case ConsentGiven():
            return {
                "user_id": event.user_id,
                "client_id": event.client_id,
                "scopes": list(event.scopes),
                "status": "GIVEN",
                "given_at": at,
                "expires_at": instant_text(event.expires_at),
            }
        case CodeRedeemed():
            return {"status": "USED", "used_at": at}
        case RefreshTokenRotated():
            return {"used_at": at}
        case ConsentEnded():
            return {"status": "ENDED", "status_reason": event.reason, "ended_at": at}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="consents",
    layout=Documents(
        filters=("status", "user_id", "client_id"),
        values={"status": Literal["GIVEN", "USED", "ENDED"]},
        sorts=("given_at", "expires_at"),
        default_sort="-given_at",
        scope="users",
        owner="user_id",
        example={
            "id": "5f1c2d1e9a7b4c605f1c2d1e9a7b4c60",
            "version": 2,
            "user_id": "ann",
            "client_id": "acme.5f1c2d1e9a7b4c60",
            "scopes": ["devices:read"],
            "status": "USED",
            "given_at": "2026-01-31T08:30:00.000000Z",
            "expires_at": "2026-03-02T08:30:00.000000Z",
        },
    ),
    topics=(Topic.EVENTS,),
    events=CONSENT.events,
    project=project,
)
