"""One valid example of every command and event of the automation context."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from domain.automation import (
    execution,
    graph,
    policy,
    processes,
    provider_key,
    tool,
    tool_processes,
    workflow,
)
from domain.identity.user import Role
from tests.examples.moments import RECORDED_AT

NODES = (
    graph.TaskNode(id="check", name="Check it", type="task", kind="http.check", input="{'url': input.url}"),
    graph.ConditionNode(id="well", type="condition", expression="nodes.check.output.status == 200"),
    graph.ApprovalNode(id="ask", type="approval", deadline_s=3_600),
)
EDGES = (graph.Edge(from_="check", to="well"), graph.Edge(from_="well", to="ask", when="false"))
GRAPH = graph.graph_text(NODES, EDGES)

CREATE_WORKFLOW = workflow.CreateWorkflow(workflow_id="triage", name="Triage", description="what to do first")
PUBLISH_WORKFLOW = workflow.PublishWorkflow(workflow_id="triage", nodes=NODES, edges=EDGES)
DEACTIVATE_WORKFLOW = workflow.DeactivateWorkflow(workflow_id="triage", reason="too loud")
ACTIVATE_WORKFLOW = workflow.ActivateWorkflow(workflow_id="triage")
ARCHIVE_WORKFLOW = workflow.ArchiveWorkflow(workflow_id="triage", reason="another one does it")

EXECUTE_WORKFLOW = execution.ExecuteWorkflow(
    execution_id="e1", workflow_id="triage", input={"url": "https://web-1.example"}
)
APPROVE_NODE = execution.ApproveNode(execution_id="e1", node_id="ask", note="go on")
REJECT_NODE = execution.RejectNode(execution_id="e1", node_id="ask", reason="not today")
RETRY_EXECUTION = execution.RetryExecution(execution_id="e1")
CANCEL_EXECUTION = execution.CancelExecution(execution_id="e1", reason="not needed any more")
ADVANCE_EXECUTION = execution.AdvanceExecution(execution_id="e1")
SETTLE_NODE = execution.SettleNode(execution_id="e1", node_id="check", attempt=1)
FAIL_NODE = execution.FailNode(execution_id="e1", node_id="check", attempt=1, error="workflow x is not known")

WORKFLOW_CREATED = workflow.WorkflowCreated(name="Triage", description="what to do first")
WORKFLOW_PUBLISHED = workflow.WorkflowPublished(version=1, nodes=3, edges=2, graph=GRAPH)
WORKFLOW_DEACTIVATED = workflow.WorkflowDeactivated(reason="too loud")
WORKFLOW_ACTIVATED = workflow.WorkflowActivated(version=1)
WORKFLOW_ARCHIVED = workflow.WorkflowArchived(reason="another one does it")

_RUN: Mapping[str, Any] = {"workflow_id": "triage", "execution_id": "e1", "timestamp": RECORDED_AT}
_CHECK: Mapping[str, Any] = {
    **_RUN,
    "node_id": "check",
    "node_name": "Check it",
    "node_type": "task",
    "attempt": 1,
    "item": None,
}
_ASK: Mapping[str, Any] = {**_CHECK, "node_id": "ask", "node_name": "ask", "node_type": "approval"}

WORKFLOW_STARTED = execution.WorkflowStarted(
    **_RUN,
    name="Triage",
    version=1,
    nodes=3,
    graph=GRAPH,
    input='{"url":"https://web-1.example"}',
    parent=None,
    depth=0,
)
NODE_STARTED = execution.NodeStarted(
    **_CHECK,
    input='{"url":"https://web-1.example"}',
    kind="http.check",
    workflow=None,
    depth=0,
    timeout_s=300,
    heartbeat_s=None,
    attempts=3,
    backoff_s=5,
    due_at=None,
)
NODE_WAITING = execution.NodeWaiting(**_ASK, reason="approval", role=None, until=RECORDED_AT + timedelta(seconds=3_600))
NODE_COMPLETED = execution.NodeCompleted(**_CHECK, next=("well",), duration_ms=0, output='{"status":200}')
NODE_FAILED = execution.NodeFailed(**_CHECK, next=(), duration_ms=0, error="connection refused")
TURN_ENDED = execution.TurnEnded(**_RUN, ready=3)
WORKFLOW_COMPLETED = execution.WorkflowCompleted(
    **_RUN, duration_ms=1_500, parent=None, output='{"ask":{"by":"ann","note":"go on"}}'
)
WORKFLOW_FAILED = execution.WorkflowFailed(
    **_RUN, duration_ms=1_500, parent=None, error="check: connection refused", nodes=("check",)
)
WORKFLOW_CANCELLED = execution.WorkflowCancelled(**_RUN, duration_ms=1_500, parent=None, reason="not needed any more")
WORKFLOW_RETRIED = execution.WorkflowRetried(**_RUN, nodes=("check",))

ADD_PROVIDER_KEY = provider_key.AddProviderKey(
    key_id="openai",
    provider="openai",
    kinds=("chat.complete",),
    base_url="https://api.openai.com/v1",
    prefix="sk-pr",
    sealed="AQID",
)
ROTATE_PROVIDER_KEY = provider_key.RotateProviderKey(key_id="openai", prefix="sk-ne", sealed="AQIE")
REVOKE_PROVIDER_KEY = provider_key.RevokeProviderKey(key_id="openai", reason="not used any more")
PROVIDER_KEY_ADDED = provider_key.ProviderKeyAdded(
    provider="openai", kinds=("chat.complete",), base_url="https://api.openai.com/v1", prefix="sk-pr"
)
PROVIDER_KEY_ROTATED = provider_key.ProviderKeyRotated(prefix="sk-ne")
PROVIDER_KEY_REVOKED = provider_key.ProviderKeyRevoked(reason="not used any more")

LOOK_AT = {"type": "object", "properties": {"path": {"type": "string", "maxLength": 100}}, "required": ["path"]}
_SAYS: Mapping[str, Any] = {
    "name": "Look at a page",
    "description": "gives the status of a page of web-1",
    "kind": "http.check",
    "limit_per_minute": 30,
    "timeout_s": 60,
    "attempts": 2,
}
REGISTER_TOOL = tool.RegisterTool(tool_id="look", parameters=LOOK_AT, fixed={"url": "https://web-1.example"}, **_SAYS)
UPDATE_TOOL = tool.UpdateTool(tool_id="look", limit_per_minute=10)
RETIRE_TOOL = tool.RetireTool(tool_id="look", reason="another one does it")
EXECUTE_TOOL = tool.ExecuteTool(tool_id="look", execution_id="x1", parameters={"path": "/"})
CANCEL_TOOL_EXECUTION = tool.CancelToolExecution(tool_id="look", execution_id="x1", reason="not needed any more")
SETTLE_TOOL_EXECUTION = tool.SettleToolExecution(tool_id="look", execution_id="x1")
FAIL_TOOL_EXECUTION = tool.FailToolExecution(tool_id="look", execution_id="x1", error="task tool-run-x1 is there")

_TEXTS: Mapping[str, Any] = {
    "parameters": '{"properties":{"path":{"maxLength":100,"type":"string"}},"required":["path"],"type":"object"}',
    "fixed": '{"url":"https://web-1.example"}',
}
TOOL_REGISTERED = tool.ToolRegistered(version=1, **_SAYS, **_TEXTS)
TOOL_UPDATED = tool.ToolUpdated(version=2, **{**_SAYS, "limit_per_minute": 10}, **_TEXTS)
TOOL_RETIRED = tool.ToolRetired(reason="another one does it")

_X1: Mapping[str, Any] = {
    "tool_id": "look",
    "tool_version": 1,
    "execution_id": "x1",
    "parent": None,
    "timestamp": RECORDED_AT,
}
TOOL_EXECUTION_STARTED = tool.ToolExecutionStarted(
    **_X1,
    kind="http.check",
    parameters='{"path":"/"}',
    input='{"path":"/","url":"https://web-1.example"}',
    timeout_s=60,
    attempts=2,
)
TOOL_EXECUTION_COMPLETED = tool.ToolExecutionCompleted(**_X1, duration_ms=0, output='{"status":200}')
TOOL_EXECUTION_FAILED = tool.ToolExecutionFailed(**_X1, duration_ms=0, error="connection refused")
TOOL_EXECUTION_CANCELLED = tool.ToolExecutionCancelled(**_X1, duration_ms=0, reason="not needed any more")
TOOL_RUN_NOTED = tool_processes.ToolRunNoted(tool_id="look")
TOOL_WANTED = processes.ToolWanted(tool_id="look", parameters='{"path":"/"}')

RULES = (
    policy.PolicyRule(tools=("look",), when="parameters.path.startsWith('/public')", decision=policy.Decision.ALLOW),
    policy.PolicyRule(when="agent == 'intern'", decision=policy.Decision.DENY, reason="interns look only"),
    policy.PolicyRule(tools=("pay",), decision=policy.Decision.ASK, role=Role.ADMIN, reason="money"),
)
SET_POLICY = policy.SetPolicy(policy_id="careful", name="Careful", rules=RULES)
RETIRE_POLICY = policy.RetirePolicy(policy_id="careful", reason="too careful")
POLICY_SET = policy.PolicySet(
    version=1,
    name="Careful",
    rules=(
        """[{"tools":["look"],"when":"parameters.path.startsWith('/public')","decision":"allow"},"""
        """{"when":"agent == 'intern'","decision":"deny","reason":"interns look only"},"""
        """{"tools":["pay"],"decision":"ask","role":"ADMIN","reason":"money"}]"""
    ),
    otherwise="ask",
)
POLICY_RETIRED = policy.PolicyRetired(reason="too careful")
