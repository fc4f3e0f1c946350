"""What fails in a process is its own: its cause stays, and the event comes to it again."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.fleet.device import DeviceRegistered, TagDevice
from domain.message import Event
from domain.operations.retry import RetryProcess
from domain.process import Action, Around, Ask, Note, Process, Wait
from schemas.envelope import Topic
from streams.ports import Batch, Reply
from streams.write import processes
from streams.write.retries import MOST_ATTEMPTS
from tests.streams.kit import accepted, register, submission, tag
from tests.streams.write.saga import HOUR, NOON, RESTING, World, device_of, fan_out, new_world, one_world

SECOND = timedelta(seconds=1)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield from new_world(tmp_path, RESTING)


def _raise(*_: Any) -> Any:
    raise ZeroDivisionError


def _bad_timer(*_: Any) -> Sequence[Action]:
    return [Wait("two words", NOON)]


def _foreign_note(*_: Any) -> Sequence[Action]:
    return [Note(DeviceRegistered(hostname="x", **dict.fromkeys(DESCRIPTION)))]


DESCRIPTION = [name for name in DeviceRegistered.__dataclass_fields__ if name != "hostname"]


@pytest.mark.parametrize("react", [_raise, _bad_timer, _foreign_note, lambda *_: 5, lambda *_: ["x"]])
def test_process_that_breaks_leaves_its_cause_alone_and_says_so_in_its_stream(tmp_path: Path, react: Any) -> None:
    world = one_world(tmp_path, replace(RESTING, name="broken", react=react), RESTING)
    replies = world.writer.write([register("web-1"), tag("web-1", "a")])
    assert all(map(accepted, replies))
    assert world.types("device-web-1") == ["device.registered", "device.tagged"]
    assert world.types("resting-web-1") == ["timer.set"]
    assert world.types("broken-web-1") == ["process.failed", "timer.set"] * 2
    failed = world.history("broken-web-1")[0]
    assert failed.data["on"] == "device.registered"
    assert failed.causation_id == world.history("device-web-1")[0].event_id
    assert world.writer.failed == {"broken": 2}


def test_process_that_cannot_tell_whose_an_event_is_is_counted(tmp_path: Path) -> None:
    world = one_world(tmp_path, replace(RESTING, name="lost", route=_raise), RESTING)
    assert accepted(world.writer.write([register("web-1")])[0])
    assert world.types("resting-web-1") == ["timer.set"]
    assert world.writer.failed == {"lost": 1}


def test_timer_of_a_process_whose_state_breaks_fires_once_all_the_same(world: World) -> None:
    world.writer.write([register("web-1"), register("web-2")])
    world._processes = (replace(RESTING, evolve=_raise),)
    world.restart()
    assert world.tick(HOUR) == 2
    assert world.types("resting-web-1") == ["timer.set", "timer.fired", "process.failed", "timer.set"]
    assert [event.data["standing"] for event in world.history("resting-web-1")[1:]] == ["BROKEN"] * 3
    # mended, it goes on with the event that it failed on
    world._processes = (RESTING,)
    world.restart()
    assert world.tick(10 * SECOND) == 2
    assert world.types("device-web-1") == ["device.registered", "device.retired"]


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_event_that_a_process_failed_on_comes_again_until_it_is_done_and_then_no_more(
    tmp_path: Path, *, restarted: bool
) -> None:
    shown: list[tuple[str, datetime, Any, Any]] = []
    is_mended = False

    def react(_state: Any, event: Event, around: Around) -> Sequence[Action]:
        if isinstance(event, DeviceRegistered):
            shown.append((event.hostname, around.now, dict(around.timers), around.command))
            if not is_mended:
                raise ZeroDivisionError
            return [Ask("tag", TagDevice(device_id=around.id, key="seen", value="yes"))]
        return []

    world = one_world(tmp_path, Process("frail", (DeviceRegistered,), device_of, react))
    world.writer.write([register("web-1")])
    for _ in range(5):
        world.tick(10 * SECOND)
    if restarted:
        world.restart()
    # after 0, 10 and 30 s; the next one would be after 70
    assert [(at - NOON).total_seconds() for _, at, _, _ in shown] == [0, 10, 30]
    is_mended = True
    world.tick(20 * SECOND)
    assert [(name, timers) for name, _, timers, _ in shown] == [("web-1.example", {})] * 4
    assert [command is None for *_, command in shown] == [False, True, True, True]
    assert world.types("device-web-1") == ["device.registered", "device.tagged"]
    tagged, asked = world.history("device-web-1")[1], world.history("frail-web-1")[-2]
    assert tagged.command_id == asked.data["command_id"]
    assert tagged.causation_id == asked.causation_id == world.history("device-web-1")[0].event_id
    assert world.tick(1_000 * HOUR) == 0
    assert world.writer.wait_s() == float("inf")


def test_event_of_which_a_process_could_not_tell_whose_it_is_comes_to_its_instance_once_it_can(tmp_path: Path) -> None:
    world = one_world(tmp_path, replace(RESTING, route=_raise))
    world.writer.write([register("web-1")])
    [waiting] = {
        event.stream for event in world.log.read(Topic.EVENTS, 0, after=0, limit=100) if "resting" in event.stream
    }
    assert waiting == f"resting-unrouted-{world.history('device-web-1')[0].event_id}"
    assert world.types(waiting) == ["process.failed", "timer.set"]
    world._processes = (RESTING,)
    world.restart()
    world.tick(10 * SECOND)
    assert world.types(waiting) == ["process.failed", "timer.set", "timer.fired"]
    assert world.types("resting-web-1") == ["timer.set"]


def test_what_a_process_failed_on_is_tried_again_at_once_if_somebody_asks_for_it(tmp_path: Path) -> None:
    world = one_world(tmp_path, replace(RESTING, react=_raise))
    world.writer.write([register("web-1")])
    for _ in range(4):
        world.tick(HOUR)
    world._processes = (RESTING,)
    world.restart()
    [asked] = world.writer.write([submission(RetryProcess(process="resting-web-1"))])
    assert (asked.outcome, world.types("resting-web-1")[-1]) == ("accepted", "timer.set")
    assert world.tick(SECOND) == 1
    # the timer of the process itself, which is what its code sets
    assert world.types("resting-web-1")[-2:] == ["timer.fired", "timer.set"]
    assert world.history("resting-web-1")[-1].data["name"] == "rest"
    [again, other, device] = world.writer.write(
        [submission(RetryProcess(process=id_)) for id_ in ("resting-web-1", "resting-web-2", "device-web-1")]
    )
    assert [reply.refusal and reply.refusal.reason for reply in (again, other, device)] == [
        "process resting-web-1 has nothing to try again",
        "process resting-web-2 is not known; GET /v1/processes lists them",
        "process device-web-1 is not known; GET /v1/processes lists them",
    ]


def test_asking_uses_up_none_of_the_attempts_that_come_by_themselves(tmp_path: Path) -> None:
    world = one_world(tmp_path, replace(RESTING, react=_raise))
    world.writer.write([register("web-1")])
    for _ in range(2 * MOST_ATTEMPTS):
        [asked] = world.writer.write([submission(RetryProcess(process="resting-web-1"))])
        assert accepted(asked)
        # what is due already is not made due again
        world.writer.write([submission(RetryProcess(process="resting-web-1"))])
        assert world.tick(SECOND) == 1
    assert world.writer.wait_s() <= 10
    world._processes = (RESTING,)
    world.restart()
    world.tick(10 * SECOND)
    assert world.history("resting-web-1")[-1].data["name"] == "rest"


def test_event_whose_command_is_needed_is_not_shown_without_it_and_says_so(tmp_path: Path) -> None:
    broken = replace(RESTING, react=_raise, needs_command=(DeviceRegistered,))
    world = one_world(tmp_path, broken)
    world.writer.write([register("web-1")])
    world._processes = (replace(RESTING, needs_command=(DeviceRegistered,)),)
    world.restart()
    world.tick(HOUR)
    assert world.types("resting-web-1")[-2:] == ["timer.fired", "process.failed"]
    assert world.history("resting-web-1")[-1].data["reason"].startswith("the command that gave it is gone")
    assert world.writer.wait_s() == float("inf")


def test_event_that_a_process_never_manages_is_given_up_after_some_days(tmp_path: Path) -> None:
    world = one_world(tmp_path, replace(RESTING, react=_raise))
    world.writer.write([register("web-1")])
    for _ in range(10 * 24):
        world.tick(HOUR)
    assert world.types("resting-web-1").count("process.failed") == MOST_ATTEMPTS
    assert world.types("resting-web-1")[-3:] == ["timer.fired", "process.failed", "process.gave_up"]
    assert world.history("resting-web-1")[-1].recorded_at - NOON > timedelta(days=4)
    assert world.writer.wait_s() == float("inf")


def test_what_was_given_up_is_tried_once_more_whenever_somebody_asks_for_it(tmp_path: Path) -> None:
    world = one_world(tmp_path, replace(RESTING, react=_raise))
    world.writer.write([register("web-1"), tag("web-1", "a")])
    for _ in range(10 * 24):
        world.tick(HOUR)
    gave_up = [event for event in world.history("resting-web-1") if event.type == "process.gave_up"]
    assert [event.data["on"] for event in gave_up] == ["device.registered", "device.tagged"]

    def ask() -> Reply:
        [reply] = world.writer.write([submission(RetryProcess(process="resting-web-1"))])
        return reply

    # not mended yet, each is tried once, and given up again
    assert accepted(ask())
    assert world.history("process_retry-resting-web-1")[-1].data["events"] == 2
    assert world.tick() == 2
    assert world.types("resting-web-1").count("process.gave_up") == 4
    world._processes = (RESTING,)
    world.restart()
    assert accepted(ask())
    assert world.tick() == 2
    # what the process sets itself, when it is shown the first of the two
    assert world.types("resting-web-1")[-3:] == ["timer.fired", "timer.set", "timer.fired"]
    assert world.history("resting-web-1")[-2].data["name"] == "rest"
    refusal = ask().refusal
    assert refusal is not None
    assert refusal.reason == "process resting-web-1 has nothing to try again"


def test_what_makes_the_writer_itself_fail_is_done_without_its_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.writer.write([register(f"web-{n}") for n in range(8)])
    append = world.log.append

    def refuse(batch: Batch) -> None:
        if any(event.type == "process.asked" and event.stream == "resting-web-5" for event in batch.events):
            raise ValueError("too large")
        append(batch)

    monkeypatch.setattr(world.log, "append", refuse)
    assert world.tick(HOUR) == 8
    assert world.types("resting-web-5") == ["timer.set", "timer.fired", "process.failed", "timer.set"]
    assert [world.types(f"device-web-{n}")[-1] == "device.retired" for n in range(8)] == [n != 5 for n in range(8)]


def test_asked_command_that_the_writer_fails_on_is_answered_with_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "MAX_ASKED", 1)
    world = one_world(tmp_path, fan_out(3))
    world.writer.write([register("hub")])
    append = world.log.append

    def refuse(batch: Batch) -> None:
        if any(event.data.get("key") == "k1" for event in batch.events):
            raise ValueError("too large")
        append(batch)

    monkeypatch.setattr(world.log, "append", refuse)
    world.tick()
    assert [event.data["key"] for event in world.history("device-hub")[1:]] == ["k0", "k2", "done"]
    answers = {e.data["step"]: e.data["kind"] for e in world.history("fan_out-hub") if e.type == "process.answered"}
    assert answers == {"tag-0": None, "tag-1": "not_now", "tag-2": None, "done": None}
