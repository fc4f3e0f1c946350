"""Which tools are there, what do they take, and how did each go last?"""

from typing import Any, Literal, assert_never

from domain.automation.decide_tool import TOOL
from domain.automation.tool import (
    ToolEvent,
    ToolExecutionCancelled,
    ToolExecutionCompleted,
    ToolExecutionFailed,
    ToolExecutionStarted,
    ToolRegistered,
    ToolRetired,
    ToolUpdated,
)
from projections.automation.tool_executions import ToolExecutionStatus
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: ToolEvent) -> tuple[Patch]:
    return decided(envelope, _fields(envelope, event))


def _fields(envelope: Envelope, event: ToolEvent) -> dict[str, Any]:
    at = instant_text(envelope.happened_at)
    match event:
        case ToolRegistered():
            return {"status": "ACTIVE", **_says(event), "registered_at": at, "changed_at": at}
        case ToolUpdated():
            return {**_says(event), "changed_at": at}
        case ToolRetired():
            return {"status": "RETIRED", "status_reason": event.reason, "changed_at": at}
        case ToolExecutionStarted():
            last = {"last_status": ToolExecutionStatus.RUNNING.value, "last_error": ""}
            return {**last, "last_execution_id": event.execution_id, "executed_at": instant_text(event.timestamp)}
        case ToolExecutionCompleted():
            return {"last_status": ToolExecutionStatus.COMPLETED.value, "last_execution_id": event.execution_id}
        case ToolExecutionFailed():
            failed = {"last_status": ToolExecutionStatus.FAILED.value, "last_error": event.error}
            return {**failed, "last_execution_id": event.execution_id}
        case ToolExecutionCancelled():
            return {"last_status": ToolExecutionStatus.CANCELLED.value, "last_execution_id": event.execution_id}
        case _:
            assert_never(event)


def _says(event: ToolRegistered | ToolUpdated) -> dict[str, Any]:
    return {
        "tool_version": event.version,
        "name": event.name,
        "description": event.description,
        "kind": event.kind,
        "parameters": event.parameters,
        "fixed": event.fixed or "",
        "limit_per_minute": event.limit_per_minute,
        "timeout_s": event.timeout_s,
        "attempts": event.attempts,
    }


PROJECTION = Projection(
    name="tools",
    layout=Documents(
        filters=("status", "kind", "last_status"),
        values={"status": Literal["ACTIVE", "RETIRED"], "last_status": ToolExecutionStatus},
        sorts=("name", "changed_at", "executed_at"),
        instants=("changed_at", "executed_at"),
        default_sort="name",
        search=("name", "description"),
        scope="tools",
        example={
            "id": "look",
            "version": 3,
            "status": "ACTIVE",
            "tool_version": 1,
            "name": "Look at a page",
            "kind": "http.check",
            "parameters": '{"properties":{"path":{"type":"string"}},"type":"object"}',
            "fixed": '{"url":"https://web-1.example"}',
            "limit_per_minute": 30,
            "executed_at": "2026-01-31T08:30:00.250000Z",
            "last_status": "COMPLETED",
        },
    ),
    topics=(Topic.EVENTS,),
    events=TOOL.events,
    project=project,
)
