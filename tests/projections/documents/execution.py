"""What each event of the execution context sets in its documents."""

from projections.execution import command_executions, schedules, scripts
from tests.examples.execution import (
    BODY,
    CANCELLED,
    COMMAND_FAILED,
    COMMAND_STARTED,
    COMPLETED,
    DIGEST,
    DISPATCHED,
    SCHEDULE_CREATED,
    SCHEDULE_FIRED,
    SCHEDULE_PAUSED,
    SCHEDULE_REMOVED,
    SCHEDULE_RESUMED,
    SCRIPT_CREATED,
    SCRIPT_UPDATED,
    TIMED_OUT,
)
from tests.projections.documents import HAPPENED, Case

SAYS = {"name": "Free space", "shell": "bash", "body": BODY, "digest": DIGEST, "changed_at": HAPPENED}
FIRST, SECOND = "2026-02-01T01:30:00.000000Z", "2026-02-02T01:30:00.000000Z"
ENDED = {"ended_at": HAPPENED}

CASES: list[Case] = [
    (scripts.PROJECTION, "disk", SCRIPT_CREATED, SAYS | {"timeout_s": 480}),
    (scripts.PROJECTION, "disk", SCRIPT_UPDATED, SAYS | {"timeout_s": 60}),
    (
        schedules.PROJECTION,
        "nightly",
        SCHEDULE_CREATED,
        {
            "status": "ACTIVE",
            "script_id": "disk",
            "device_ids": ["42", "43"],
            "cron": "30 2 * * *",
            "timezone": "Europe/Berlin",
            "next_run_at": FIRST,
        },
    ),
    (schedules.PROJECTION, "nightly", SCHEDULE_FIRED, {"last_due_at": FIRST, "next_run_at": SECOND}),
    (
        schedules.PROJECTION,
        "nightly",
        SCHEDULE_PAUSED,
        {"status": "PAUSED", "status_reason": "holidays", "next_run_at": ""},
    ),
    (
        schedules.PROJECTION,
        "nightly",
        SCHEDULE_RESUMED,
        {"status": "ACTIVE", "status_reason": "", "next_run_at": FIRST},
    ),
    (
        schedules.PROJECTION,
        "nightly",
        SCHEDULE_REMOVED,
        {"status": "REMOVED", "status_reason": "replaced", "next_run_at": ""},
    ),
    (
        command_executions.PROJECTION,
        "x1",
        DISPATCHED,
        {
            "status": "PENDING",
            "device_id": "42",
            "script_id": "",
            "shell": "bash",
            "body": BODY,
            "digest": DIGEST,
            "timeout_s": 60,
            "asked_by": "ann",
            "dispatched_at": HAPPENED,
        },
    ),
    (command_executions.PROJECTION, "x1", COMMAND_STARTED, {"status": "RUNNING", "started_at": HAPPENED}),
    (
        command_executions.PROJECTION,
        "x1",
        COMPLETED,
        {"status": "COMPLETED", "exit_code": 0, "stdout": "63%", "truncated": False, "duration_ms": 120} | ENDED,
    ),
    (
        command_executions.PROJECTION,
        "x1",
        COMMAND_FAILED,
        {"status": "FAILED", "error": "no such shell", "duration_ms": 0} | ENDED,
    ),
    (command_executions.PROJECTION, "x1", TIMED_OUT, {"status": "TIMED_OUT"} | ENDED),
    (command_executions.PROJECTION, "x1", CANCELLED, {"status": "CANCELLED", "status_reason": "not needed"} | ENDED),
]
