"""This process has content published on every platform of its plan, each by itself, and tries again what failed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar

from domain.backoff import backoff
from domain.content.distribution import (
    ContentPublished,
    FailPublication,
    PublicationStarted,
    PublishFailed,
    StartPublication,
)
from domain.content.item import ContentRejected, ContentScheduled, SettlePublication
from domain.message import Event, value
from domain.process import Action, Around, Ask, Forget, Note, Process, ProcessAnswered, TimerFired, Wait
from schemas.envelope import Envelope, id_of

ATTEMPTS = 3
"""How often a platform is tried by itself; a person who tries it again begins as many anew."""
ANSWER_WITHIN = timedelta(minutes=15)
_RETRY_AFTER = timedelta(minutes=1)

_PUBLISH, _SETTLE = "publish", "settle"
_START, _ANSWER, _RETRY = "start:", "answer:", "retry:"

STARTED, PUBLISHED, FAILED = "started", "published", "failed"


@value
class PublicationPlanned(Event):
    TYPE: ClassVar = "publication.planned"
    platforms: tuple[str, ...]
    publish_at: datetime


@value
class PlatformReached(Event):
    """Shape: `outcome` is started, published or failed."""

    TYPE: ClassVar = "publication.platform.reached"
    platform: str
    outcome: str
    attempt: int


@value
class Pipeline:
    """Shape: `reached` is the last that is known of each platform."""

    platforms: tuple[str, ...] = ()
    reached: Mapping[str, PlatformReached]

    def at(self, outcome: str) -> tuple[str, ...]:
        """Return the platforms of the plan, in its order, of which this is the last that is known."""
        return tuple(
            platform
            for platform in self.platforms
            if platform in self.reached and self.reached[platform].outcome == outcome
        )


_NOTHING = Pipeline(reached={})


def evolve_pipeline(state: Pipeline | None, event: Event) -> Pipeline:
    before = state or _NOTHING
    match event:
        case PublicationPlanned():
            return replace(before, platforms=event.platforms)
        case PlatformReached():
            return replace(before, reached={**before.reached, event.platform: event})
        case _:
            return before


_OfPlatform = PublicationStarted | ContentPublished | PublishFailed
_OfPipeline = ContentScheduled | ContentRejected | _OfPlatform


def _content_of(event: _OfPipeline, envelope: Envelope) -> str:
    return event.content_id if isinstance(event, _OfPlatform) else id_of(envelope.stream)


def react_content_pipeline(
    state: Pipeline | None, event: _OfPipeline | TimerFired | ProcessAnswered, around: Around
) -> Sequence[Action]:
    pipeline = state or _NOTHING
    match event:
        case ContentScheduled():
            planned = PublicationPlanned(platforms=event.platforms, publish_at=event.publish_at)
            return [Note(planned), Wait(_PUBLISH, event.publish_at)]
        case ContentRejected():
            return [Forget(name) for name in around.timers if name == _PUBLISH or name.startswith(_RETRY)]
        case PublicationStarted() | ContentPublished() | PublishFailed():
            return _told(pipeline, event, around)
        case TimerFired():
            return _due(pipeline, event.name, around)
        case _:
            # a refusal stays visible as the instance's last error
            return []


def _told(pipeline: Pipeline, event: _OfPlatform, around: Around) -> Sequence[Action]:
    platform, answer = event.platform, f"{_ANSWER}{event.platform}"
    match event:
        case PublicationStarted():
            reached = PlatformReached(platform=platform, outcome=STARTED, attempt=event.attempt)
            return [Note(reached), Wait(answer, around.now + ANSWER_WITHIN)]
        case ContentPublished():
            last = pipeline.reached.get(platform)
            reached = PlatformReached(platform=platform, outcome=PUBLISHED, attempt=last.attempt if last else 1)
            return [Note(reached), Forget(answer), Forget(f"{_RETRY}{platform}"), _settled(pipeline, reached, around)]
        case PublishFailed():
            reached = PlatformReached(platform=platform, outcome=FAILED, attempt=event.attempt)
            nth = (event.attempt - 1) % ATTEMPTS + 1
            if event.retryable and nth < ATTEMPTS:
                again = Wait(f"{_RETRY}{platform}", around.now + backoff(_RETRY_AFTER, nth))
                return [Note(reached), Forget(answer), again]
            return [Note(reached), Forget(answer), _settled(pipeline, reached, around)]


def _settled(pipeline: Pipeline, reached: PlatformReached, around: Around) -> Ask:
    after = evolve_pipeline(pipeline, reached)
    # one that will be tried again has not failed yet
    failed = tuple(platform for platform in after.at(FAILED) if f"{_RETRY}{platform}" not in around.timers)
    return Ask(_SETTLE, SettlePublication(content_id=around.id, published=after.at(PUBLISHED), failed=failed))


def _due(pipeline: Pipeline, name: str, around: Around) -> Sequence[Action]:
    if name == _PUBLISH:
        done = pipeline.at(PUBLISHED)
        return [_start(platform, around) for platform in pipeline.platforms if platform not in done]
    if name.startswith(_RETRY):
        return [_start(name.removeprefix(_RETRY), around)]
    platform = name.removeprefix(_ANSWER)
    late = FailPublication(
        content_id=around.id,
        platform=platform,
        attempt=pipeline.reached[platform].attempt,
        error=f"nobody answered within {int(ANSWER_WITHIN.total_seconds() // 60)} minutes",
    )
    return [Ask(f"give_up:{platform}", late)]


def _start(platform: str, around: Around) -> Ask:
    return Ask(f"{_START}{platform}", StartPublication(content_id=around.id, platform=platform))


CONTENT_PIPELINE = Process(
    name="content_pipeline",
    listens=(ContentScheduled, ContentRejected, PublicationStarted, ContentPublished, PublishFailed),
    route=_content_of,
    events=(PublicationPlanned, PlatformReached),
    evolve=evolve_pipeline,
    react=react_content_pipeline,
)
