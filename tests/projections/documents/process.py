"""What each event of a process sets in the view of all processes."""

from projections.history import processes
from tests.examples.process import ANSWERED, ASKED, FAILED, GAVE_UP, TIMER_FIRED, TIMER_FORGOTTEN, TIMER_SET
from tests.projections.documents import RECORDED, Case

ID = "invitation_expiry-ann"
WAITING = {"state": "WAITING", "next_timer": "expiry", "next_due_at": RECORDED, "updated_at": RECORDED}
IDLE = {"state": "IDLE", "next_timer": "", "next_due_at": "", "updated_at": RECORDED}

CASES: list[Case] = [
    (
        processes.PROJECTION,
        ID,
        ASKED,
        WAITING | {"last_event": "process.asked", "state": "ASKING", "step": "expire"},
    ),
    (
        processes.PROJECTION,
        ID,
        ANSWERED,
        WAITING | {"last_event": "process.answered", "step": "expire", "last_error": "the invitation is not over yet"},
    ),
    (
        processes.PROJECTION,
        ID,
        FAILED,
        IDLE | {"last_event": "process.failed", "last_error": "ZeroDivisionError on timer.fired"},
    ),
    (
        processes.PROJECTION,
        ID,
        GAVE_UP,
        IDLE | {"last_event": "process.gave_up", "last_error": "ZeroDivisionError on timer.fired, given up"},
    ),
    (processes.PROJECTION, ID, TIMER_SET, WAITING | {"last_event": "timer.set"}),
    (processes.PROJECTION, ID, TIMER_FORGOTTEN, IDLE | {"last_event": "timer.forgotten"}),
    (processes.PROJECTION, ID, TIMER_FIRED, IDLE | {"last_event": "timer.fired"}),
]
