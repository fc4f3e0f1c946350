"""The rules for content and where it is published."""

from dataclasses import replace

import pytest

from domain.content.distribution import DISTRIBUTION
from domain.content.item import CONTENT, Content, ContentStatus, SubmitDraft, content_stream
from domain.message import Command
from domain.rejection import Kind
from tests.examples.content import (
    APPROVE_CONTENT,
    APPROVED,
    DISTRIBUTED,
    DRAFTED,
    FAIL,
    PERFORMANCE,
    PUBLISH,
    PUBLISH_FAILED,
    PUBLISHED,
    REJECT_CONTENT,
    REJECTED,
    REPORT,
    REQUEST_CONTENT,
    REQUESTED,
    SCHEDULE,
    SCHEDULED,
    SETTLE,
    START,
    STARTED,
    SUBMIT_DRAFT,
    SUBMITTED,
)
from tests.given_when_then import GIVEN, Rules

content, distribution = Rules(CONTENT), Rules(DISTRIBUTION)

IN_REVIEW = (REQUESTED, DRAFTED, SUBMITTED)
PLANNED = (*IN_REVIEW, APPROVED, SCHEDULED)


def test_content_is_requested_once() -> None:
    content.given().when(REQUEST_CONTENT).then(REQUESTED)
    content.given(REQUESTED).when(REQUEST_CONTENT).then_refused(Kind.CONFLICT, "content c1 is requested already")


def test_content_that_nobody_requested_is_not_found() -> None:
    content.given().when(SUBMIT_DRAFT).then_refused(Kind.NOT_FOUND, "content c1 is not known")


def test_draft_goes_to_the_review_unless_it_is_only_kept() -> None:
    content.given(REQUESTED).when(SUBMIT_DRAFT).then(DRAFTED, SUBMITTED)
    kept = replace(SUBMIT_DRAFT, for_review=False)
    content.given(REQUESTED).when(kept).then(DRAFTED)
    content.given(REQUESTED, DRAFTED).when(kept).then_nothing()
    content.given(REQUESTED, DRAFTED).when(SUBMIT_DRAFT).then(SUBMITTED)
    content.given(*IN_REVIEW).when(SUBMIT_DRAFT).then_nothing()


def test_new_draft_replaces_the_one_in_review_and_one_that_was_rejected() -> None:
    better = replace(SUBMIT_DRAFT, body="Patch on Monday.", title="Patch soon")
    drafted = replace(DRAFTED, body="Patch on Monday.", title="Patch soon")
    content.given(*IN_REVIEW).when(better).then(drafted, SUBMITTED)
    content.given(*IN_REVIEW, REJECTED).when(better).then(drafted, SUBMITTED)
    content.given(*IN_REVIEW, REJECTED).when(SUBMIT_DRAFT).then(DRAFTED, SUBMITTED)


def test_model_that_wrote_a_draft_is_told() -> None:
    silent = SubmitDraft(content_id="c1", body="Patch.", model="small-1")
    reason = "a model wrote this draft, so ai_generated must be true"
    content.given(REQUESTED).when(silent).then_refused(Kind.INVALID, reason)


def test_what_is_in_review_is_approved_or_rejected_once() -> None:
    content.given(*IN_REVIEW).when(APPROVE_CONTENT).then(APPROVED)
    content.given(*IN_REVIEW, APPROVED).when(APPROVE_CONTENT).then_nothing()
    content.given(*IN_REVIEW).when(REJECT_CONTENT).then(REJECTED)
    content.given(*IN_REVIEW, REJECTED).when(REJECT_CONTENT).then_nothing()
    content.given(*IN_REVIEW, APPROVED).when(REJECT_CONTENT).then(REJECTED)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (APPROVE_CONTENT, "content c1 is DRAFT: it can be approved when a draft is in review"),
        (
            REJECT_CONTENT,
            "content c1 is DRAFT: it can be rejected when it is in review, or approved and not yet published",
        ),
        (SCHEDULE, "content c1 is DRAFT: it can be published when it is approved"),
        (SETTLE, "content c1 is DRAFT: it can be settled when its publication was planned"),
    ],
)
def test_draft_is_not_published(command: Command, reason: str) -> None:
    content.given(REQUESTED, DRAFTED).when(command).then_refused(Kind.NOT_ALLOWED, reason)


def test_what_is_published_is_neither_drafted_nor_rejected_any_more() -> None:
    published = (*PLANNED, DISTRIBUTED)
    reason = "content c1 is PUBLISHED: it can be drafted again when it is not approved; reject it first"
    content.given(*published).when(SUBMIT_DRAFT).then_refused(Kind.NOT_ALLOWED, reason)
    reason = "content c1 is PUBLISHED: it can be rejected when it is in review, or approved and not yet published"
    content.given(*published).when(REJECT_CONTENT).then_refused(Kind.NOT_ALLOWED, reason)


