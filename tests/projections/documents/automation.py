"""What each event of the automation context sets in its documents."""

from dataclasses import replace
from typing import Any

from domain.message import Event
from projections.automation import approvals, executions, provider_keys, workflows
from tests.examples.automation import (
    GRAPH,
    NODE_COMPLETED,
    NODE_FAILED,
    NODE_STARTED,
    NODE_WAITING,
    PROVIDER_KEY_ADDED,
    PROVIDER_KEY_REVOKED,
    PROVIDER_KEY_ROTATED,
    TURN_ENDED,
    WORKFLOW_ACTIVATED,
    WORKFLOW_ARCHIVED,
    WORKFLOW_CANCELLED,
    WORKFLOW_COMPLETED,
    WORKFLOW_CREATED,
    WORKFLOW_DEACTIVATED,
    WORKFLOW_FAILED,
    WORKFLOW_PUBLISHED,
    WORKFLOW_RETRIED,
    WORKFLOW_STARTED,
)
from tests.projections.documents import HAPPENED, RECORDED, Case

_OVER = {"ended_at": RECORDED, "duration_ms": 1_500, "changed_at": RECORDED}
_APPROVAL: dict[str, Any] = {"node_id": "ask", "node_type": "approval"}


def _workflow(event: Event, **fields: Any) -> Case:
    return (workflows.PROJECTION, "triage", event, {**fields, "changed_at": HAPPENED})


def _execution(event: Event, **fields: Any) -> Case:
    return (executions.PROJECTION, "e1", event, {**fields, "changed_at": RECORDED})


def _approval(event: Event, **fields: Any) -> Case:
    return (approvals.PROJECTION, "e1~ask~1", event, fields)


CASES: list[Case] = [
    _workflow(
        WORKFLOW_CREATED,
        status="DRAFT",
        name="Triage",
        description="what to do first",
        created_at=HAPPENED,
        created_by="ann",
    ),
    _workflow(WORKFLOW_PUBLISHED, status="ACTIVE", published=1, nodes=3, edges=2, graph=GRAPH),
    _workflow(WORKFLOW_DEACTIVATED, status="INACTIVE", status_reason="too loud"),
    _workflow(WORKFLOW_ACTIVATED, status="ACTIVE", status_reason=""),
    _workflow(WORKFLOW_ARCHIVED, status="ARCHIVED", status_reason="another one does it"),
    _execution(
        WORKFLOW_STARTED,
        status="RUNNING",
        workflow_id="triage",
        name="Triage",
        workflow_version=1,
        nodes=3,
        input='{"url":"https://web-1.example"}',
        parent="",
        started_at=RECORDED,
        started_by="ann",
    ),
    _execution(NODE_STARTED, last_node="check", waits_for=""),
    _execution(NODE_WAITING, last_node="ask", waits_for="approval"),
    _execution(NODE_COMPLETED, last_node="check", waits_for=""),
    _execution(NODE_FAILED, last_node="check", waits_for="", last_error="connection refused"),
    _execution(TURN_ENDED),
    _execution(WORKFLOW_COMPLETED, status="COMPLETED", output='{"ask":{"by":"ann","note":"go on"}}', **_OVER),
    _execution(WORKFLOW_FAILED, status="FAILED", error="check: connection refused", **_OVER),
    _execution(WORKFLOW_CANCELLED, status="CANCELLED", error="not needed any more", **_OVER),
    _execution(WORKFLOW_RETRIED, status="RUNNING", error="", ended_at=""),
    _approval(
        NODE_WAITING,
        status="PENDING",
        workflow_id="triage",
        execution_id="e1",
        node_id="ask",
        node_name="ask",
        role="",
        asked_at=RECORDED,
        until="2026-01-31T09:30:00.250000Z",
    ),
    _approval(
        replace(NODE_COMPLETED, **_APPROVAL),
        status="APPROVED",
        decided_at=RECORDED,
        decided_by="ann",
        output='{"status":200}',
    ),
    _approval(
        replace(NODE_FAILED, **_APPROVAL, error="rejected by ann: no"),
        status="REJECTED",
        decided_at=RECORDED,
        decided_by="ann",
        error="rejected by ann: no",
    ),
    _approval(
        replace(NODE_FAILED, **_APPROVAL),
        status="OVER",
        decided_at=RECORDED,
        decided_by="ann",
        error="connection refused",
    ),
    (
        provider_keys.PROJECTION,
        "openai",
        PROVIDER_KEY_ADDED,
        {
            "status": "ACTIVE",
            "provider": "openai",
            "kinds": ["chat.complete"],
            "base_url": "https://api.openai.com/v1",
            "prefix": "sk-pr",
            "added_at": HAPPENED,
        },
    ),
    (provider_keys.PROJECTION, "openai", PROVIDER_KEY_ROTATED, {"prefix": "sk-ne", "rotated_at": HAPPENED}),
    (
        provider_keys.PROJECTION,
        "openai",
        PROVIDER_KEY_REVOKED,
        {"status": "REVOKED", "status_reason": "not used any more", "revoked_at": HAPPENED},
    ),
]
