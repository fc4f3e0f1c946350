"""This view answers which schedules there are, and when each runs next."""

from typing import Any, assert_never

from domain.execution.schedule import (
    SCHEDULE,
    ScheduleCreated,
    ScheduleEvent,
    ScheduleFired,
    SchedulePaused,
    ScheduleRemoved,
    ScheduleResumed,
    ScheduleStatus,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: ScheduleEvent) -> tuple[Patch]:
    return decided(envelope, _fields(event))


def _fields(event: ScheduleEvent) -> dict[str, Any]:
    match event:
        case ScheduleCreated():
            return {
                "status": ScheduleStatus.ACTIVE.value,
                "script_id": event.script_id,
                "device_ids": list(event.device_ids),
                "cron": event.cron,
                "every_s": event.every_s,
                "timezone": event.timezone,
                "timeout_s": event.timeout_s,
                "next_run_at": instant_text(event.next_run_at),
            }
        case ScheduleFired():
            return {"last_due_at": instant_text(event.due_at), "next_run_at": instant_text(event.next_run_at)}
        # a field without a value would stay as it was
        case SchedulePaused():
            return {"status": ScheduleStatus.PAUSED.value, "status_reason": event.reason, "next_run_at": ""}
        case ScheduleResumed():
            next_run = instant_text(event.next_run_at)
            return {"status": ScheduleStatus.ACTIVE.value, "status_reason": "", "next_run_at": next_run}
        case ScheduleRemoved():
            return {"status": ScheduleStatus.REMOVED.value, "status_reason": event.reason, "next_run_at": ""}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="schedules",
    layout=Documents(
        filters=("status", "script_id"),
        values={"status": ScheduleStatus},
        sorts=("next_run_at", "last_due_at"),
        instants=("next_run_at", "last_due_at"),
        default_sort="next_run_at",
        scope="scripts",
        example={
            "id": "nightly",
            "version": 4,
            "status": "ACTIVE",
            "script_id": "disk",
            "device_ids": ["web-1"],
            "cron": "30 2 * * *",
            "timezone": "Europe/Berlin",
            "last_due_at": "2026-01-31T01:30:00.000000Z",
            "next_run_at": "2026-02-01T01:30:00.000000Z",
        },
    ),
    topics=(Topic.EVENTS,),
    events=SCHEDULE.events,
    project=project,
)
