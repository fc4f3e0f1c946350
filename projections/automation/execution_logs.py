"""What happened in one execution of a workflow, step by step?"""

from datetime import datetime
from typing import Any, NamedTuple

from domain.automation.decide_execution import EXECUTION
from domain.automation.execution import (
    ExecutionEvent,
    NodeCompleted,
    NodeFailed,
    NodeStarted,
    NodeWaiting,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowStarted,
)
from projections.layout import Every, Series
from projections.projection import Projection
from schemas.envelope import Envelope, TenantId, Topic, id_of


class StepRow(NamedTuple):
    """One event of an execution.

    Shape: `node_id` to `item` are "" and -1 where the event is about no node or item; `data` is the input or output,
    in JSON, or an error. `position` is the event's place in the log.
    Source: workflow.started, workflow.node.* and the ends of an execution.
    """

    tenant_id: TenantId
    execution_id: str
    step: int
    at: datetime
    event: str
    node_id: str
    node_name: str
    node_type: str
    attempt: int
    item: int
    data: str
    duration_ms: int
    actor: str
    position: int


def project(envelope: Envelope, event: ExecutionEvent) -> tuple[StepRow]:
    item = getattr(event, "item", None)
    return (
        StepRow(
            tenant_id=envelope.tenant_id,
            execution_id=id_of(envelope.stream),
            step=envelope.version,
            at=event.timestamp,
            event=event.TYPE,
            node_id=getattr(event, "node_id", ""),
            node_name=getattr(event, "node_name", ""),
            node_type=getattr(event, "node_type", ""),
            attempt=getattr(event, "attempt", 0),
            item=-1 if item is None else item,
            data=_data(event),
            duration_ms=getattr(event, "duration_ms", 0),
            actor=envelope.actor.id,
            position=envelope.position,
        ),
    )


def _data(event: Any) -> str:
    match event:
        case WorkflowStarted() | NodeStarted():
            return event.input
        case NodeCompleted() | WorkflowCompleted():
            return event.output
        case NodeFailed() | WorkflowFailed():
            return event.error
        case NodeWaiting() | WorkflowCancelled():
            return event.reason
        case _:
            return ""


PROJECTION = Projection(
    name="execution_logs",
    layout=Series(
        row=StepRow,
        key=("tenant_id", "execution_id", "step"),
        day="at",
        scope="executions",
        example={
            "execution_id": "e1",
            "step": 2,
            "at": "2026-01-31T08:30:00.250000Z",
            "event": "workflow.node.completed",
            "node_id": "check",
            "node_name": "Check it",
            "node_type": "task",
            "attempt": 1,
            "item": -1,
            "data": '{"status":200}',
            "duration_ms": 250,
            "actor": "workflow_node",
        },
        series=("execution_id",),
        order=("step",),
        bucket=Every("step", 10_000),
    ),
    topics=(Topic.EVENTS,),
    events=EXECUTION.events,
    project=project,
)
