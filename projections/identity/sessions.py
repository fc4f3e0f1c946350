"""Who signed in when, and which sessions were ended before their time?"""

from typing import Any, Literal, assert_never

from domain.identity.session import SESSION, SessionEnded, SessionEvent, SessionStarted
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: SessionEvent) -> tuple[Patch]:
    return decided(envelope, _fields(event, instant_text(envelope.happened_at)))


def _fields(event: SessionEvent, at: str) -> dict[str, Any]:
    match event:
        case SessionStarted():
            expires_at = instant_text(event.expires_at)
            return {"user_id": event.user_id, "status": "STARTED", "started_at": at, "expires_at": expires_at}
        case SessionEnded():
            return {"status": "ENDED", "status_reason": event.reason, "ended_at": at}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="sessions",
    layout=Documents(
        filters=("status", "user_id"),
        values={"status": Literal["STARTED", "ENDED"]},
        sorts=("started_at", "expires_at"),
        default_sort="-started_at",
        scope="users",
        owner="user_id",
        example={
            "id": "5f1c2d1e9a7b4c605f1c2d1e9a7b4c60",
            "version": 1,
            "user_id": "ann",
            "status": "STARTED",
            "started_at": "2026-01-31T08:30:00.000000Z",
            "expires_at": "2026-01-31T20:30:00.000000Z",
        },
    ),
    topics=(Topic.EVENTS,),
    events=SESSION.events,
    project=project,
)
