"""What was said in each conversation, by people and by agents?"""

from typing import Any, Literal, assert_never

from domain.automation.conversation import AnswerFailed, ConversationAnswered, MessageAdded
from projections.fields import instant_text
from projections.layout import Documents
from projections.personal import kept_in_document
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic, id_of

_Said = MessageAdded | ConversationAnswered | AnswerFailed
_PERSON, _AGENT = "person", "agent"


def project(envelope: Envelope, event: _Said) -> tuple[Patch]:
    conversation_id = id_of(envelope.stream)
    # a conversation has many
    id_ = f"{conversation_id}~{event.number}"
    fields = kept_in_document(envelope, _fields(envelope, event, conversation_id))
    return (Patch(envelope.tenant_id, id_, "events", envelope.version, fields),)


def _fields(envelope: Envelope, event: _Said, conversation_id: str) -> dict[str, Any]:
    match event:
        case MessageAdded():
            return {"said_by": _PERSON, "author": event.author, **_said(envelope, event, conversation_id)}
        case ConversationAnswered():
            return {
                "said_by": _AGENT,
                "execution_id": event.execution_id,
                "input_tokens": event.input_tokens,
                "output_tokens": event.output_tokens,
                **_said(envelope, event, conversation_id),
            }
        case AnswerFailed():
            # it stands at the message that has no answer
            return {"error": event.error}
        case _:
            assert_never(event)


def _said(envelope: Envelope, event: MessageAdded | ConversationAnswered, conversation_id: str) -> dict[str, Any]:
    return {
        "conversation_id": conversation_id,
        "number": event.number,
        "text": event.text,
        "started_by": event.started_by,
        "said_at": instant_text(envelope.recorded_at),
    }


PROJECTION = Projection(
    name="conversation_messages",
    layout=Documents(
        filters=("conversation_id", "said_by", "started_by"),
        values={"said_by": Literal["person", "agent"]},
        sorts=("number", "said_at"),
        numbers=("number",),
        instants=("said_at",),
        default_sort="number",
        owner="started_by",
        scope="conversations",
        example={
            "id": "c1~2",
            "version": 3,
            "conversation_id": "c1",
            "number": 2,
            "said_by": "agent",
            "text": "It does not answer.",
            "execution_id": "of-1f2e3d4c5b6a79880123456789abcdef",
            "input_tokens": 220,
            "output_tokens": 31,
            "started_by": "ann",
            "said_at": "2026-01-31T08:30:02.750000Z",
        },
    ),
    topics=(Topic.EVENTS,),
    events=(MessageAdded, ConversationAnswered, AnswerFailed),
    project=project,
)
