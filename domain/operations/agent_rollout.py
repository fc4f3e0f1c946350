"""This process offers a release of the device agent to the devices of each wave, and sees when a wave is over."""

from collections.abc import Sequence
from typing import ClassVar

from domain.fleet.device import OfferAgent, WithdrawAgent
from domain.message import Event, filled, known, value
from domain.operations.agent_release import (
    AgentRelease,
    AgentReleaseHalted,
    AgentWaveStarted,
    EndAgentWave,
    ReleaseStatus,
)
from domain.operations.processes import later
from domain.process import Action, Around, Ask, Forget, Note, Process, ProcessAnswered, TimerFired, Wait, same_id

_WAVE, _END = "wave", "end"


@value
class AgentRolloutNoted(Event):
    """Shape: `device_ids` are all that have had the offer so far."""

    TYPE: ClassVar = "agent_rollout.noted"
    wave: int
    device_ids: tuple[str, ...]


def evolve_rollout(state: AgentRolloutNoted | None, event: Event) -> AgentRolloutNoted | None:
    return event if isinstance(event, AgentRolloutNoted) else state


def react_rollout(
    state: AgentRolloutNoted | None,
    event: AgentWaveStarted | AgentReleaseHalted | TimerFired | ProcessAnswered,
    around: Around,
) -> Sequence[Action]:
    match event:
        case AgentWaveStarted():
            before = () if state is None else state.device_ids
            noted = AgentRolloutNoted(wave=event.wave, device_ids=tuple(dict.fromkeys((*before, *event.device_ids))))
            return [Note(noted), Wait(_WAVE, event.ends_at), *(_offer(id_, event, around) for id_ in event.device_ids)]
        case AgentReleaseHalted():
            withdrawn = (
                Ask(f"withdraw:{id_}", WithdrawAgent(device_id=id_, release_id=around.id)) for id_ in event.device_ids
            )
            return [Forget(_WAVE), *withdrawn]
        case TimerFired():
            return [Ask(_END, filled(EndAgentWave, known(state), release_id=around.id))]
        case ProcessAnswered():
            # a device cannot be read now, or the tenant is suspended; one that took no offer has failed in the end
            is_stuck = event.refused and event.step == _END
            return [Wait(_WAVE, around.now + later(around.attempts[_END]))] if is_stuck else []


def _offer(device_id: str, event: AgentWaveStarted, around: Around) -> Ask:
    offer = OfferAgent(device_id=device_id, release_id=around.id, version=event.version, digest=event.digest)
    return Ask(f"offer:{device_id}", offer)


def _still(release: AgentRelease, event: AgentWaveStarted | AgentReleaseHalted) -> bool:
    if isinstance(event, AgentReleaseHalted):
        return release.status is ReleaseStatus.HALTED
    return release.status is ReleaseStatus.ROLLING_OUT and release.wave == event.wave and not release.ended


AGENT_ROLLOUT = Process(
    name="agent_rollout",
    listens=(AgentWaveStarted, AgentReleaseHalted),
    route=same_id,
    events=(AgentRolloutNoted,),
    evolve=evolve_rollout,
    react=react_rollout,
    still=_still,
)
