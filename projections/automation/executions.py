"""How far is each execution of a workflow, and how did it end?"""

from typing import Any, assert_never

from domain.automation.decide_execution import EXECUTION
from domain.automation.execution import (
    ExecutionEvent,
    NodeCompleted,
    NodeFailed,
    NodeStarted,
    NodeWaiting,
    TurnEnded,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRetried,
    WorkflowStarted,
)
from domain.automation.execution_state import ExecutionStatus
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: ExecutionEvent) -> tuple[Patch]:
    return decided(envelope, {**_fields(envelope, event), "changed_at": instant_text(event.timestamp)})


def _fields(envelope: Envelope, event: ExecutionEvent) -> dict[str, Any]:
    at = instant_text(event.timestamp)
    match event:
        case WorkflowStarted():
            return {
                "status": ExecutionStatus.RUNNING.value,
                "workflow_id": event.workflow_id,
                "name": event.name,
                "workflow_version": event.version,
                "nodes": event.nodes,
                "input": event.input,
                "parent": event.parent or "",
                "started_at": at,
                "started_by": envelope.actor.id,
            }
        case NodeStarted() | NodeCompleted():
            return {"last_node": event.node_id, "waits_for": ""}
        case NodeWaiting():
            return {"last_node": event.node_id, "waits_for": event.reason}
        case NodeFailed():
            return {"last_node": event.node_id, "waits_for": "", "last_error": event.error}
        case TurnEnded():
            return {}
        case WorkflowCompleted():
            return {"status": ExecutionStatus.COMPLETED.value, "output": event.output, **_ended(event, at)}
        case WorkflowFailed():
            return {"status": ExecutionStatus.FAILED.value, "error": event.error, **_ended(event, at)}
        case WorkflowCancelled():
            return {"status": ExecutionStatus.CANCELLED.value, "error": event.reason, **_ended(event, at)}
        case WorkflowRetried():
            return {"status": ExecutionStatus.RUNNING.value, "error": "", "ended_at": ""}
        case _:
            assert_never(event)


def _ended(event: WorkflowCompleted | WorkflowFailed | WorkflowCancelled, at: str) -> dict[str, Any]:
    return {"ended_at": at, "duration_ms": event.duration_ms}


PROJECTION = Projection(
    name="executions",
    layout=Documents(
        filters=("status", "workflow_id", "started_by"),
        owner="started_by",
        values={"status": ExecutionStatus},
        sorts=("started_at", "changed_at", "ended_at"),
        default_sort="-started_at",
        scope="executions",
        example={
            "id": "e1",
            "version": 9,
            "status": "COMPLETED",
            "workflow_id": "triage",
            "workflow_version": 1,
            "started_at": "2026-01-31T08:30:00.250000Z",
            "ended_at": "2026-01-31T08:30:01.750000Z",
            "duration_ms": 1_500,
            "output": '{"ask":{"by":"ann","note":"go on"}}',
        },
    ),
    topics=(Topic.EVENTS,),
    events=EXECUTION.events,
    project=project,
)