def test_publication_is_planned_and_planned_anew() -> None:
    content.given(*IN_REVIEW, APPROVED).when(SCHEDULE).then(SCHEDULED)
    content.given(*PLANNED).when(SCHEDULE).then_nothing()
    alone = replace(SCHEDULE, platforms=("linkedin",))
    content.given(*PLANNED).when(alone).then(replace(SCHEDULED, platforms=("linkedin",)))
    reason = "it is published on blog already, so the plan must go on naming that platform"
    content.given(*PLANNED, DISTRIBUTED).when(alone).then_refused(Kind.NOT_ALLOWED, reason)
    twice = replace(SCHEDULE, platforms=("blog", "blog"))
    reason = "platforms names blog more than once"
    content.given(*PLANNED).when(twice).then_refused(Kind.INVALID, reason)


def test_approval_begins_without_a_plan() -> None:
    again = (*PLANNED, REJECTED, DRAFTED, SUBMITTED, APPROVED)
    content.given(*again).when(SCHEDULE).then(SCHEDULED)


def test_how_a_publication_went_is_recorded_once() -> None:
    content.given(*PLANNED).when(SETTLE).then(DISTRIBUTED)
    content.given(*PLANNED, DISTRIBUTED).when(SETTLE).then_nothing()
    first = replace(SETTLE, failed=())
    content.given(*PLANNED).when(first).then(replace(DISTRIBUTED, failed=(), open=("linkedin",)))


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (replace(SETTLE, published=("radio",)), "radio is no platform of the plan"),
        (replace(SETTLE, failed=("blog",)), "blog cannot be published and failed"),
    ],
)
def test_outcome_that_cannot_be_is_refused(command: Command, reason: str) -> None:
    content.given(*PLANNED).when(command).then_refused(Kind.INVALID, reason)


# --- one platform

PLAN = GIVEN._replace(
    streams={
        content_stream("c1"): Content(title="Patch day", status=ContentStatus.APPROVED, platforms=("blog", "linkedin"))
    }
)


def test_publication_starts_once_and_again_where_it_failed() -> None:
    distribution.given().when(START, PLAN).then(STARTED)
    distribution.given(STARTED).when(START, PLAN).then_nothing()
    distribution.given(STARTED, PUBLISHED).when(START, PLAN).then_nothing()
    distribution.given(STARTED, PUBLISH_FAILED).when(START, PLAN).then(replace(STARTED, attempt=2))


def test_nothing_starts_that_is_not_approved_and_planned() -> None:
    stream = content_stream("c1")
    unknown = GIVEN._replace(streams={stream: None})
    distribution.given().when(START, unknown).then_refused(Kind.NOT_FOUND, "content c1 is not known")
    drafted = GIVEN._replace(streams={stream: Content(title="Patch day", status=ContentStatus.DRAFT)})
    reason = "content c1 is DRAFT: it can be published when it is approved"
    distribution.given().when(START, drafted).then_refused(Kind.NOT_ALLOWED, reason)
    elsewhere = GIVEN._replace(
        streams={stream: Content(title="Patch day", status=ContentStatus.APPROVED, platforms=("linkedin",))}
    )
    reason = "blog is no platform of the plan of content c1"
    distribution.given().when(START, elsewhere).then_refused(Kind.NOT_ALLOWED, reason)


def test_what_is_out_is_out_whichever_attempt_it_was() -> None:
    distribution.given(STARTED).when(PUBLISH).then(PUBLISHED)
    distribution.given(STARTED, PUBLISH_FAILED).when(PUBLISH).then(PUBLISHED)
    distribution.given(STARTED, PUBLISHED).when(PUBLISH).then_nothing()
    other = replace(PUBLISH, post_id="p-8")
    reason = "content c1 is published on blog already, as p-7"
    distribution.given(STARTED, PUBLISHED).when(other).then_refused(Kind.NOT_ALLOWED, reason)


def test_failure_counts_for_its_own_attempt_only() -> None:
    distribution.given(STARTED).when(FAIL).then(PUBLISH_FAILED)
    distribution.given(STARTED, PUBLISH_FAILED).when(FAIL).then_nothing()
    distribution.given(STARTED, PUBLISH_FAILED, replace(STARTED, attempt=2)).when(FAIL).then_nothing()
    distribution.given(STARTED, PUBLISHED).when(FAIL).then_nothing()


def test_performance_counts_if_it_is_newer() -> None:
    distribution.given(STARTED, PUBLISHED).when(REPORT).then(PERFORMANCE)
    distribution.given(STARTED, PUBLISHED, PERFORMANCE).when(REPORT).then_nothing()
    reason = "content c1 is not published on blog"
    distribution.given(STARTED).when(REPORT).then_refused(Kind.NOT_ALLOWED, reason)


@pytest.mark.parametrize("command", [PUBLISH, FAIL, REPORT])
def test_platform_that_was_never_tried_is_not_found(command: Command) -> None:
    reason = "content c1 was not to be published on blog"
    distribution.given().when(command).then_refused(Kind.NOT_FOUND, reason)
