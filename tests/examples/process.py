"""One valid example of every event that all processes have."""

from typing import Any

from domain import process
from tests.examples.moments import RECORDED_AT

_WAITING: dict[str, Any] = {"standing": "WAITING", "next_timer": "expiry", "next_due_at": RECORDED_AT}
_IDLE: dict[str, Any] = {"standing": "IDLE", "next_timer": None, "next_due_at": None}

ASKED = process.ProcessAsked(
    standing="ASKING",
    next_timer="expiry",
    next_due_at=RECORDED_AT,
    step="expire",
    attempt=2,
    command="identity.ExpireInvitation",
    command_id="system 3f0f",
    message='{"id":"system 3f0f"}',
)
ANSWERED = process.ProcessAnswered(
    **_WAITING,
    step="expire",
    attempt=2,
    command_id="system 3f0f",
    outcome="refused",
    kind="not_allowed",
    reason="the invitation is not over yet",
    stream="user-ann",
    version=3,
)
FAILED = process.ProcessFailed(**_IDLE, on="timer.fired", reason="ZeroDivisionError")
GAVE_UP = process.ProcessGaveUp(**_IDLE, on="timer.fired", reason="ZeroDivisionError", timer="retry~29~3~user-ann")
TIMER_SET = process.TimerSet(**_WAITING, name="expiry", due_at=RECORDED_AT)
TIMER_FORGOTTEN = process.TimerForgotten(**_IDLE, name="expiry")
TIMER_FIRED = process.TimerFired(**_IDLE, name="expiry", due_at=RECORDED_AT)
