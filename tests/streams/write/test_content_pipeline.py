"""Content goes out on every platform of its plan, each by itself; what fails is tried again, and only that."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from domain.content.distribution import FailPublication, PublishContent, StartPublication
from domain.content.item import ApproveContent, RejectContent, RequestContent, SchedulePublication, SubmitDraft
from domain.content.processes import ANSWER_WITHIN, CONTENT_PIPELINE
from tests.streams.kit import register_tenant
from tests.streams.write.saga import HOUR, NOON, World, tell

MINUTE = timedelta(minutes=1)
BLOG, LINKEDIN = "distribution-c1~blog", "distribution-c1~linkedin"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, CONTENT_PIPELINE)
    world.writer.write([register_tenant("demo")])
    tell(
        world,
        RequestContent(content_id="c1", title="Patch day", kind="article"),
        SubmitDraft(content_id="c1", body="Patch on Tuesday."),
        ApproveContent(content_id="c1"),
        SchedulePublication(content_id="c1", platforms=("blog", "linkedin"), publish_at=NOON + HOUR),
    )
    yield world
    world.log.close()


def published(platform: str) -> PublishContent:
    return PublishContent(content_id="c1", platform=platform, post_id=f"{platform}-1")


def failed(platform: str, attempt: int, *, retryable: bool = True) -> FailPublication:
    return FailPublication(content_id="c1", platform=platform, attempt=attempt, error="503", retryable=retryable)


def last(world: World) -> dict[str, object]:
    return dict(world.history("content-c1")[-1].data)


def test_content_goes_out_at_its_time_on_every_platform(world: World) -> None:
    assert world.tick(HOUR - MINUTE) == 0
    world.restart()
    world.tick(MINUTE)
    assert world.types(BLOG) == world.types(LINKEDIN) == ["content.publication.started"]
    tell(world, published("blog"))
    assert last(world) == {"published": ["blog"], "failed": [], "open": ["linkedin"]}
    tell(world, published("linkedin"))
    assert last(world) == {"published": ["blog", "linkedin"], "failed": [], "open": []}
    assert world.tick(24 * HOUR) == 0
    assert world.types(BLOG) == ["content.publication.started", "content.published"]


def test_failed_platform_is_tried_again_alone_and_given_up_after_the_third_attempt(world: World) -> None:
    world.tick(HOUR)
    tell(world, published("blog"), failed("linkedin", 1))
    world.tick(MINUTE)
    world.restart()
    tell(world, failed("linkedin", 2))
    world.tick(2 * MINUTE)
    assert last(world)["open"] == ["linkedin"]
    tell(world, failed("linkedin", 3))
    assert last(world) == {"published": ["blog"], "failed": ["linkedin"], "open": []}
    assert world.tick(24 * HOUR) == 0
    assert world.types(LINKEDIN) == ["content.publication.started", "content.publish.failed"] * 3
    assert world.types(BLOG) == ["content.publication.started", "content.published"]


def test_person_tries_a_platform_again_that_was_given_up(world: World) -> None:
    world.tick(HOUR)
    tell(world, published("blog"), failed("linkedin", 1, retryable=False))
    assert last(world)["failed"] == ["linkedin"]
    tell(world, StartPublication(content_id="c1", platform="linkedin"), published("linkedin"))
    assert last(world) == {"published": ["blog", "linkedin"], "failed": [], "open": []}


def test_platform_of_which_nobody_answers_fails_and_a_late_answer_still_counts(world: World) -> None:
    world.tick(HOUR)
    tell(world, published("blog"))
    world.tick(ANSWER_WITHIN)
    assert world.history(LINKEDIN)[-1].data["error"] == "nobody answered within 15 minutes"
    tell(world, published("linkedin"))
    assert last(world) == {"published": ["blog", "linkedin"], "failed": [], "open": []}
    assert world.tick(24 * HOUR) == 0


def test_content_that_is_rejected_in_time_does_not_go_out(world: World) -> None:
    tell(world, RejectContent(content_id="c1", reason="outdated"))
    assert world.tick(24 * HOUR) == 0
    assert world.types(BLOG) == []


def test_what_a_platform_had_in_hand_when_it_was_rejected_is_told(world: World) -> None:
    world.tick(HOUR)
    tell(world, RejectContent(content_id="c1", reason="outdated"), published("blog"))
    assert last(world) == {"published": ["blog"], "failed": [], "open": ["linkedin"]}
