"""What the history checker says of logs that are not as they must be."""

from datetime import timedelta
from typing import Any

import pytest

from domain.identity.user import InvitationExpired, UserInvited, UserJoined
from domain.message import Event
from domain.process import ProcessAnswered, ProcessAsked, TimerFired, TimerSet
from schemas.envelope import Envelope, StreamId, TenantId
from tests.chaos.history import History, check
from tests.chaos.invitations import Ended, Invited, ends_of, over
from tests.chaos.keys import NEVER, used_again
from tests.examples import envelope_of
from tests.examples.fleet import TAGGED
from tests.examples.moments import HAPPENED_AT

ANN = [Invited("ann", None)]
DUE = HAPPENED_AT
_OPEN: Any = {"standing": "IDLE", "next_timer": None, "next_due_at": None}
SET = TimerSet(**_OPEN, name="expiry", due_at=DUE)
FIRED = TimerFired(**_OPEN, name="expiry", due_at=DUE)
ASKED = ProcessAsked(**_OPEN, step="expire", attempt=1, command="x", command_id="system 1", message=None)
ANSWERED = ProcessAnswered(
    **_OPEN,
    step="expire",
    attempt=1,
    command_id="system 1",
    outcome="accepted",
    kind=None,
    reason=None,
    stream="user-ann",
    version=2,
)
INVITED = UserInvited(email="ann@example.test", roles=("USER",), expires_at=DUE)
EXPIRED = InvitationExpired(expires_at=DUE)
HELD = [INVITED, SET, FIRED, ASKED, EXPIRED, ANSWERED]


def recorded(*events: Event, late: timedelta = timedelta(seconds=1)) -> list[Envelope]:
    return [
        envelope_of(TAGGED)._replace(
            tenant_id=TenantId("acme"),
            stream=StreamId("user-ann" if event.TYPE.startswith("user.") else "invitation_expiry-ann"),
            type=event.TYPE,
            data={name: getattr(event, name) for name in event.__dataclass_fields__},  # type: ignore[attr-defined]
            recorded_at=DUE + late,
        )
        for event in events
    ]


def test_events_that_say_they_were_recorded_before_the_one_before_are_counted() -> None:
    one, other = recorded(INVITED, EXPIRED)
    earlier = other._replace(recorded_at=one.recorded_at - timedelta(microseconds=1))
    assert check(History(), [one, other], ()).times_fell == 0
    assert check(History(), [one, earlier], ()).times_fell == 1


def test_log_in_which_each_invitation_ended_once_has_no_fault() -> None:
    assert ends_of(ANN, recorded(*HELD)) == Ended(1, 1, 1, 0, 0, 0, 0)
    assert over(ANN, recorded(*HELD))
    assert not over(ANN, recorded(INVITED, SET))


@pytest.mark.parametrize(
    ("events", "ends", "timers", "asks"),
    [
        ([*HELD, EXPIRED], 1, 0, 0),
        ([*HELD, FIRED], 0, 1, 0),
        ([*HELD, ASKED], 0, 0, 1),
        ([*HELD, ANSWERED], 0, 0, 1),
        (HELD[:-1], 0, 0, 1),
        ([INVITED, SET], 1, 1, 0),
        ([INVITED, EXPIRED], 0, 1, 0),
    ],
)
def test_what_ended_twice_or_not_at_all_is_counted(events: list[Event], ends: int, timers: int, asks: int) -> None:
    found = ends_of(ANN, recorded(*events))
    assert (found.ends_wrong, found.timers_wrong, found.asks_wrong) == (ends, timers, asks)


def test_end_that_is_not_the_one_that_was_answered_and_a_timer_that_was_early_are_counted() -> None:
    assert ends_of([Invited("ann", UserJoined.TYPE)], recorded(*HELD)).ends_wrong == 1
    assert ends_of(ANN, recorded(*HELD, late=timedelta(seconds=-1))).timers_wrong == 1


def test_answers_that_differ_and_effects_of_other_commands_are_counted() -> None:
    history = History()
    history.repeated = [
        ({"outcome": "accepted", "repeated": True}, {"outcome": "accepted", "repeated": True}),
        ({"outcome": "accepted", "repeated": True}, {"outcome": "accepted", "repeated": False}),
        ({"outcome": "accepted", "version": 1}, {"outcome": "accepted", "version": 2}),
    ]
    history.reused = [{"status": 422, "kind": "reused"}, {"status": 422, "kind": "invalid"}, {"outcome": "accepted"}]
    effect = envelope_of(TAGGED)._replace(data={"key": "n", "value": NEVER})
    assert used_again(history, [effect]) == (3, 3, 2, 2, 1)
