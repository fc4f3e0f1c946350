"""This view answers what each device is to execute, and how that went."""

from typing import Any, assert_never

from domain.execution.command_execution import (
    COMMAND_EXECUTION,
    CommandCancelled,
    CommandCompleted,
    CommandDispatched,
    CommandFailed,
    CommandStarted,
    CommandTimedOut,
    ExecutionEvent,
    ExecutionStatus,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: ExecutionEvent) -> tuple[Patch]:
    return decided(envelope, _fields(envelope, event))


def _fields(envelope: Envelope, event: ExecutionEvent) -> dict[str, Any]:
    at = instant_text(envelope.happened_at)
    match event:
        case CommandDispatched():
            return {
                "status": ExecutionStatus.PENDING.value,
                "device_id": event.device_id,
                "script_id": event.script_id or "",
                "shell": event.shell,
                "body": event.body,
                "digest": event.digest,
                "timeout_s": event.timeout_s,
                "asked_by": envelope.actor.id,
                "dispatched_at": at,
            }
        case CommandStarted():
            return {"status": ExecutionStatus.RUNNING.value, "started_at": at}
        case CommandCompleted():
            return {
                "status": ExecutionStatus.COMPLETED.value,
                "ended_at": at,
                "exit_code": event.exit_code,
                "stdout": event.stdout,
                "truncated": event.truncated,
                "duration_ms": event.duration_ms,
            }
        case CommandFailed():
            failed = {"error": event.error, "duration_ms": event.duration_ms}
            return {"status": ExecutionStatus.FAILED.value, "ended_at": at, **failed}
        case CommandTimedOut():
            return {"status": ExecutionStatus.TIMED_OUT.value, "ended_at": at}
        case CommandCancelled():
            return {"status": ExecutionStatus.CANCELLED.value, "ended_at": at, "status_reason": event.reason}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="command_executions",
    layout=Documents(
        filters=("status", "device_id", "script_id"),
        values={"status": ExecutionStatus},
        sorts=("dispatched_at", "ended_at", "duration_ms", "exit_code"),
        numbers=("duration_ms", "exit_code"),
        instants=("dispatched_at", "ended_at"),
        default_sort="-dispatched_at",
        scope="scripts",
        example={
            "id": "nightly~20260131T013000Z~1",
            "version": 3,
            "status": "COMPLETED",
            "device_id": "web-1",
            "script_id": "disk",
            "shell": "bash",
            "exit_code": 0,
            "stdout": "63%",
            "truncated": False,
            "duration_ms": 120,
        },
    ),
    topics=(Topic.EVENTS,),
    events=COMMAND_EXECUTION.events,
    project=project,
)
