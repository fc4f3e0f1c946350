"""Which conversations are there, with which agent, and is an answer awaited?"""

from typing import Any, assert_never

from domain.automation.conversation import (
    CONVERSATION,
    AnswerFailed,
    ConversationAnswered,
    ConversationArchived,
    ConversationEvent,
    ConversationRenamed,
    ConversationStarted,
    ConversationStatus,
    MessageAdded,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: ConversationEvent) -> tuple[Patch]:
    return decided(envelope, {**_fields(envelope, event), "changed_at": instant_text(envelope.recorded_at)})


def _fields(envelope: Envelope, event: ConversationEvent) -> dict[str, Any]:
    match event:
        case ConversationStarted():
            return {
                "status": ConversationStatus.OPEN.value,
                "title": event.title,
                "agent_id": event.agent_id,
                "messages": 0,
                "error": "",
                "started_at": instant_text(envelope.recorded_at),
                "started_by": envelope.actor.id,
            }
        case MessageAdded():
            return {"status": ConversationStatus.ANSWERING.value, "messages": event.number, "error": ""}
        case ConversationAnswered():
            return {"status": ConversationStatus.OPEN.value, "messages": event.number}
        case AnswerFailed():
            return {"status": ConversationStatus.OPEN.value, "error": event.error}
        case ConversationRenamed():
            return {"title": event.title}
        case ConversationArchived():
            return {"status": ConversationStatus.ARCHIVED.value, "status_reason": event.reason}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="conversations",
    layout=Documents(
        filters=("status", "agent_id", "started_by"),
        values={"status": ConversationStatus},
        sorts=("changed_at", "started_at", "title"),
        instants=("changed_at", "started_at"),
        default_sort="-changed_at",
        search=("title",),
        owner="started_by",
        scope="conversations",
        example={
            "id": "c1",
            "version": 3,
            "status": "OPEN",
            "title": "The shop is silent",
            "agent_id": "first-look",
            "messages": 2,
            "error": "",
            "started_by": "ann",
            "started_at": "2026-01-31T08:30:00.250000Z",
            "changed_at": "2026-01-31T08:30:02.750000Z",
        },
    ),
    topics=(Topic.EVENTS,),
    events=CONVERSATION.events,
    project=project,
)
