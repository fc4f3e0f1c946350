"""What waits for somebody's approval, and how was it decided?"""

from typing import Any, Literal, assert_never

from domain.automation.decide_execution import REJECTED
from domain.automation.execution import NodeCompleted, NodeFailed, NodeWaiting
from domain.automation.node_runs import token_of
from projections.fields import instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic

_OfNode = NodeWaiting | NodeCompleted | NodeFailed


def project(envelope: Envelope, event: _OfNode) -> tuple[Patch, ...]:
    if event.node_type != "approval":
        return ()
    # one execution asks for several, and again when it is tried again
    id_ = token_of(event.execution_id, event.node_id, event.attempt, event.item)
    return (Patch(envelope.tenant_id, id_, "events", envelope.version, _fields(envelope, event)),)


def _fields(envelope: Envelope, event: _OfNode) -> dict[str, Any]:
    at = instant_text(event.timestamp)
    match event:
        case NodeWaiting():
            return {
                "status": "PENDING",
                "workflow_id": event.workflow_id,
                "execution_id": event.execution_id,
                "node_id": event.node_id,
                "node_name": event.node_name,
                "role": event.role or "",
                "asked_at": at,
                "until": "" if event.until is None else instant_text(event.until),
            }
        case NodeCompleted():
            return {"status": "APPROVED", "decided_at": at, "decided_by": envelope.actor.id, "output": event.output}
        case NodeFailed():
            status = "REJECTED" if event.error.startswith(REJECTED) else "OVER"
            return {"status": status, "decided_at": at, "decided_by": envelope.actor.id, "error": event.error}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="approvals",
    layout=Documents(
        filters=("status", "workflow_id", "role"),
        values={"status": Literal["PENDING", "APPROVED", "REJECTED", "OVER"]},
        sorts=("asked_at", "until"),
        default_sort="-asked_at",
        scope="executions",
        example={
            "id": "e1~ask~1",
            "version": 5,
            "status": "PENDING",
            "workflow_id": "triage",
            "execution_id": "e1",
            "node_id": "ask",
            "role": "ADMIN",
            "until": "2026-01-31T09:30:00.250000Z",
        },
    ),
    topics=(Topic.EVENTS,),
    events=(NodeWaiting, NodeCompleted, NodeFailed),
    project=project,
)
