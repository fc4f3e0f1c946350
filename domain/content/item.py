"""These are the commands, the events, the state and the rules of a piece of content, until it is published."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, assert_never

from pydantic import Field, StringConstraints

from domain.given import Given
from domain.message import Command, Decider, Event, classes_of, filled, known, value
from domain.rejection import conflict, invalid, not_allowed, not_found
from schemas.envelope import StreamId
from schemas.values import Body, Id, Instant, Name, Text

Platform = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
"""Where content is published, like `blog` or `linkedin`; it is a part of a stream's name."""


def content_stream(content_id: str) -> StreamId:
    return StreamId(f"content-{content_id}")


# --- commands


@value
class _OfContent(Command):
    content_id: Id

    @property
    def stream(self) -> StreamId:
        return content_stream(self.content_id)


@value
class RequestContent(_OfContent):
    """Shape: `kind` is what it shall become, like `article`."""

    title: Name
    kind: Name
    brief: Text = ""


@value
class SubmitDraft(_OfContent):
    """A text for what was requested; a later draft replaces it.

    Shape: `model` is the language model that wrote it, where one did. Without `for_review` it is only kept.
    """

    body: Body
    title: Name | None = None
    ai_generated: bool = False
    model: Name | None = None
    for_review: bool = True


@value
class ApproveContent(_OfContent):
    reason: Text = ""


@value
class RejectContent(_OfContent):
    reason: Body


@value
class SchedulePublication(_OfContent):
    """Publish what was approved on these platforms, at this time or, if it is past, at once."""

    platforms: Annotated[tuple[Platform, ...], Field(min_length=1, max_length=20)]
    publish_at: Instant


@value
class SettlePublication(_OfContent):
    """Say on which platforms a publication came out and on which it failed; a process sends it."""

    IS_OURS: ClassVar = True
    published: tuple[Platform, ...] = ()
    failed: tuple[Platform, ...] = ()


ContentCommand = RequestContent | SubmitDraft | ApproveContent | RejectContent | SchedulePublication | SettlePublication

# --- events


@value
class ContentRequested(Event):
    TYPE: ClassVar = "content.requested"
    title: str
    kind: str
    brief: str


@value
class ContentDrafted(Event):
    TYPE: ClassVar = "content.drafted"
    title: str
    body: str
    ai_generated: bool
    model: str | None


@value
class ContentSubmitted(Event):
    TYPE: ClassVar = "content.submitted"
    by: str


@value
class ContentApproved(Event):
    TYPE: ClassVar = "content.approved"
    by: str
    reason: str


@value
class ContentRejected(Event):
    TYPE: ClassVar = "content.rejected"
    by: str
    reason: str


@value
class ContentScheduled(Event):
    TYPE: ClassVar = "content.scheduled"
    platforms: tuple[str, ...]
    publish_at: datetime


@value
class ContentDistributed(Event):
    """Shape: `open` are the platforms of which nothing is known yet."""

    TYPE: ClassVar = "content.distributed"
    published: tuple[str, ...]
    failed: tuple[str, ...]
    open: tuple[str, ...]


ContentEvent = (
    ContentRequested
    | ContentDrafted
    | ContentSubmitted
    | ContentApproved
    | ContentRejected
    | ContentScheduled
    | ContentDistributed
)

# --- state


class ContentStatus(StrEnum):
    REQUESTED = "REQUESTED"
    DRAFT = "DRAFT"
    REVIEW = "REVIEW"
    APPROVED = "APPROVED"
    PUBLISHED = "PUBLISHED"
    REJECTED = "REJECTED"


@value
class Content:
    """Shape: `platforms` are those of the plan; an approval begins without one. `published`, `failed`: how it went."""

    title: str
    status: ContentStatus = ContentStatus.REQUESTED
    draft: ContentDrafted | None = None
    platforms: tuple[str, ...] = ()
    publish_at: datetime | None = None
    published: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def evolve_content(state: Content | None, event: ContentEvent) -> Content:
    match event:
        case ContentRequested():
            return Content(title=event.title)
        case ContentDrafted():
            return replace(known(state), title=event.title, draft=event, status=ContentStatus.DRAFT)
        case ContentSubmitted():
            return replace(known(state), status=ContentStatus.REVIEW)
        case ContentApproved():
            return replace(known(state), status=ContentStatus.APPROVED, platforms=(), publish_at=None)
        case ContentRejected():
            return replace(known(state), status=ContentStatus.REJECTED)
        case ContentScheduled():
            return replace(known(state), platforms=event.platforms, publish_at=event.publish_at)
        case ContentDistributed():
            status = ContentStatus.PUBLISHED if event.published else known(state).status
            return replace(known(state), status=status, published=event.published, failed=event.failed)
        case _:
            assert_never(event)


