"""What each event of the operations context sets in its documents."""

from dataclasses import replace

from projections.automation import tasks
from tests.examples.operations import (
    TASK_CANCELLED,
    TASK_CLAIMED,
    TASK_COMPLETED,
    TASK_FAILED,
    TASK_HEARTBEAT,
    TASK_MODEL_USED,
    TASK_REQUESTED,
    TASK_TIMED_OUT,
)
from tests.projections.documents import RECORDED, Case

ID = "check-web-1"
LEASE = "2026-01-31T08:31:00.250000Z"

CASES: list[Case] = [
    (
        tasks.PROJECTION,
        ID,
        TASK_REQUESTED,
        {
            "status": "WAITING",
            "kind": "http.check",
            "input": '{"url":"https://web-1.example"}',
            "timeout_s": 300,
            "heartbeat_s": 60,
            "attempts": 3,
            "attempt": 0,
            "requested_at": RECORDED,
            "ready_at": RECORDED,
        },
    ),
    (
        tasks.PROJECTION,
        ID,
        TASK_CLAIMED,
        {"status": "CLAIMED", "worker": "worker-1", "attempt": 1, "claimed_at": RECORDED, "lease_until": LEASE},
    ),
    (tasks.PROJECTION, ID, TASK_HEARTBEAT, {"lease_until": LEASE}),
    (
        tasks.PROJECTION,
        ID,
        TASK_MODEL_USED,
        {"provider": "openai", "model": "gpt-4o-mini", "input_tokens": 120, "output_tokens": 40},
    ),
    (tasks.PROJECTION, ID, TASK_COMPLETED, {"status": "COMPLETED", "output": '{"status":200}', "ended_at": RECORDED}),
    (
        tasks.PROJECTION,
        ID,
        TASK_FAILED,
        {"status": "WAITING", "error": "connection refused", "ready_at": "2026-01-31T08:30:05.250000Z"},
    ),
    (
        tasks.PROJECTION,
        ID,
        replace(TASK_FAILED, retry_at=None),
        {"status": "FAILED", "error": "connection refused", "ended_at": RECORDED},
    ),
    (
        tasks.PROJECTION,
        ID,
        TASK_TIMED_OUT,
        {"status": "TIMED_OUT", "error": "no answer came in time", "ended_at": RECORDED},
    ),
    (
        tasks.PROJECTION,
        ID,
        TASK_CANCELLED,
        {"status": "CANCELLED", "status_reason": "not needed any more", "ended_at": RECORDED},
    ),
]
