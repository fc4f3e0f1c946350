"""This view answers what content there is, what waits for a review, and where it came out."""

from typing import Any, assert_never

from domain.content.item import (
    CONTENT,
    ContentApproved,
    ContentDistributed,
    ContentDrafted,
    ContentEvent,
    ContentRejected,
    ContentRequested,
    ContentScheduled,
    ContentStatus,
    ContentSubmitted,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: ContentEvent) -> tuple[Patch]:
    return decided(envelope, {**_fields(envelope, event), "changed_at": instant_text(envelope.happened_at)})


def _fields(envelope: Envelope, event: ContentEvent) -> dict[str, Any]:
    match event:
        case ContentRequested():
            return {
                "title": event.title,
                "kind": event.kind,
                "brief": event.brief,
                "status": ContentStatus.REQUESTED.value,
                "requested_at": instant_text(envelope.happened_at),
                "requested_by": envelope.actor.id,
            }
        case ContentDrafted():
            return {
                "title": event.title,
                "body": event.body,
                "ai_generated": event.ai_generated,
                # a field without a value would stay as it was
                "model": event.model or "",
                "status": ContentStatus.DRAFT.value,
            }
        case ContentSubmitted():
            submitted = {"submitted_at": instant_text(envelope.happened_at), "submitted_by": event.by}
            return {"status": ContentStatus.REVIEW.value, **submitted}
        case ContentApproved():
            judged = {"judged_by": event.by, "status_reason": event.reason}
            return {"status": ContentStatus.APPROVED.value, "platforms": [], "publish_at": "", **judged}
        case ContentRejected():
            return {"status": ContentStatus.REJECTED.value, "judged_by": event.by, "status_reason": event.reason}
        case ContentScheduled():
            return {"platforms": list(event.platforms), "publish_at": instant_text(event.publish_at)}
        case ContentDistributed():
            return _distributed(event)
        case _:
            assert_never(event)


def _distributed(event: ContentDistributed) -> dict[str, Any]:
    outcome = "failed" if event.failed and not event.published else "partial" if event.failed else "complete"
    status = {"status": ContentStatus.PUBLISHED.value} if event.published else {}
    return {
        **status,
        "distribution": "running" if event.open else outcome,
        "published_on": list(event.published),
        "failed_on": list(event.failed),
    }


PROJECTION = Projection(
    name="content",
    layout=Documents(
        filters=("status", "kind", "distribution", "requested_by"),
        values={"status": ContentStatus},
        sorts=("changed_at", "requested_at", "publish_at", "title", "status"),
        instants=("changed_at", "requested_at", "publish_at"),
        default_sort="-changed_at",
        search=("title", "brief", "body"),
        scope="content",
        example={
            "id": "patch-day",
            "version": 6,
            "title": "Patch day",
            "kind": "article",
            "status": "PUBLISHED",
            "distribution": "partial",
            "published_on": ["blog"],
            "failed_on": ["linkedin"],
        },
    ),
    topics=(Topic.EVENTS,),
    events=CONTENT.events,
    project=project,
)
