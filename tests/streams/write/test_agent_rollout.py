"""A release of the device agent goes from wave to wave, halts where too much fails, and goes on, over restarts."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from domain.fleet.device import UpdateDevice
from domain.message import Command
from domain.operations.agent_release import PublishAgentRelease, ResumeAgentRelease, in_order
from domain.operations.agent_rollout import AGENT_ROLLOUT
from tests.examples.fleet import PROGRAM
from tests.streams.kit import register
from tests.streams.write.saga import World, one_world, tell

IDS = tuple(f"web-{n}" for n in range(1, 5))
ORDER = in_order("r1", IDS)
HOUR = timedelta(hours=1)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = one_world(tmp_path, AGENT_ROLLOUT)
    world.writer.write([register(id_) for id_ in IDS])
    tell(world, PublishAgentRelease(release_id="r1", version="2", digest=PROGRAM, device_ids=IDS, waves=(50, 100)))
    yield world
    world.log.close()


def offered(world: World) -> set[str]:
    """Return the devices that have an offer now."""
    last = {id_: world.types(f"device-{id_}")[-1] for id_ in IDS}
    return {id_ for id_, event in last.items() if event == "device.agent.offered"}


def updated(*ids: str) -> list[Command]:
    return [UpdateDevice(device_id=id_, agent_version="2") for id_ in ids]


def test_next_wave_has_the_offer_when_the_first_one_runs_the_version(world: World) -> None:
    assert offered(world) == set(ORDER[:2])
    tell(world, *updated(*ORDER[:2]))
    world.restart()
    world.tick(HOUR - timedelta(seconds=1))
    assert offered(world) == set()
    world.tick(timedelta(seconds=1))
    assert offered(world) == set(ORDER[2:])
    tell(world, *updated(*ORDER[2:]))
    world.tick(HOUR)
    (*_, last) = world.history("agent_release-r1")
    assert (last.type, last.data) == ("agent_release.rolled_out", {"updated": 4, "failed": 0})
    assert world.tick(HOUR) == 0


def test_release_that_fails_reaches_nobody_else_until_a_person_goes_on(world: World) -> None:
    tell(world, *updated(ORDER[0]))
    world.tick(HOUR)
    assert world.types("agent_release-r1")[-1] == "agent_release.halted"
    assert offered(world) == set()
    assert world.tick(10 * HOUR) == 0
    world.restart()
    tell(world, ResumeAgentRelease(release_id="r1", reason="it was away"))
    assert offered(world) == set(ORDER[1:])
    tell(world, *updated(*ORDER[1:]))
    world.tick(HOUR)
    assert world.types("agent_release-r1")[-2:] == ["agent_release.wave.ended", "agent_release.rolled_out"]
