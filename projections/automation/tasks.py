"""Which tasks are there, who does them, and how did they end?"""

from datetime import datetime
from typing import Any, assert_never

from domain.operations.task import (
    TASK,
    TaskCancelled,
    TaskClaimed,
    TaskCompleted,
    TaskEvent,
    TaskFailed,
    TaskHeartbeat,
    TaskModelUsed,
    TaskPostponed,
    TaskRequested,
    TaskStatus,
    TaskTimedOut,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: TaskEvent) -> tuple[Patch]:
    return decided(envelope, _fields(envelope, event))


def _fields(envelope: Envelope, event: TaskEvent) -> dict[str, Any]:
    at = instant_text(envelope.recorded_at)
    match event:
        case TaskRequested():
            return {
                "status": TaskStatus.WAITING.value,
                "kind": event.kind,
                "input": event.input,
                "timeout_s": event.timeout_s,
                "heartbeat_s": event.heartbeat_s,
                "attempts": event.attempts,
                "attempt": 0,
                "requested_at": at,
                "ready_at": at,
            }
        case TaskClaimed():
            return {
                "status": TaskStatus.CLAIMED.value,
                "worker": event.worker,
                "attempt": event.attempt,
                "claimed_at": at,
                "lease_until": instant_text(event.lease_until),
            }
        case TaskHeartbeat():
            return {"lease_until": instant_text(event.lease_until)}
        case TaskModelUsed():
            return {
                "provider": event.provider,
                "model": event.model,
                "input_tokens": event.input_tokens,
                "output_tokens": event.output_tokens,
            }
        case TaskCompleted():
            return {"status": TaskStatus.COMPLETED.value, "output": event.output, "ended_at": at}
        case TaskFailed():
            return {"error": event.error, **_after(TaskStatus.FAILED, event.retry_at, at)}
        case TaskPostponed():
            waits = {"status": TaskStatus.WAITING.value, "ready_at": instant_text(event.retry_at)}
            return {"error": event.reason, "postponed": event.postponed, **waits}
        case TaskTimedOut():
            return {"error": "no answer came in time", **_after(TaskStatus.TIMED_OUT, event.retry_at, at)}
        case TaskCancelled():
            return {"status": TaskStatus.CANCELLED.value, "status_reason": event.reason, "ended_at": at}
        case _:
            assert_never(event)


def _after(status: TaskStatus, retry_at: datetime | None, at: str) -> dict[str, Any]:
    if retry_at is None:
        return {"status": status.value, "ended_at": at}
    return {"status": TaskStatus.WAITING.value, "ready_at": instant_text(retry_at)}


PROJECTION = Projection(
    name="tasks",
    layout=Documents(
        filters=("status", "kind", "worker"),
        values={"status": TaskStatus},
        sorts=("ready_at", "requested_at", "kind"),
        default_sort="-requested_at",
        scope="tasks",
        example={
            "id": "check-web-1",
            "version": 2,
            "status": "CLAIMED",
            "kind": "http.check",
            "input": '{"url":"https://web-1.example"}',
            "worker": "worker-1",
            "attempt": 1,
            "lease_until": "2026-01-31T08:35:00.250000Z",
        },
    ),
    topics=(Topic.EVENTS,),
    events=TASK.events,
    project=project,
)
