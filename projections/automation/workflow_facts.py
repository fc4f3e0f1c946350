"""How often did workflows end well, and how long did they take?"""

from datetime import datetime
from typing import NamedTuple

from domain.automation.execution import WorkflowCancelled, WorkflowCompleted, WorkflowFailed
from projections.layout import Facts
from projections.projection import Projection
from projections.question import Choice, Question
from schemas.envelope import Envelope, StreamId, TenantId, Topic
from schemas.values import Instant


class ExecutionRow(NamedTuple):
    """How an execution ended; one that was tried again has the end of its last try.

    Source: workflow.completed, workflow.failed, workflow.cancelled.
    """

    tenant_id: TenantId
    stream: StreamId
    ended_at: datetime
    workflow_id: str
    status: str
    duration_ms: int
    position: int


def project(envelope: Envelope, event: WorkflowCompleted | WorkflowFailed | WorkflowCancelled) -> tuple[ExecutionRow]:
    return (
        ExecutionRow(
            tenant_id=envelope.tenant_id,
            stream=envelope.stream,
            ended_at=event.timestamp,
            workflow_id=event.workflow_id,
            status=event.TYPE.removeprefix("workflow.").upper(),
            duration_ms=event.duration_ms,
            position=envelope.position,
        ),
    )


class WorkflowsRow(NamedTuple):
    group: str
    executions: int
    completed: int
    failed: int
    cancelled: int
    mean_ms: int
    longest_ms: int


WORKFLOWS = Question(
    name="workflows",
    summary="Executions that ended, and how long they took",
    view="workflow_facts",
    sql="""
        SELECT
            {by} AS label,
            count(),
            countIf(status = 'COMPLETED'),
            countIf(status = 'FAILED'),
            countIf(status = 'CANCELLED'),
            toInt64(round(avg(duration_ms))),
            max(duration_ms)
        FROM workflow_facts
        WHERE ended_at >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')
            AND ended_at < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
        GROUP BY label
        ORDER BY if({by:String} = 'day', 0, count()) DESC, label
        LIMIT {limit:UInt32}
    """,
    parameters={
        "by": Choice(
            "workflow",
            {"workflow": "workflow_id", "day": "formatDateTime(ended_at, '%Y-%m-%d', 'UTC')", "status": "status"},
        ),
        "start": Instant,
        "end": Instant,
        "limit": int,
    },
    row=WorkflowsRow,
    example={
        "workflow": "triage",
        "executions": 12,
        "completed": 10,
        "failed": 1,
        "cancelled": 1,
        "mean_ms": 1_500,
        "longest_ms": 9_000,
    },
)
"""Executions by workflow, by how they ended, or by the day of their end.

Units: milliseconds, people's answers included; days are UTC. `start` ≤ ended_at < `end`.
Source: workflow.completed, workflow.failed, workflow.cancelled.
"""

PROJECTION = Projection(
    name="workflow_facts",
    layout=Facts(
        row=ExecutionRow,
        key=("tenant_id", "stream"),
        day="ended_at",
        scope="analytics",
        questions=(WORKFLOWS,),
    ),
    topics=(Topic.EVENTS,),
    events=(WorkflowCompleted, WorkflowFailed, WorkflowCancelled),
    project=project,
)
