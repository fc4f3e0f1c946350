"""Whatever commands, ticks, turns of the clock and crashes come in whatever order, a timer fires once, and in time."""

from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.fleet.device import TagDevice
from streams.ports import Batch, LogUnavailable
from tests.streams.kit import register, register_tenant, submission
from tests.streams.write.saga import HOUR, RESTING, World

DEVICES = ["a", "b", "c"]

STEPS = st.one_of(
    st.tuples(st.just("register"), st.sampled_from(DEVICES)),
    st.tuples(st.just("touch"), st.sampled_from(DEVICES)),
    st.tuples(st.just("stay"), st.sampled_from(DEVICES)),
    st.tuples(st.just("turn"), st.integers(-90, 90)),
    st.tuples(st.just("tick"), st.none()),
    st.tuples(st.just("restart"), st.none()),
    st.tuples(st.just("crash"), st.booleans()),
)


class Model:
    """What must happen: when the rest of each device is over, and how often one was."""

    def __init__(self) -> None:
        self.due: dict[str, datetime] = {}
        self.retired: set[str] = set()
        self.registered: set[str] = set()
        self.fired: Counter[str] = Counter()
        self.steps = 0

    def fire(self, now: datetime) -> None:
        for device, due_at in list(self.due.items()):
            if due_at <= now:
                del self.due[device]
                self.fired[device] += 1
                self.retired.add(device)


def _crash(world: World, *, kept: bool) -> None:
    """Lose the process in the middle of a tick, before or after the log has kept what it did."""

    def append(batch: Batch) -> None:
        if kept:
            inner(batch)
        raise LogUnavailable("killed")

    inner, world.log.append = world.log.append, append  # type: ignore[method-assign]
    with suppress(LogUnavailable):
        world.writer.tick()
    world.restart()


def _do(world: World, model: Model, step: str, what: Any) -> None:
    now = world.hands.at
    model.steps += 1
    match step:
        case "register":
            world.writer.write([register(what)])
            if what not in model.registered:
                model.registered.add(what)
                model.due[what] = now + HOUR
        case "touch" | "stay":
            key = "stay" if step == "stay" else "touched"
            world.writer.write([submission(TagDevice(device_id=what, key=key, value=str(model.steps)))])
            if what in model.registered - model.retired:
                model.due.pop(what, None)
                if step == "touch":
                    model.due[what] = now + HOUR
        case "turn":
            world.hands.at += timedelta(minutes=what)
        case "tick":
            world.tick()
            model.fire(now)
        case "restart":
            world.restart()
        case "crash":
            _crash(world, kept=what)
            if what:
                model.fire(now)


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(STEPS, max_size=25))
def test_a_timer_fires_once_and_never_before_it_is_due(steps: list[tuple[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        world, model = World(Path(folder), RESTING), Model()
        world.writer.write([register_tenant("demo")])
        for step, what in steps:
            _do(world, model, step, what)
        world.tick(timedelta(days=1))
        model.fire(world.hands.at)
        assert not model.due
        for device in DEVICES:
            own = world.history(f"resting-{device}")
            fired = [event for event in own if event.type == "timer.fired"]
            assert len(fired) == model.fired[device]
            assert all(event.recorded_at >= event.data["due_at"] for event in fired)
            assert (device in model.retired) is ("device.retired" in world.types(f"device-{device}"))
        assert world.writer.wait_s() == float("inf")
        world.log.close()