# --- rules

_DRAFTABLE = (ContentStatus.REQUESTED, ContentStatus.DRAFT, ContentStatus.REVIEW, ContentStatus.REJECTED)
_REFUSABLE = (ContentStatus.REVIEW, ContentStatus.APPROVED)
_PUBLISHABLE = (ContentStatus.APPROVED, ContentStatus.PUBLISHED)
# a platform may have had it in hand when it was rejected: what is out is out
_SETTLEABLE = (*_PUBLISHABLE, ContentStatus.REJECTED)


def decide_content(command: ContentCommand, state: Content | None, given: Given) -> tuple[ContentEvent, ...]:
    if isinstance(command, RequestContent):
        if state is not None:
            raise conflict(f"content {command.content_id} is requested already")
        return (filled(ContentRequested, command),)
    if state is None:
        raise not_found(f"content {command.content_id} is not known")
    match command:
        case SubmitDraft():
            return _drafted(command, state, given.actor.id)
        case ApproveContent() | RejectContent():
            return _judged(command, state, given.actor.id)
        case SchedulePublication():
            return _scheduled(command, state)
        case SettlePublication():
            return _distributed(command, state)
        case _:
            assert_never(command)


def _judged(command: ApproveContent | RejectContent, state: Content, by: str) -> tuple[ContentEvent, ...]:
    if isinstance(command, ApproveContent):
        if state.status is ContentStatus.APPROVED:
            return ()
        _refuse_unless(command, state, (ContentStatus.REVIEW,), "approved", "a draft is in review")
        return (ContentApproved(by=by, reason=command.reason),)
    if state.status is ContentStatus.REJECTED:
        return ()
    _refuse_unless(command, state, _REFUSABLE, "rejected", "it is in review, or approved and not yet published")
    return (ContentRejected(by=by, reason=command.reason),)


def _drafted(command: SubmitDraft, state: Content, by: str) -> tuple[ContentEvent, ...]:
    _refuse_unless(command, state, _DRAFTABLE, "drafted again", "it is not approved; reject it first")
    if command.model is not None and not command.ai_generated:
        raise invalid("a model wrote this draft, so ai_generated must be true")
    drafted = filled(ContentDrafted, command, title=command.title or state.title)
    in_review = state.status is ContentStatus.REVIEW
    if drafted == state.draft and state.status is not ContentStatus.REJECTED:
        # nothing but the step to the review may be new
        return (ContentSubmitted(by=by),) if command.for_review and not in_review else ()
    return (drafted, ContentSubmitted(by=by)) if command.for_review else (drafted,)


def _scheduled(command: SchedulePublication, state: Content) -> tuple[ContentEvent, ...]:
    _refuse_unless(command, state, _PUBLISHABLE, "published", "it is approved")
    if twice := {platform for platform in command.platforms if command.platforms.count(platform) > 1}:
        raise invalid(f"platforms names {min(twice)} more than once")
    if missing := set(state.published) - set(command.platforms):
        raise not_allowed(f"it is published on {min(missing)} already, so the plan must go on naming that platform")
    scheduled = filled(ContentScheduled, command)
    return () if (scheduled.platforms, scheduled.publish_at) == (state.platforms, state.publish_at) else (scheduled,)


def _distributed(command: SettlePublication, state: Content) -> tuple[ContentEvent, ...]:
    _refuse_unless(command, state, _SETTLEABLE, "settled", "its publication was planned")
    if foreign := {*command.published, *command.failed} - set(state.platforms):
        raise invalid(f"{min(foreign)} is no platform of the plan")
    if both := set(command.published) & set(command.failed):
        raise invalid(f"{min(both)} cannot be published and failed")
    if (command.published, command.failed) == (state.published, state.failed):
        return ()
    told = {*command.published, *command.failed}
    unknown = tuple(platform for platform in state.platforms if platform not in told)
    return (filled(ContentDistributed, command, open=unknown),)


def _refuse_unless(
    command: ContentCommand, state: Content, allowed: tuple[ContentStatus, ...], done: str, when: str
) -> None:
    if state.status not in allowed:
        raise not_allowed(f"content {command.content_id} is {state.status}: it can be {done} when {when}")


CONTENT = Decider(
    category="content",
    commands=classes_of(ContentCommand),
    events=classes_of(ContentEvent),
    decide=decide_content,
    evolve=evolve_content,
)
