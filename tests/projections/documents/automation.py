"""What each event of the automation context sets in its documents."""

from dataclasses import replace
from typing import Any

from domain.message import Event
from projections.automation import approvals, executions, policies, provider_keys, tool_executions, tools, workflows
from projections.history import processes
from tests.examples.automation import (
    GRAPH,
    NODE_COMPLETED,
    NODE_FAILED,
    NODE_STARTED,
    NODE_WAITING,
    POLICY_RETIRED,
    POLICY_SET,
    PROVIDER_KEY_ADDED,
    PROVIDER_KEY_REVOKED,
    PROVIDER_KEY_ROTATED,
    TOOL_EXECUTION_CANCELLED,
    TOOL_EXECUTION_COMPLETED,
    TOOL_EXECUTION_FAILED,
    TOOL_EXECUTION_STARTED,
    TOOL_REGISTERED,
    TOOL_RETIRED,
    TOOL_RUN_NOTED,
    TOOL_UPDATED,
    TOOL_WANTED,
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


def _tool(event: Event, **fields: Any) -> Case:
    return (tools.PROJECTION, "look", event, fields)


def _tool_execution(event: Event, **fields: Any) -> Case:
    return (tool_executions.PROJECTION, "x1", event, fields)


_TOOL = {
    "name": "Look at a page",
    "description": "gives the status of a page of web-1",
    "kind": "http.check",
    "parameters": TOOL_REGISTERED.parameters,
    "fixed": '{"url":"https://web-1.example"}',
    "timeout_s": 60,
    "attempts": 2,
    "changed_at": HAPPENED,
}
_TOOL_OVER = {"ended_at": RECORDED, "duration_ms": 0}

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
    (
        processes.PROJECTION,
        "tool_run-acme",
        TOOL_RUN_NOTED,
        {"last_event": "tool_run.noted", "updated_at": RECORDED},
    ),
    (
        processes.PROJECTION,
        "workflow_node-acme",
        TOOL_WANTED,
        {"last_event": "workflow_node.tool.wanted", "updated_at": RECORDED},
    ),
    _tool(TOOL_REGISTERED, **_TOOL, status="ACTIVE", tool_version=1, limit_per_minute=30, registered_at=HAPPENED),
    _tool(TOOL_UPDATED, **_TOOL, tool_version=2, limit_per_minute=10),
    _tool(TOOL_RETIRED, status="RETIRED", status_reason="another one does it", changed_at=HAPPENED),
    _tool(
        TOOL_EXECUTION_STARTED,
        last_status="RUNNING",
        last_error="",
        last_execution_id="x1",
        executed_at=RECORDED,
    ),
    _tool(TOOL_EXECUTION_COMPLETED, last_status="COMPLETED", last_execution_id="x1"),
    _tool(TOOL_EXECUTION_FAILED, last_status="FAILED", last_error="connection refused", last_execution_id="x1"),
    _tool(TOOL_EXECUTION_CANCELLED, last_status="CANCELLED", last_execution_id="x1"),
    _tool_execution(
        TOOL_EXECUTION_STARTED,
        status="RUNNING",
        tool_id="look",
        tool_version=1,
        kind="http.check",
        parent="",
        parameters='{"path":"/"}',
        input='{"path":"/","url":"https://web-1.example"}',
        started_at=RECORDED,
        started_by="ann",
    ),
    _tool_execution(TOOL_EXECUTION_COMPLETED, status="COMPLETED", output='{"status":200}', **_TOOL_OVER),
    _tool_execution(TOOL_EXECUTION_FAILED, status="FAILED", error="connection refused", **_TOOL_OVER),
    _tool_execution(TOOL_EXECUTION_CANCELLED, status="CANCELLED", status_reason="not needed any more", **_TOOL_OVER),
    (
        policies.PROJECTION,
        "careful",
        POLICY_SET,
        {
            "status": "ACTIVE",
            "policy_version": 1,
            "name": "Careful",
            "rules": POLICY_SET.rules,
            "otherwise": "ask",
            "changed_at": HAPPENED,
        },
    ),
    (
        policies.PROJECTION,
        "careful",
        POLICY_RETIRED,
        {"status": "RETIRED", "status_reason": "too careful", "changed_at": HAPPENED},
    ),
]
