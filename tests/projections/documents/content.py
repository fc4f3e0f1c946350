"""What each event of the content context sets in its documents."""

from projections.content import content, distributions
from projections.history import processes
from tests.examples.content import (
    APPROVED,
    DISTRIBUTED,
    DRAFTED,
    PERFORMANCE,
    PLANNED,
    PUBLISH_FAILED,
    PUBLISHED,
    REACHED,
    REJECTED,
    REQUESTED,
    SCHEDULED,
    STARTED,
    SUBMITTED,
)
from tests.projections.documents import HAPPENED, RECORDED, Case

CHANGED = {"changed_at": HAPPENED}
ON_BLOG = {"content_id": "c1", "platform": "blog"} | CHANGED
JUDGED_BY_ANN = {"judged_by": "ann"}

CASES: list[Case] = [
    (
        content.PROJECTION,
        "c1",
        REQUESTED,
        {
            "title": "Patch day",
            "kind": "article",
            "brief": "what to do, and why",
            "status": "REQUESTED",
            "requested_at": HAPPENED,
            "requested_by": "ann",
        }
        | CHANGED,
    ),
    (
        content.PROJECTION,
        "c1",
        DRAFTED,
        {
            "title": "Patch day",
            "body": "Patch on Tuesday.",
            "ai_generated": True,
            "model": "small-1",
            "status": "DRAFT",
        }
        | CHANGED,
    ),
    (
        content.PROJECTION,
        "c1",
        SUBMITTED,
        {"status": "REVIEW", "submitted_at": HAPPENED, "submitted_by": "ann"} | CHANGED,
    ),
    (
        content.PROJECTION,
        "c1",
        APPROVED,
        {"status": "APPROVED", "status_reason": "clear", "platforms": [], "publish_at": ""} | JUDGED_BY_ANN | CHANGED,
    ),
    (
        content.PROJECTION,
        "c1",
        REJECTED,
        {"status": "REJECTED", "status_reason": "says nothing new"} | JUDGED_BY_ANN | CHANGED,
    ),
    (content.PROJECTION, "c1", SCHEDULED, {"platforms": ["blog", "linkedin"], "publish_at": RECORDED} | CHANGED),
    (
        content.PROJECTION,
        "c1",
        DISTRIBUTED,
        {"status": "PUBLISHED", "distribution": "partial", "published_on": ["blog"], "failed_on": ["linkedin"]}
        | CHANGED,
    ),
    (distributions.PROJECTION, "c1~blog", STARTED, {"status": "PUBLISHING", "attempt": 1, "error": ""} | ON_BLOG),
    (
        distributions.PROJECTION,
        "c1~blog",
        PUBLISHED,
        {
            "status": "PUBLISHED",
            "post_id": "p-7",
            "url": "https://blog.example/patch-day",
            "published_at": HAPPENED,
            "error": "",
        }
        | ON_BLOG,
    ),
    (distributions.PROJECTION, "c1~blog", PUBLISH_FAILED, {"status": "FAILED", "error": "503"} | ON_BLOG),
    (
        distributions.PROJECTION,
        "c1~blog",
        PERFORMANCE,
        {"views": 120, "engagement": 7, "measured_at": RECORDED} | ON_BLOG,
    ),
    (
        processes.PROJECTION,
        "content_pipeline-acme",
        PLANNED,
        {"last_event": "publication.planned", "updated_at": RECORDED},
    ),
    (
        processes.PROJECTION,
        "content_pipeline-acme",
        REACHED,
        {"last_event": "publication.platform.reached", "updated_at": RECORDED},
    ),
]
