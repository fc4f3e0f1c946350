"""Which workflows are there, in which version, and what do they look like?"""

from typing import Any, assert_never

from domain.automation.workflow import (
    WORKFLOW,
    WorkflowActivated,
    WorkflowArchived,
    WorkflowCreated,
    WorkflowDeactivated,
    WorkflowEvent,
    WorkflowPublished,
    WorkflowStatus,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: WorkflowEvent) -> tuple[Patch]:
    return decided(envelope, {**_fields(envelope, event), "changed_at": instant_text(envelope.happened_at)})


def _fields(envelope: Envelope, event: WorkflowEvent) -> dict[str, Any]:
    match event:
        case WorkflowCreated():
            return {
                "status": WorkflowStatus.DRAFT.value,
                "name": event.name,
                "description": event.description,
                "created_at": instant_text(envelope.happened_at),
                "created_by": envelope.actor.id,
            }
        case WorkflowPublished():
            return {
                "status": WorkflowStatus.ACTIVE.value,
                "published": event.version,
                "nodes": event.nodes,
                "edges": event.edges,
                "graph": event.graph,
            }
        case WorkflowDeactivated():
            return {"status": WorkflowStatus.INACTIVE.value, "status_reason": event.reason}
        case WorkflowActivated():
            return {"status": WorkflowStatus.ACTIVE.value, "status_reason": ""}
        case WorkflowArchived():
            return {"status": WorkflowStatus.ARCHIVED.value, "status_reason": event.reason}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="workflows",
    layout=Documents(
        filters=("status", "name", "created_by"),
        owner="created_by",
        values={"status": WorkflowStatus},
        sorts=("changed_at", "created_at", "name"),
        default_sort="-changed_at",
        scope="workflows",
        example={
            "id": "triage",
            "version": 2,
            "status": "ACTIVE",
            "name": "Triage",
            "published": 1,
            "nodes": 3,
            "edges": 2,
        },
    ),
    topics=(Topic.EVENTS,),
    events=WORKFLOW.events,
    project=project,
)
