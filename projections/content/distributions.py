"""This view answers where each piece of content was published, where that failed and why, and how it does there."""

from typing import Any, assert_never

from domain.content.distribution import (
    DISTRIBUTION,
    ContentPublished,
    DistributionEvent,
    DistributionStatus,
    PerformanceReported,
    PublicationStarted,
    PublishFailed,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: DistributionEvent) -> tuple[Patch]:
    of = {"content_id": event.content_id, "platform": event.platform}
    return decided(envelope, {**of, **_fields(envelope, event), "changed_at": instant_text(envelope.happened_at)})


def _fields(envelope: Envelope, event: DistributionEvent) -> dict[str, Any]:
    match event:
        case PublicationStarted():
            return {"status": DistributionStatus.PUBLISHING.value, "attempt": event.attempt, "error": ""}
        case ContentPublished():
            return {
                "status": DistributionStatus.PUBLISHED.value,
                "post_id": event.post_id,
                "url": event.url,
                "published_at": instant_text(envelope.happened_at),
                "error": "",
            }
        case PublishFailed():
            return {"status": DistributionStatus.FAILED.value, "error": event.error}
        case PerformanceReported():
            return {
                "views": event.views,
                "engagement": event.engagement,
                "measured_at": instant_text(event.measured_at),
            }
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="distributions",
    layout=Documents(
        filters=("status", "platform", "content_id"),
        values={"status": DistributionStatus},
        sorts=("changed_at", "views", "engagement"),
        numbers=("views", "engagement"),
        instants=("changed_at",),
        default_sort="-changed_at",
        scope="content",
        example={
            "id": "patch-day~blog",
            "version": 3,
            "content_id": "patch-day",
            "platform": "blog",
            "status": "PUBLISHED",
            "post_id": "p-7",
            "views": 120,
            "engagement": 7,
        },
    ),
    topics=(Topic.EVENTS,),
    events=DISTRIBUTION.events,
    project=project,
)
