"""Who is invited, until when, who has joined, and with which roles?"""

from typing import Any, assert_never

from domain.identity.user import (
    USER,
    IdentityLinked,
    IdentityUnlinked,
    InvitationExpired,
    InvitationWithdrawn,
    PasswordOffered,
    PasswordSet,
    UserDisabled,
    UserEvent,
    UserInvited,
    UserJoined,
    UserRoleChanged,
    UserStatus,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: UserEvent) -> tuple[Patch]:
    return decided(envelope, _fields(event, instant_text(envelope.happened_at)))


def _fields(event: UserEvent, at: str) -> dict[str, Any]:
    match event:
        case UserInvited():
            return {
                "status": UserStatus.INVITED.value,
                "email": event.email,
                "roles": list(event.roles),
                "invited_at": at,
                "expires_at": instant_text(event.expires_at),
                # of an invitation before
                "status_reason": "",
                "ended_at": "",
            }
        case UserJoined():
            return {"status": UserStatus.ACTIVE.value, "roles": list(event.roles), "joined_at": at}
        case InvitationWithdrawn():
            return {"status": UserStatus.WITHDRAWN.value, "status_reason": event.reason, "ended_at": at}
        case InvitationExpired():
            return {"status": UserStatus.EXPIRED.value, "ended_at": at}
        case UserRoleChanged():
            return {"roles": list(event.roles)}
        case UserDisabled():
            return {"status": UserStatus.DISABLED.value, "status_reason": event.reason, "ended_at": at}
        case IdentityLinked() | IdentityUnlinked():
            is_linked = isinstance(event, IdentityLinked)
            return {"linked_provider": event.provider_id, "linked_at": at} if is_linked else {"linked_provider": ""}
        case PasswordOffered():
            return {"password_offered_at": at}
        case PasswordSet():
            return {"password_set_at": at}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="users",
    layout=Documents(
        filters=("status",),
        values={"status": UserStatus},
        sorts=("invited_at", "expires_at", "status"),
        instants=("invited_at", "expires_at"),
        default_sort="-invited_at",
        scope="users",
        example={
            "id": "ann",
            "version": 1,
            "status": "INVITED",
            "email": "ann@acme.example",
            "roles": ["ADMIN"],
            "expires_at": "2026-02-07T08:30:00.000000Z",
        },
    ),
    topics=(Topic.EVENTS,),
    events=USER.events,
    project=project,
)
