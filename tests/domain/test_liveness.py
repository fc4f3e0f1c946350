"""A device that is ONLINE and silent is told to be OFFLINE, and one that is back to be ONLINE."""

from datetime import datetime, timedelta

import pytest

from domain.fleet.device import ChangeDeviceStatus, DeviceEvent, DeviceStatus, DeviceStatusChanged
from domain.fleet.liveness import LIVENESS, Life, Listening, after_event, change_of, heard, missed_at
from schemas.envelope import Actor, ActorType
from tests.examples import envelope_of
from tests.examples.fleet import REGISTERED, RETIRED, STATUS_CHANGED, TAGGED

PERSON = Actor(ActorType.USER, "ann")
NOON = datetime.fromisoformat("2026-01-31T12:00:00Z")
LONG_AGO = NOON - timedelta(days=1)
OFFLINE = DeviceStatusChanged(from_status="ONLINE", to_status="OFFLINE", reason="")
MAINTENANCE = DeviceStatusChanged(from_status="ONLINE", to_status="MAINTENANCE", reason="")


def at(second: float) -> datetime:
    return NOON + timedelta(seconds=second)


def given(*events: tuple[DeviceEvent, Actor], facts: tuple[float, ...] = ()) -> Life | None:
    """Return what is known after events that were recorded at noon, and facts so many seconds later."""
    life: Life | None = None
    for version, (event, actor) in enumerate(events, 1):
        envelope = envelope_of(event)._replace(version=version, actor=actor, recorded_at=NOON, happened_at=NOON)
        life = after_event(life, event, envelope)
    for second in facts:
        if life is not None:
            life = heard(life, at(second))
    return life


def told(life: Life | None, second: float, *, began_at: datetime = LONG_AGO) -> str | None:
    """Return the status that a device is to have, if nothing more is heard of it up to so many seconds after noon."""
    assert life is not None
    command = change_of("42", life, Listening(began_at), at(second))
    if command is None:
        return None
    assert isinstance(command, ChangeDeviceStatus)
    return command.status.value


BORN = ((REGISTERED, PERSON), (STATUS_CHANGED, PERSON))


def test_device_that_nothing_is_heard_of_for_130_s_is_missed() -> None:
    assert told(given(*BORN), 129.9) is None
    assert told(given(*BORN), 130) == "OFFLINE"


def test_every_fact_is_a_sign_and_an_older_one_takes_nothing_back() -> None:
    life = given(*BORN, facts=(100, 50))
    assert told(life, 229) is None
    assert told(life, 230) == "OFFLINE"


def test_who_listens_for_less_than_130_s_misses_nobody() -> None:
    assert told(given(*BORN), 1_000, began_at=at(900)) is None
    assert told(given(*BORN), 1_030, began_at=at(900)) == "OFFLINE"


def test_missed_device_that_is_heard_of_again_is_back() -> None:
    missed = (*BORN, (OFFLINE, LIVENESS))
    assert told(given(*missed), 5_000) is None
    assert told(given(*missed, facts=(0,)), 5_000) is None
    assert told(given(*missed, facts=(1,)), 5_000) == "ONLINE"


@pytest.mark.parametrize(
    "events",
    [
        ((REGISTERED, PERSON),),
        (*BORN, (OFFLINE, PERSON)),
        (*BORN, (MAINTENANCE, PERSON)),
        (*BORN, (RETIRED, PERSON)),
        (*BORN, (OFFLINE, LIVENESS), (MAINTENANCE, PERSON)),
    ],
)
def test_status_that_a_person_gave_other_than_online_stays(events: tuple[tuple[DeviceEvent, Actor], ...]) -> None:
    assert given(*events) is None


def test_version_is_that_of_the_devices_last_event() -> None:
    life = given(*BORN, (TAGGED, PERSON))
    assert life is not None
    assert life.version == 3
    assert missed_at(life, Listening(LONG_AGO)) == at(130)


def test_silence_is_as_long_as_somebody_says() -> None:
    life = given(*BORN)
    assert life is not None
    assert missed_at(life, Listening(LONG_AGO, timedelta(minutes=10))) == at(600)


def test_reason_says_what_was_seen() -> None:
    life = given(*BORN)
    assert life is not None
    assert change_of("42", life, Listening(LONG_AGO), at(130)) == ChangeDeviceStatus(
        device_id="42", status=DeviceStatus.OFFLINE, reason="nothing was heard of it for 130 s"
    )
