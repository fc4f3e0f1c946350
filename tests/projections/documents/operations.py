"""What each event of the operations context sets in its documents."""

from dataclasses import replace

from projections.automation import tasks
from projections.fleet import agent_releases
from projections.history import processes
from tests.examples.fleet import PROGRAM
from tests.examples.operations import (
    AGENT_RELEASE_HALTED,
    AGENT_RELEASE_PUBLISHED,
    AGENT_RELEASE_RESUMED,
    AGENT_RELEASE_ROLLED_OUT,
    AGENT_ROLLOUT_NOTED,
    AGENT_WAVE_ENDED,
    AGENT_WAVE_STARTED,
    TASK_CANCELLED,
    TASK_CLAIMED,
    TASK_COMPLETED,
    TASK_FAILED,
    TASK_HEARTBEAT,
    TASK_MODEL_USED,
    TASK_POSTPONED,
    TASK_REQUESTED,
    TASK_TIMED_OUT,
)
from tests.projections.documents import HAPPENED, RECORDED, Case

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
        TASK_POSTPONED,
        {
            "status": "WAITING",
            "error": "web-1.example:443 is not asked for now",
            "ready_at": "2026-01-31T08:30:30.250000Z",
            "postponed": 1,
        },
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
    *(
        (agent_releases.PROJECTION, "agent-1.5", event, {**fields, "changed_at": HAPPENED})
        for event, fields in (
            (
                AGENT_RELEASE_PUBLISHED,
                {
                    "status": "ROLLING_OUT",
                    "version_offered": "1.5.0",
                    "digest": PROGRAM,
                    "devices": 2,
                    "wait_s": 3_600,
                    "max_failed_percent": 10,
                    "updated": 0,
                    "failed": 0,
                },
            ),
            (
                AGENT_WAVE_STARTED,
                {"wave": 1, "waves": 2, "offered": 1, "wave_ends_at": "2026-01-31T09:30:00.250000Z"},
            ),
            (AGENT_WAVE_ENDED, {"updated": 0, "failed": 1, "failed_device_ids": ["43"], "wave_ends_at": ""}),
            (
                AGENT_RELEASE_HALTED,
                {"status": "HALTED", "status_reason": "it uses too much memory", "wave_ends_at": ""},
            ),
            (AGENT_RELEASE_RESUMED, {"status": "ROLLING_OUT", "status_reason": "43 was away"}),
            (AGENT_RELEASE_ROLLED_OUT, {"status": "ROLLED_OUT", "updated": 1, "failed": 1}),
        )
    ),
    (
        processes.PROJECTION,
        "agent_rollout-acme",
        AGENT_ROLLOUT_NOTED,
        {"last_event": "agent_rollout.noted", "updated_at": RECORDED},
    ),
]
