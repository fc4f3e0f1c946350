"""What processes answer is recorded with its cause, once, and what fails in one is its own."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.fleet.device import DeviceRegistered, DeviceTagged, TagDevice
from domain.message import Event
from domain.process import Action, Around, Ask, Forget, Process, TimerFired, Wait
from schemas.envelope import ActorType, Topic
from streams.ports import Batch, LogUnavailable
from streams.write import processes, writer
from streams.write.processes import MAX_ASKED
from tests.streams.kit import accepted, register, retire, tag
from tests.streams.write.saga import HOUR, NOON, RESTING, World, compensating, device_of, fan_out, new_world, one_world

SECOND = timedelta(seconds=1)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield from new_world(tmp_path, RESTING)


# --- timers


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_timer_fires_once_and_not_before_it_is_due(world: World, *, restarted: bool) -> None:
    world.writer.write([register("web-1")])
    assert world.tick(HOUR - SECOND) == 0
    if restarted:
        world.restart()
    assert world.writer.wait_s() == 1
    assert world.tick(SECOND) == 1
    if restarted:
        world.restart()
    assert world.tick(24 * HOUR) == 0
    assert world.types("resting-web-1") == ["timer.set", "timer.fired", "process.asked", "process.answered"]
    assert world.types("device-web-1") == ["device.registered", "device.retired"]


def test_what_a_timer_leads_to_names_its_cause(world: World) -> None:
    world.writer.write([register("web-1")])
    world.tick(HOUR)
    _, fired, asked, answered = world.history("resting-web-1")
    registered, retired = world.history("device-web-1")
    assert world.history("resting-web-1")[0].causation_id == registered.event_id
    assert asked.causation_id == retired.causation_id == fired.event_id
    assert answered.causation_id == retired.command_id == asked.data["command_id"]
    assert retired.command_id.startswith("system ")
    assert (retired.actor.type, retired.actor.id) == (ActorType.SYSTEM, "resting")
    assert fired.correlation_id == asked.correlation_id == retired.correlation_id == answered.correlation_id
    assert (fired.data["name"], fired.data["due_at"]) == ("rest", NOON + HOUR)
    assert (answered.data["outcome"], answered.data["version"]) == ("accepted", 2)


def test_timer_that_is_set_again_replaces_the_first_and_one_taken_back_does_not_fire(world: World) -> None:
    world.writer.write([register("web-1"), register("web-2")])
    world.hands.at += HOUR / 2
    world.writer.write([tag("web-1", "a"), _stay("web-2")])
    assert world.tick(HOUR / 2) == 0
    assert world.tick(HOUR / 2) == 1
    assert world.types("device-web-1")[-1] == "device.retired"
    assert world.types("device-web-2")[-1] == "device.tagged"
    assert world.types("resting-web-2") == ["timer.set", "timer.forgotten"]
    assert world.writer.wait_s() == float("inf")


def _stay(device: str) -> Any:
    return tag(device, "x")._replace(command=TagDevice(device_id=device, key="stay", value="yes"))


def test_how_an_instance_stands_is_in_its_events(world: World) -> None:
    world.writer.write([register("web-1")])
    world.tick(HOUR)
    stands = [(e.data["standing"], e.data["next_timer"]) for e in world.history("resting-web-1")]
    assert stands == [("WAITING", "rest"), ("IDLE", None), ("ASKING", None), ("IDLE", None)]


def test_clock_that_goes_back_delays_a_timer_and_one_that_jumps_ahead_fires_it_once(world: World) -> None:
    world.writer.write([register("web-1")])
    assert world.tick(-5 * HOUR) == 0
    assert world.tick(100 * HOUR) == 1
    assert world.tick(-100 * HOUR) == 0
    assert world.types("device-web-1")[-1] == "device.retired"


def test_failed_append_of_a_tick_leaves_the_timer_due(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.writer.write([register("web-1")])
    world.hands.at += HOUR
    with monkeypatch.context() as patch:
        patch.setattr(world.log, "append", _fails)
        with pytest.raises(LogUnavailable):
            world.writer.tick()
    assert world.tick() == 1
    assert world.types("resting-web-1").count("timer.fired") == 1


def _fails(_batch: Batch) -> None:
    raise LogUnavailable("no space")


def test_many_timers_that_are_due_at_once_fire_in_bounded_bites_in_their_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.writer.write([register(f"web-{n:03}") for n in range(300)])
    monkeypatch.setattr(writer, "MAX_DUE", 70)
    world.restart()
    world.hands.at += HOUR
    bites = [world.writer.tick() for _ in range(6)]
    assert bites == [70, 70, 70, 70, 20, 0]
    fired = [e.stream for e in world.log.read(Topic.EVENTS, 0, after=0, limit=9_999) if e.type == "timer.fired"]
    assert fired == [f"resting-web-{n:03}" for n in range(300)]


def test_timer_of_a_process_that_is_gone_fires_without_it(world: World, tmp_path: Path) -> None:
    world.writer.write([register("web-1")])
    world._processes = ()
    world.restart()
    assert world.tick(HOUR) == 1
    assert world.types("resting-web-1") == ["timer.set", "timer.fired"]
    assert world.history("resting-web-1")[-1].data["standing"] == "BROKEN"


def _two_timers(_state: Any, event: Event, around: Around) -> Sequence[Action]:
    match event:
        case DeviceRegistered():
            return [Wait(name, NOON + HOUR) for name in ("first", "second", "third")]
        case TimerFired(name="first"):
            return [Forget("second"), Wait("third", around.now + HOUR)]
        case _:
            return []


def test_timer_that_another_one_takes_back_or_sets_anew_does_not_fire_with_it(tmp_path: Path) -> None:
    world = one_world(tmp_path, replace(RESTING, name="twins", react=_two_timers))
    world.writer.write([register("web-1")])
    world.tick(HOUR)
    fired = [event.data["name"] for event in world.history("twins-web-1") if event.type == "timer.fired"]
    assert fired == ["first"]
    world.tick(HOUR - SECOND)
    world.tick(SECOND)
    fired = [event.data["name"] for event in world.history("twins-web-1") if event.type == "timer.fired"]
    assert fired == ["first", "third"]
    assert world.writer.wait_s() == float("inf")


# --- answers


def test_refusal_is_an_answer_that_the_process_compensates(tmp_path: Path) -> None:
    world = one_world(tmp_path, compensating())
    world.writer.write([register("first"), register("second")])
    assert world.types("device-first") == ["device.registered"]
    assert world.types("device-twin") == ["device.registered"]
    assert world.types("device-second") == ["device.registered", "device.retired"]
    _, answered, undo, done = world.history("compensating-second")
    assert (answered.data["kind"], answered.data["reason"]) == ("conflict", "device twin is registered already")
    assert (undo.data["step"], done.data["outcome"]) == ("undo", "accepted")


def test_repeat_of_a_command_asks_nothing_again(world: World) -> None:
    world.writer.write([register("web-1", id_="once")])
    end = world.log.end(Topic.EVENTS, 0)
    for _ in range(2):
        world.writer.forget()
        [again] = world.writer.write([register("web-1", id_="once")])
        assert again.repeated
    assert world.log.end(Topic.EVENTS, 0) == end


def test_the_processes_answer_a_command_before_the_next_one_of_its_batch(tmp_path: Path) -> None:
    world = one_world(tmp_path, compensating())
    _, taken = world.writer.write([register("first"), register("twin")])
    assert not accepted(taken)


# --- the budget


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_what_is_asked_beyond_the_budget_goes_on_in_the_next_turns(tmp_path: Path, *, restarted: bool) -> None:
    count = 2 * MAX_ASKED + 50
    world = one_world(tmp_path, fan_out(count))
    world.writer.write([register("hub")])
    assert len(world.types("device-hub")) == 1 + MAX_ASKED
    if restarted:
        world.restart()
    while world.writer.wait_s() <= 0:
        world.writer.tick()
        if restarted:
            world.restart()
    tags = [event.data["key"] for event in world.history("device-hub")[1:]]
    assert tags == [*(f"k{n}" for n in range(count)), "done"]
    asked = [event for event in world.history("fan_out-hub") if event.type == "process.asked"]
    assert [event.data["message"] is None for event in asked] == [True] * MAX_ASKED + [False] * (count - 300) + [True]
    assert len({event.correlation_id for event in [*asked, *world.history("device-hub")]}) == 1


def test_the_batch_has_a_budget_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MAX_ASKED_IN_BATCH", 10)
    world = one_world(tmp_path, replace(fan_out(8), route=device_of))
    world.writer.write([register(f"web-{n}") for n in range(3)])
    assert sum(len(world.types(f"device-web-{n}")) for n in range(3)) == 3 + 10
    world.tick()
    assert sum(len(world.types(f"device-web-{n}")) for n in range(3)) == 3 + 3 * 9


def test_loop_of_a_process_with_itself_is_many_small_turns_and_commands_go_on(tmp_path: Path) -> None:
    def again(_state: Any, _event: Event, around: Around) -> Sequence[Action]:
        n = around.attempts.get("turn", 0)
        return [Ask("turn", TagDevice(device_id=around.id, key="turn", value=str(n)))]

    world = one_world(tmp_path, Process("loop", (DeviceRegistered,), device_of, again))
    world.writer.write([register("web-1")])
    assert len(world.types("device-web-1")) == 1 + MAX_ASKED
    assert world.writer.tick() == 1
    assert accepted(world.writer.write([tag("web-1", "a")])[0])
    # each turn decides what was left over, and then as many as the budget allows
    assert len(world.types("device-web-1")) == 1 + MAX_ASKED + 1 + MAX_ASKED + 1


def test_command_whose_events_no_process_listens_to_loads_no_stream_of_a_process(world: World) -> None:
    world.writer.write([register("web-1")])
    asked: list[Any] = []
    read = world.log.read_streams
    world.log.read_streams = lambda keys: (asked.extend(keys), read(keys))[1]  # type: ignore[method-assign, func-returns-value]
    world.writer.forget()
    world.writer.write([retire("web-1")])
    assert not [stream for _, stream in asked if stream.startswith("resting")]


def test_event_that_begins_no_instance_is_shown_to_one_that_is_there_alone(tmp_path: Path) -> None:
    shown: list[str] = []

    def listen(_state: None, event: Event, around: Around) -> Sequence[Action]:
        shown.append(f"{event.TYPE} of {around.stream} at {around.position}")
        return [Wait("rest", NOON + HOUR)]

    listens = (DeviceRegistered, DeviceTagged)
    world = one_world(tmp_path, Process("shy", listens, device_of, listen, begun_by=(DeviceTagged,)))
    world.writer.write([register("web-1"), tag("web-1", "a"), tag("web-1", "b")])
    first = world.history("device-web-1")[1].position
    assert shown == [f"device.tagged of device-web-1 at {first}", f"device.tagged of device-web-1 at {first + 2}"]
    world.log.close()
