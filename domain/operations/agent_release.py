"""These are the commands, the events, the state and the rules of a release of the device agent, offered in waves."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from itertools import pairwise
from typing import Annotated, ClassVar, assert_never

from pydantic import Field, StringConstraints

from domain.fleet.device import RETIRED, Device, ProgramDigest, device_stream
from domain.given import Given
from domain.message import Command, Decider, Event, classes_of, filled, known, value
from domain.rejection import conflict, invalid, not_allowed, not_found
from schemas.envelope import Actor, StreamId
from schemas.values import Id, Text

DeviceIds = Annotated[tuple[Id, ...], Field(min_length=1, max_length=1_000)]

Version = Annotated[str, StringConstraints(max_length=200, pattern=r"^[!-~](?:[ -~]*[!-~])?$")]
"""As the devices report it."""

Percent = Annotated[int, Field(strict=True, ge=1, le=100)]

# --- commands


@value
class _OfRelease(Command):
    release_id: Id

    @property
    def stream(self) -> StreamId:
        return StreamId(f"agent_release-{self.release_id}")


@value
class PublishAgentRelease(_OfRelease):
    """Offer a version of the device agent to these devices, wave by wave.

    Shape: `digest` is the SHA-256 of the program. `waves` say how many percent of the devices have the offer after
    each, the last one 100; which devices come first follows from the ids alone. A wave ends after `wait_s`. Devices of
    it that do not run the version by then have failed, and more than `max_failed_percent` of them halt the release.
    """

    version: Version
    digest: ProgramDigest
    device_ids: DeviceIds
    waves: Annotated[tuple[Percent, ...], Field(min_length=1, max_length=20)] = (10, 50, 100)
    wait_s: Annotated[int, Field(strict=True, ge=60, le=30 * 86_400)] = 3_600
    max_failed_percent: Annotated[int, Field(strict=True, ge=0, le=100)] = 10


@value
class HaltAgentRelease(_OfRelease):
    """Begin no further wave, and take the offer back from the devices that do not run the version yet."""

    reason: Text = ""


@value
class ResumeAgentRelease(_OfRelease):
    """Go on after a halt: with the next wave, or with the same one where that had not ended.

    Shape: the devices that failed so far get the offer once more, and do not count in this wave.
    """

    reason: Text = ""


@value
class EndAgentWave(_OfRelease):
    """See which devices run the version; a process sends it when the wave is over.

    Shape: `device_ids` are all that have had the offer so far.
    """

    IS_OURS: ClassVar = True
    wave: Annotated[int, Field(strict=True)]
    device_ids: tuple[Id, ...]


ReleaseCommand = PublishAgentRelease | HaltAgentRelease | ResumeAgentRelease | EndAgentWave

# --- events


@value
class AgentReleasePublished(Event):
    """Shape: `device_ids` are in the order in which they get the offer."""

    TYPE: ClassVar = "agent_release.published"
    version: str
    digest: str
    device_ids: tuple[str, ...]
    waves: tuple[int, ...]
    wait_s: int
    max_failed_percent: int


@value
class AgentWaveStarted(Event):
    """Shape: `device_ids` get the offer now; `offered` counts all that have had it then; `of` counts the waves."""

    TYPE: ClassVar = "agent_release.wave.started"
    wave: int
    of: int
    version: str
    digest: str
    device_ids: tuple[str, ...]
    offered: int
    ends_at: datetime


@value
class AgentWaveEnded(Event):
    """Shape: `wave_updated` and `wave_failed` count devices of this wave, the others those of all waves so far.

    A device that was retired counts nowhere.
    """

    TYPE: ClassVar = "agent_release.wave.ended"
    wave: int
    wave_updated: int
    wave_failed: int
    updated: int
    failed_device_ids: tuple[str, ...]


@value
class AgentReleaseHalted(Event):
    """Shape: from `device_ids` the offer is taken back, where they do not run the version."""

    TYPE: ClassVar = "agent_release.halted"
    reason: str
    device_ids: tuple[str, ...]


@value
class AgentReleaseResumed(Event):
    TYPE: ClassVar = "agent_release.resumed"
    reason: str


@value
class AgentReleaseRolledOut(Event):
    """All waves are over. Shape: the devices that failed keep the offer."""

    TYPE: ClassVar = "agent_release.rolled_out"
    updated: int
    failed: int


ReleaseEvent = (
    AgentReleasePublished
    | AgentWaveStarted
    | AgentWaveEnded
    | AgentReleaseHalted
    | AgentReleaseResumed
    | AgentReleaseRolledOut
)

# --- state


class ReleaseStatus(StrEnum):
    ROLLING_OUT = "ROLLING_OUT"
    HALTED = "HALTED"
    ROLLED_OUT = "ROLLED_OUT"


@value
class AgentRelease:
    """Shape: `wave` is the last one that began, and `ended` says that it is over. `failed` is as of the last end."""

    published: AgentReleasePublished
    status: ReleaseStatus = ReleaseStatus.ROLLING_OUT
    wave: int = 0
    ended: bool = True
    updated: int = 0
    failed: tuple[str, ...] = ()


def evolve_release(state: AgentRelease | None, event: ReleaseEvent) -> AgentRelease:
    if isinstance(event, AgentReleasePublished):
        return AgentRelease(published=event)
    release = known(state)
    match event:
        case AgentWaveStarted():
            return replace(release, wave=event.wave, ended=False)
        case AgentWaveEnded():
            return replace(release, ended=True, updated=event.updated, failed=event.failed_device_ids)
        case AgentReleaseHalted():
            return replace(release, status=ReleaseStatus.HALTED)
        case AgentReleaseResumed():
            return replace(release, status=ReleaseStatus.ROLLING_OUT)
        case AgentReleaseRolledOut():
            return replace(release, status=ReleaseStatus.ROLLED_OUT)
        case _:
            assert_never(event)


def in_order(release_id: str, device_ids: Iterable[str]) -> tuple[str, ...]:
    """Return the devices as they get the offer: mixed, so that a wave is no one place's, and always the same."""
    return tuple(sorted(device_ids, key=lambda id_: (sha256(f"{release_id}/{id_}".encode()).digest(), id_)))


