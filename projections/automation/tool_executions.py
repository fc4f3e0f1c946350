"""Which executions of tools are there, who asked for them, and how did they end?"""

from enum import StrEnum
from typing import Any, assert_never

from domain.automation.tool import (
    ToolExecutionCancelled,
    ToolExecutionCompleted,
    ToolExecutionFailed,
    ToolExecutionStarted,
)
from projections.fields import instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


class ToolExecutionStatus(StrEnum):
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


_Ended = ToolExecutionCompleted | ToolExecutionFailed | ToolExecutionCancelled
_OfExecution = ToolExecutionStarted | _Ended


def project(envelope: Envelope, event: _OfExecution) -> tuple[Patch]:
    return (Patch(envelope.tenant_id, event.execution_id, "events", envelope.version, _fields(envelope, event)),)


def _fields(envelope: Envelope, event: _OfExecution) -> dict[str, Any]:
    match event:
        case ToolExecutionStarted():
            return {
                "status": ToolExecutionStatus.RUNNING.value,
                "tool_id": event.tool_id,
                "tool_version": event.tool_version,
                "kind": event.kind,
                "parent": event.parent or "",
                "parameters": event.parameters,
                "input": event.input,
                "started_at": instant_text(event.timestamp),
                "started_by": envelope.actor.id,
            }
        case ToolExecutionCompleted():
            return {"status": ToolExecutionStatus.COMPLETED.value, "output": event.output, **_end(event)}
        case ToolExecutionFailed():
            return {"status": ToolExecutionStatus.FAILED.value, "error": event.error, **_end(event)}
        case ToolExecutionCancelled():
            return {"status": ToolExecutionStatus.CANCELLED.value, "status_reason": event.reason, **_end(event)}
        case _:
            assert_never(event)


def _end(event: _Ended) -> dict[str, Any]:
    return {"ended_at": instant_text(event.timestamp), "duration_ms": event.duration_ms}


PROJECTION = Projection(
    name="tool_executions",
    layout=Documents(
        filters=("status", "tool_id", "parent", "started_by"),
        values={"status": ToolExecutionStatus},
        sorts=("started_at", "ended_at", "duration_ms"),
        numbers=("duration_ms",),
        instants=("started_at", "ended_at"),
        default_sort="-started_at",
        scope="tool_executions",
        example={
            "id": "x1",
            "version": 3,
            "status": "COMPLETED",
            "tool_id": "look",
            "tool_version": 1,
            "kind": "http.check",
            "parent": "",
            "parameters": '{"path":"/"}',
            "input": '{"path":"/","url":"https://web-1.example"}',
            "output": '{"status":200}',
            "started_at": "2026-01-31T08:30:00.250000Z",
            "started_by": "ann",
            "ended_at": "2026-01-31T08:30:01.750000Z",
            "duration_ms": 1_500,
        },
    ),
    topics=(Topic.EVENTS,),
    events=(ToolExecutionStarted, ToolExecutionCompleted, ToolExecutionFailed, ToolExecutionCancelled),
    project=project,
)
