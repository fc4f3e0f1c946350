"""The rules for releases of the device agent, and for what a device is offered."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from domain.fleet.device import DEVICE, Device, device_stream, evolve_device
from domain.given import Given
from domain.message import Event, adapter
from domain.operations.agent_release import (
    AGENT_RELEASE,
    AgentReleaseHalted,
    AgentReleasePublished,
    AgentReleaseRolledOut,
    AgentWaveEnded,
    EndAgentWave,
    PublishAgentRelease,
    in_order,
    waves_of,
)
from domain.operations.agent_rollout import AGENT_ROLLOUT, AgentRolloutNoted
from domain.process import Ask, Forget, Note, TimerFired, TimerSet, Wait
from domain.rejection import Kind
from tests.examples.fleet import (
    AGENT_OFFERED,
    AGENT_WITHDRAWN,
    OFFER_AGENT,
    PROGRAM,
    REGISTERED,
    RETIRED,
    UPDATED,
    WITHDRAW_AGENT,
)
from tests.examples.moments import RECORDED_AT
from tests.examples.operations import (
    AGENT_RELEASE_HALTED,
    AGENT_RELEASE_PUBLISHED,
    AGENT_RELEASE_RESUMED,
    AGENT_ROLLOUT_NOTED,
    AGENT_WAVE_ENDED,
    AGENT_WAVE_STARTED,
    END_AGENT_WAVE,
    HALT_AGENT_RELEASE,
    PUBLISH_AGENT_RELEASE,
    RESUME_AGENT_RELEASE,
)
from tests.given_when_then import GIVEN, Rules, Runs

release, device = Rules(AGENT_RELEASE), Rules(DEVICE)

WAVE_S = timedelta(seconds=PUBLISH_AGENT_RELEASE.wait_s)
UPDATES = replace(UPDATED, os_version=None, agent_version="1.5.0")
BEGUN = (AGENT_RELEASE_PUBLISHED, AGENT_WAVE_STARTED)
HALTED = AgentReleaseHalted(reason="1 of 1 devices of wave 1 do not run 1.5.0; more than 10 %", device_ids=("43",))
SECOND = replace(AGENT_WAVE_STARTED, wave=2, device_ids=("42",), offered=2)


def devices(**histories: tuple[Event, ...]) -> Given:
    """Return what is known of devices: `d42` is the device 42."""
    streams: dict[Any, Device | None] = {}
    for name, history in histories.items():
        state: Device | None = None
        for event in history:
            state = evolve_device(state, event)  # type: ignore[arg-type]
        streams[device_stream(name[1:])] = state
    return GIVEN._replace(streams=streams)


BOTH = devices(d42=(REGISTERED,), d43=(REGISTERED,))


def test_release_is_published_and_its_first_wave_begins() -> None:
    assert in_order("agent-1.5", ("42", "43")) == AGENT_RELEASE_PUBLISHED.device_ids
    release.given().when(PUBLISH_AGENT_RELEASE, BOTH).then(*BEGUN)
    again = "release agent-1.5 is known already; take another id"
    release.given(*BEGUN).when(PUBLISH_AGENT_RELEASE, BOTH).then_refused(Kind.CONFLICT, again)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"device_ids": ("42", "42")}, "device_ids names a device more than once"),
        ({"waves": (50,)}, "waves are percentages that grow from one to the next, and the last is 100"),
        ({"waves": (50, 50, 100)}, "waves are percentages that grow from one to the next, and the last is 100"),
    ],
)
def test_release_that_cannot_be_is_refused(change: Mapping[str, Any], reason: str) -> None:
    release.given().when(replace(PUBLISH_AGENT_RELEASE, **change)).then_refused(Kind.INVALID, reason)


def test_devices_of_a_release_are_there() -> None:
    release.given().when(PUBLISH_AGENT_RELEASE, devices(d42=(REGISTERED,))).then_refused(
        Kind.NOT_FOUND, "device 43 is not known; register it first"
    )
    release.given().when(PUBLISH_AGENT_RELEASE, devices(d42=(REGISTERED,), d43=(REGISTERED, RETIRED))).then_refused(
        Kind.NOT_ALLOWED, "device 43 is DECOMMISSIONED"
    )


def test_waves_have_each_device_once_in_an_order_that_follows_from_the_ids() -> None:
    ids = [f"web-{n}" for n in range(7)]
    order = in_order("r1", ids)
    assert sorted(order) == ids
    assert order == in_order("r1", reversed(ids))
    assert order != in_order("r2", ids)
    published = AgentReleasePublished(
        version="2", digest=PROGRAM, device_ids=order, waves=(1, 2, 10, 50, 100), wait_s=60, max_failed_percent=0
    )
    waves = waves_of(published)
    assert [len(wave) for wave in waves] == [1, 3, 3]
    assert tuple(id_ for wave in waves for id_ in wave) == order


def test_wave_whose_devices_run_the_version_is_followed_by_the_next_and_the_last_by_the_end() -> None:
    good = devices(d43=(REGISTERED, AGENT_OFFERED, UPDATES))
    ended = replace(AGENT_WAVE_ENDED, wave_updated=1, wave_failed=0, updated=1, failed_device_ids=())
    release.given(*BEGUN).when(END_AGENT_WAVE, good).then(ended, SECOND)
    all_good = devices(d42=(REGISTERED, UPDATES), d43=(REGISTERED, UPDATES))
    last = EndAgentWave(release_id="agent-1.5", wave=2, device_ids=("43", "42"))
    ended_too = AgentWaveEnded(wave=2, wave_updated=1, wave_failed=0, updated=2, failed_device_ids=())
    release.given(*BEGUN, ended, SECOND).when(last, all_good).then(
        ended_too, AgentReleaseRolledOut(updated=2, failed=0)
    )


def test_wave_with_too_many_failures_halts_the_release() -> None:
    bad = devices(d43=(REGISTERED, AGENT_OFFERED))
    release.given(*BEGUN).when(END_AGENT_WAVE, bad).then(AGENT_WAVE_ENDED, HALTED)
    # as many as it may have are no reason
    lenient = replace(AGENT_RELEASE_PUBLISHED, max_failed_percent=100)
    release.given(lenient, AGENT_WAVE_STARTED).when(END_AGENT_WAVE, bad).then(AGENT_WAVE_ENDED, SECOND)


def test_retired_device_counts_nowhere() -> None:
    gone = devices(d43=(REGISTERED, AGENT_OFFERED, RETIRED))
    none = replace(AGENT_WAVE_ENDED, wave_failed=0, failed_device_ids=())
    release.given(*BEGUN).when(END_AGENT_WAVE, gone).then(none, SECOND)


def test_wave_ends_once_and_not_while_the_release_is_halted() -> None:
    bad = devices(d43=(REGISTERED,))
    release.given(*BEGUN, AGENT_WAVE_ENDED, HALTED).when(END_AGENT_WAVE, bad).then_nothing()
    release.given(*BEGUN, AGENT_RELEASE_HALTED).when(END_AGENT_WAVE, bad).then_nothing()
    release.given(*BEGUN, replace(AGENT_WAVE_ENDED, failed_device_ids=()), SECOND).when(
        END_AGENT_WAVE, bad
    ).then_nothing()


def test_person_halts_and_resumes() -> None:
    release.given(*BEGUN).when(HALT_AGENT_RELEASE).then(AGENT_RELEASE_HALTED)
    release.given(*BEGUN, AGENT_RELEASE_HALTED).when(HALT_AGENT_RELEASE).then_nothing()
    release.given(*BEGUN).when(RESUME_AGENT_RELEASE).then_nothing()
    # its wave had not ended, and begins anew
    release.given(*BEGUN, AGENT_RELEASE_HALTED).when(RESUME_AGENT_RELEASE).then(
        AGENT_RELEASE_RESUMED, AGENT_WAVE_STARTED
    )


def test_release_that_halted_by_itself_goes_on_with_the_next_wave_and_offers_again_what_failed() -> None:
    release.given(*BEGUN, AGENT_WAVE_ENDED, HALTED).when(RESUME_AGENT_RELEASE).then(
        AGENT_RELEASE_RESUMED, replace(SECOND, device_ids=("42", "43"))
    )
    over = AgentWaveEnded(wave=2, wave_updated=0, wave_failed=1, updated=0, failed_device_ids=("43", "42"))
    after = (*BEGUN, AGENT_WAVE_ENDED, HALTED, AGENT_RELEASE_RESUMED, SECOND, over, HALTED)
    release.given(*after).when(RESUME_AGENT_RELEASE).then(
        AGENT_RELEASE_RESUMED, AgentReleaseRolledOut(updated=0, failed=2)
    )


def test_release_that_is_rolled_out_is_neither_halted_nor_resumed() -> None:
    done = release.given(*BEGUN, AgentReleaseRolledOut(updated=1, failed=0))
    for command in (HALT_AGENT_RELEASE, RESUME_AGENT_RELEASE):
        done.when(command).then_refused(Kind.NOT_ALLOWED, "release agent-1.5 is rolled out; publish another one")


# --- what a device is offered


def test_device_is_offered_a_version_once_and_a_retired_one_none() -> None:
    device.given(REGISTERED).when(OFFER_AGENT).then(AGENT_OFFERED)
    device.given(REGISTERED, AGENT_OFFERED).when(OFFER_AGENT).then_nothing()
    device.given(REGISTERED, RETIRED).when(OFFER_AGENT).then_refused(Kind.NOT_ALLOWED, "device 42 is DECOMMISSIONED")


def test_offer_is_taken_back_from_a_device_that_did_not_take_it() -> None:
    device.given(REGISTERED, AGENT_OFFERED).when(WITHDRAW_AGENT).then(AGENT_WITHDRAWN)
    device.given(REGISTERED, AGENT_OFFERED, UPDATES).when(WITHDRAW_AGENT).then_nothing()
    device.given(REGISTERED).when(WITHDRAW_AGENT).then_nothing()
    of_another = replace(AGENT_OFFERED, release_id="agent-1.6")
    device.given(REGISTERED, AGENT_OFFERED, of_another).when(WITHDRAW_AGENT).then_nothing()
    device.given(REGISTERED, AGENT_OFFERED, AGENT_WITHDRAWN).when(OFFER_AGENT).then(AGENT_OFFERED)


# --- the process

rollout = Runs(AGENT_ROLLOUT, "agent-1.5")
TIMER = TimerSet(
    name="wave", due_at=AGENT_WAVE_STARTED.ends_at, standing="WAITING", next_timer="wave", next_due_at=RECORDED_AT
)


def test_devices_of_a_wave_are_offered_the_version_and_the_wave_ends_in_time() -> None:
    offer = replace(OFFER_AGENT, device_id="43")
    rollout.when(AGENT_WAVE_STARTED).then(
        Note(AGENT_ROLLOUT_NOTED), Wait("wave", RECORDED_AT + WAVE_S), Ask("offer:43", offer)
    )
    rollout.given(AGENT_ROLLOUT_NOTED).when(SECOND).then(
        Note(AgentRolloutNoted(wave=2, device_ids=("43", "42"))),
        Wait("wave", RECORDED_AT + WAVE_S),
        Ask("offer:42", replace(OFFER_AGENT, device_id="42")),
    )
    fired = TimerFired(name="wave", due_at=RECORDED_AT, standing="IDLE", next_timer=None, next_due_at=None)
    rollout.given(AGENT_ROLLOUT_NOTED, TIMER).when(fired).then(Ask("end", END_AGENT_WAVE))


def test_halt_takes_the_offer_back() -> None:
    rollout.given(AGENT_ROLLOUT_NOTED, TIMER).when(AGENT_RELEASE_HALTED).then(
        Forget("wave"), Ask("withdraw:43", replace(WITHDRAW_AGENT, device_id="43"))
    )


def test_what_the_code_failed_on_is_left_alone_once_the_release_has_gone_on() -> None:
    state = None
    for event in (AGENT_RELEASE_PUBLISHED, AGENT_WAVE_STARTED):
        state = AGENT_RELEASE.evolve(state, event)
    assert AGENT_ROLLOUT.still(state, AGENT_WAVE_STARTED)
    assert not AGENT_ROLLOUT.still(state, AGENT_RELEASE_HALTED)
    assert not AGENT_ROLLOUT.still(AGENT_RELEASE.evolve(state, SECOND), AGENT_WAVE_STARTED)
    halted = AGENT_RELEASE.evolve(state, AGENT_RELEASE_HALTED)
    assert AGENT_ROLLOUT.still(halted, AGENT_RELEASE_HALTED)
    assert not AGENT_ROLLOUT.still(halted, AGENT_WAVE_STARTED)


@pytest.mark.parametrize("version", ["", " ", "1.5.0 ", "1\n5"])
def test_version_that_no_device_can_report_is_no_release(version: str) -> None:
    with pytest.raises(ValidationError):
        adapter(PublishAgentRelease).validate_python({**asdict(PUBLISH_AGENT_RELEASE), "version": version})
