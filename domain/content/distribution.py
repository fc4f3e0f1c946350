"""These are the commands, the events, the state and the rules of publishing one piece of content on one platform."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, assert_never

from pydantic import Field

from domain.content.item import Content, ContentStatus, Platform, content_stream
from domain.given import Given
from domain.message import Command, Decider, Event, classes_of, filled, known, value
from domain.rejection import not_allowed, not_found
from schemas.envelope import Actor, StreamId
from schemas.values import Id, Instant, Name, Text

# --- commands


@value
class _OfDistribution(Command):
    content_id: Id
    platform: Platform

    @property
    def stream(self) -> StreamId:
        # a platform has no "~"
        return StreamId(f"distribution-{self.content_id}~{self.platform}")


@value
class StartPublication(_OfDistribution):
    """Have it published; a process sends it when its time has come, a person to try a failed platform again."""


@value
class PublishContent(_OfDistribution):
    """Say that it is out: whoever publishes on this platform answers with it.

    Shape: `post_id` is what the platform calls it.
    """

    post_id: Name
    url: Name | None = None


@value
class FailPublication(_OfDistribution):
    """Say that it could not be published.

    Shape: `attempt` is that of the event content.publication.started; the failure of an earlier attempt changes
    nothing. One that is not `retryable` is not tried again by itself.
    """

    attempt: Annotated[int, Field(strict=True, ge=1)]
    error: Text
    retryable: bool = True


@value
class ReportPerformance(_OfDistribution):
    """Say how it does there.

    Units: `views` and `engagement` are counts since it was published; `measured_at` is when they were read.
    """

    views: Annotated[int, Field(strict=True, ge=0, le=2**53)]
    engagement: Annotated[int, Field(strict=True, ge=0, le=2**53)]
    measured_at: Instant


DistributionCommand = StartPublication | PublishContent | FailPublication | ReportPerformance

# --- events


@value
class _OnPlatform(Event):
    content_id: str
    platform: str


@value
class PublicationStarted(_OnPlatform):
    TYPE: ClassVar = "content.publication.started"
    attempt: int


@value
class ContentPublished(_OnPlatform):
    TYPE: ClassVar = "content.published"
    post_id: str
    url: str | None


@value
class PublishFailed(_OnPlatform):
    TYPE: ClassVar = "content.publish.failed"
    attempt: int
    error: str
    retryable: bool


@value
class PerformanceReported(_OnPlatform):
    TYPE: ClassVar = "content.performance.reported"
    views: int
    engagement: int
    measured_at: datetime


DistributionEvent = PublicationStarted | ContentPublished | PublishFailed | PerformanceReported

# --- state


class DistributionStatus(StrEnum):
    PUBLISHING = "PUBLISHING"
    PUBLISHED = "PUBLISHED"
    FAILED = "FAILED"


@value
class Distribution:
    """Shape: `attempt` counts the attempts from 1."""

    status: DistributionStatus
    attempt: int
    published: ContentPublished | None = None
    performance: PerformanceReported | None = None


def evolve_distribution(state: Distribution | None, event: DistributionEvent) -> Distribution:
    match event:
        case PublicationStarted():
            return Distribution(status=DistributionStatus.PUBLISHING, attempt=event.attempt)
        case ContentPublished():
            return replace(known(state), status=DistributionStatus.PUBLISHED, published=event)
        case PublishFailed():
            return replace(known(state), status=DistributionStatus.FAILED)
        case PerformanceReported():
            return replace(known(state), performance=event)
        case _:
            assert_never(event)


# --- rules


def decide_distribution(
    command: DistributionCommand, state: Distribution | None, given: Given
) -> tuple[DistributionEvent, ...]:
    if isinstance(command, StartPublication):
        return _started(command, state, given)
    if state is None:
        raise not_found(f"content {command.content_id} was not to be published on {command.platform}")
    match command:
        case PublishContent():
            return _published(command, state)
        case FailPublication():
            is_over = state.status is not DistributionStatus.PUBLISHING or command.attempt != state.attempt
            return () if is_over else (filled(PublishFailed, command),)
        case ReportPerformance():
            return _performance(command, state)
        case _:
            assert_never(command)


def _started(command: StartPublication, state: Distribution | None, given: Given) -> tuple[DistributionEvent, ...]:
    content = given.streams[content_stream(command.content_id)]
    if content is None:
        raise not_found(f"content {command.content_id} is not known")
    _refuse_unplanned(command, content)
    if state is not None and state.status is not DistributionStatus.FAILED:
        return ()
    return (filled(PublicationStarted, command, attempt=1 if state is None else state.attempt + 1),)


def _refuse_unplanned(command: StartPublication, content: Content) -> None:
    if content.status not in (ContentStatus.APPROVED, ContentStatus.PUBLISHED):
        raise not_allowed(f"content {command.content_id} is {content.status}: it can be published when it is approved")
    if command.platform not in content.platforms:
        raise not_allowed(f"{command.platform} is no platform of the plan of content {command.content_id}")


def _published(command: PublishContent, state: Distribution) -> tuple[DistributionEvent, ...]:
    """What is out is out: it counts whichever attempt it was, also after a time-out."""
    if state.published is None:
        return (filled(ContentPublished, command),)
    if command.post_id == state.published.post_id:
        return ()
    raise not_allowed(
        f"content {command.content_id} is published on {command.platform} already, as {state.published.post_id}"
    )


def _performance(command: ReportPerformance, state: Distribution) -> tuple[DistributionEvent, ...]:
    if state.published is None:
        raise not_allowed(f"content {command.content_id} is not published on {command.platform}")
    last = state.performance
    is_news = last is None or command.measured_at > last.measured_at
    return (filled(PerformanceReported, command),) if is_news else ()


def _reads(command: DistributionCommand, _actor: Actor) -> tuple[StreamId, ...]:
    return (content_stream(command.content_id),) if isinstance(command, StartPublication) else ()


DISTRIBUTION = Decider(
    category="distribution",
    commands=classes_of(DistributionCommand),
    events=classes_of(DistributionEvent),
    decide=decide_distribution,
    evolve=evolve_distribution,
    reads=_reads,
)