def waves_of(published: AgentReleasePublished) -> Sequence[tuple[str, ...]]:
    """Return the devices of each wave; one of a few devices has no room for small percentages, and fewer waves."""
    ids = published.device_ids
    # rounded up: a percentage of some devices is at least one device
    ends = [-(-len(ids) * percent // 100) for percent in published.waves]
    return [ids[begin:end] for begin, end in pairwise([0, *ends]) if end > begin]


# --- rules


def release_reads(command: ReleaseCommand, _actor: Actor) -> tuple[StreamId, ...]:
    if isinstance(command, PublishAgentRelease | EndAgentWave):
        return tuple(map(device_stream, command.device_ids))
    return ()


def decide_release(command: ReleaseCommand, state: AgentRelease | None, given: Given) -> tuple[ReleaseEvent, ...]:
    if isinstance(command, PublishAgentRelease):
        if state is not None:
            raise conflict(f"release {command.release_id} is known already; take another id")
        return _publish(command, given)
    if state is None:
        raise not_found(f"release {command.release_id} is not known")
    match command:
        case HaltAgentRelease():
            return _halt(command, state)
        case ResumeAgentRelease():
            return _resume(command, state, given)
        case EndAgentWave():
            is_open = state.status is ReleaseStatus.ROLLING_OUT and state.wave == command.wave and not state.ended
            return _end_wave(command, state, given) if is_open else ()
        case _:
            assert_never(command)


def _publish(command: PublishAgentRelease, given: Given) -> tuple[ReleaseEvent, ...]:
    if len(set(command.device_ids)) < len(command.device_ids):
        raise invalid("device_ids names a device more than once")
    if command.waves[-1] != 100 or any(first >= second for first, second in pairwise(command.waves)):  # noqa: PLR2004
        raise invalid("waves are percentages that grow from one to the next, and the last is 100")
    for device_id in command.device_ids:
        device: Device | None = given.streams.get(device_stream(device_id))
        if device is None:
            raise not_found(f"device {device_id} is not known; register it first")
        if device.status in RETIRED:
            raise not_allowed(f"device {device_id} is {device.status}")
    ids = in_order(command.release_id, command.device_ids)
    published = filled(AgentReleasePublished, command, device_ids=ids)
    return (published, _wave(evolve_release(None, published), 1, given.now))


def _wave(state: AgentRelease, number: int, now: datetime, again: Sequence[str] = ()) -> AgentWaveStarted:
    waves = waves_of(state.published)
    return filled(
        AgentWaveStarted,
        state.published,
        wave=number,
        of=len(waves),
        device_ids=(*waves[number - 1], *again),
        offered=sum(map(len, waves[:number])),
        ends_at=now + timedelta(seconds=state.published.wait_s),
    )


def _halt(command: HaltAgentRelease, state: AgentRelease) -> tuple[ReleaseEvent, ...]:
    if state.status is ReleaseStatus.ROLLED_OUT:
        raise not_allowed(f"release {command.release_id} is rolled out; publish another one")
    if state.status is ReleaseStatus.HALTED:
        return ()
    open_ = waves_of(state.published)[state.wave - 1]
    return (AgentReleaseHalted(reason=command.reason, device_ids=(*open_, *state.failed)),)


def _resume(command: ResumeAgentRelease, state: AgentRelease, given: Given) -> tuple[ReleaseEvent, ...]:
    if state.status is ReleaseStatus.ROLLED_OUT:
        raise not_allowed(f"release {command.release_id} is rolled out; publish another one")
    if state.status is ReleaseStatus.ROLLING_OUT:
        return ()
    return (AgentReleaseResumed(reason=command.reason), _next(state, given.now, again=state.failed))


def _next(state: AgentRelease, now: datetime, again: Sequence[str] = ()) -> AgentWaveStarted | AgentReleaseRolledOut:
    number = state.wave + 1 if state.ended else state.wave
    if number > len(waves_of(state.published)):
        return AgentReleaseRolledOut(updated=state.updated, failed=len(state.failed))
    return _wave(state, number, now, again)


def _end_wave(command: EndAgentWave, state: AgentRelease, given: Given) -> tuple[ReleaseEvent, ...]:
    version = state.published.version
    devices: dict[str, Device] = {
        id_: device
        for id_ in command.device_ids
        if (device := given.streams.get(device_stream(id_))) is not None and device.status not in RETIRED
    }
    failed = tuple(id_ for id_, device in devices.items() if not device.runs(version))
    of_wave = [devices[id_] for id_ in waves_of(state.published)[state.wave - 1] if id_ in devices]
    wave_failed = sum(not device.runs(version) for device in of_wave)
    ended = AgentWaveEnded(
        wave=state.wave,
        wave_updated=len(of_wave) - wave_failed,
        wave_failed=wave_failed,
        updated=len(devices) - len(failed),
        failed_device_ids=failed,
    )
    most = state.published.max_failed_percent
    if wave_failed * 100 <= most * len(of_wave):
        return (ended, _next(evolve_release(state, ended), given.now))
    reason = f"{wave_failed} of {len(of_wave)} devices of wave {state.wave} do not run {version}; more than {most} %"
    return (ended, AgentReleaseHalted(reason=reason, device_ids=failed))


AGENT_RELEASE = Decider(
    category="agent_release",
    commands=classes_of(ReleaseCommand),
    events=classes_of(ReleaseEvent),
    decide=decide_release,
    evolve=evolve_release,
    reads=release_reads,
)
