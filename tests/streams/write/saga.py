"""A small world for processes: a clock that is turned by hand, and a writer that can be started anew."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from domain.fleet.device import DeviceRegistered, DeviceTagged, RegisterDevice, RetireDevice, TagDevice
from domain.message import Command
from domain.process import Action, Around, Ask, Forget, Process, ProcessAnswered, TimerFired, Wait
from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import Envelope, StreamId, TenantId
from streams.write.writer import Writer
from tests.streams.kit import accepted, register_tenant, submission

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DEMO = TenantId("demo")


class Hands:
    """A clock that stands where it was put."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


class World:
    """An embedded log, and writers on it, one after the other."""

    def __init__(self, folder: Path, *processes: Process) -> None:
        self.hands = Hands()
        self._folder = folder
        self._processes = processes
        self._open()

    def _open(self) -> None:
        self.log = SqliteEventLog(self._folder, self.hands)
        self.writer = Writer(self.log, self.hands, processes=self._processes)

    def restart(self) -> None:
        self.log.close()
        self._open()

    def tick(self, by: timedelta = timedelta()) -> int:
        """Turn the clock and do all that is due; return how many that was."""
        self.hands.at += by
        done = 0
        while self.writer.wait_s() <= 0:
            done += self.writer.tick()
        return done

    def history(self, stream: str, tenant: str = "demo") -> list[Envelope]:
        entries = self.log.read_stream(TenantId(tenant), StreamId(stream), after=0, limit=100_000)
        return [entry for entry in entries if isinstance(entry, Envelope)]

    def types(self, stream: str) -> list[str]:
        return [event.type for event in self.history(stream)]


W = TypeVar("W", bound=World)


def tell(world: World, *commands: Command) -> None:
    """Give commands one after the other, each of which is to be accepted."""
    for command in commands:
        (reply,) = world.writer.write([submission(command)])
        assert accepted(reply), reply


def device_of(_event: Any, envelope: Envelope) -> str:
    return envelope.stream.partition("-")[2]


def _retire_after_an_hour(_state: Any, event: Any, around: Around) -> Sequence[Action]:
    match event:
        case DeviceRegistered():
            return [Wait("rest", around.now + HOUR)]
        case DeviceTagged(key="stay"):
            return [Forget("rest")]
        case DeviceTagged():
            return [Wait("rest", around.now + HOUR)]
        case TimerFired():
            return [Ask("retire", RetireDevice(device_id=around.id))]
        case _:
            return []


RESTING = Process("resting", (DeviceRegistered, DeviceTagged), device_of, _retire_after_an_hour)
"""A device that was not tagged for an hour is retired, unless it was told to stay."""


def fan_out(count: int) -> Process:
    """Return a process that answers the registration of `hub` with the tagging of `count` kinds, and one at the end."""

    def react(_state: Any, event: Any, around: Around) -> Sequence[Action]:
        match event:
            case DeviceRegistered():
                return [Ask(f"tag-{n}", TagDevice(device_id=around.id, key=f"k{n}", value="yes")) for n in range(count)]
            case ProcessAnswered(step=step) if step == f"tag-{count - 1}":
                return [Ask("done", TagDevice(device_id=around.id, key="done", value="yes"))]
            case _:
                return []

    return Process(
        "fan_out", (DeviceRegistered,), lambda _, envelope: "hub" if envelope.stream == "device-hub" else None, react
    )


def compensating() -> Process:
    """Return a process that registers a second device, and retires the first where that is refused."""

    def react(_state: Any, event: Any, around: Around) -> Sequence[Action]:
        match event:
            case DeviceRegistered(hostname=name) if not name.startswith("twin"):
                return [Ask("twin", RegisterDevice(device_id="twin", hostname="twin"))]
            case ProcessAnswered(step="twin") if event.refused:
                return [Ask("undo", RetireDevice(device_id=around.id, reason=event.reason or ""))]
            case _:
                return []

    return Process("compensating", (DeviceRegistered,), device_of, react)


def new_world(folder: Path, *processes: Process, kind: type[W] = World) -> Iterator[W]:  # type: ignore[assignment]
    world = kind(folder, *processes)
    world.writer.write([register_tenant("demo")])
    yield world
    world.log.close()


def one_world(folder: Path, *processes: Process) -> World:
    return next(new_world(folder, *processes))
