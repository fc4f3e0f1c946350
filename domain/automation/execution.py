"""These are the commands and the events of an execution of a workflow."""

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from domain.automation.graph import NodeId
from domain.message import Command, Event, classes_of, value
from schemas.envelope import StreamId
from schemas.json_text import Json
from schemas.values import Id, Text

ExecutionId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]*$")]


def execution_stream(execution_id: str) -> StreamId:
    return StreamId(f"execution-{execution_id}")


# --- commands


@value
class _OfExecution(Command):
    execution_id: ExecutionId

    @property
    def stream(self) -> StreamId:
        return execution_stream(self.execution_id)


@value
class ExecuteWorkflow(_OfExecution):
    """Begin an execution of the workflow's newest version, which it keeps.

    Shape: `parent` and `depth` are given by the engine, for the execution that a node of another one begins.
    """

    IS_FOR_OWN: ClassVar = True
    workflow_id: Id
    input: Json = None
    parent: str | None = None
    depth: Annotated[int, Field(strict=True, ge=0)] = 0


@value
class ApproveNode(_OfExecution):
    node_id: NodeId
    note: Text = ""


@value
class RejectNode(_OfExecution):
    node_id: NodeId
    reason: Text


@value
class RetryExecution(_OfExecution):
    """Go on from the nodes that failed; what was done stays done."""

    IS_FOR_OWN: ClassVar = True


@value
class CancelExecution(_OfExecution):
    IS_FOR_OWN: ClassVar = True
    reason: Text = ""


@value
class AdvanceExecution(_OfExecution):
    """Go on with what the turn before left."""

    IS_OURS: ClassVar = True


@value
class _OfNode(_OfExecution):
    IS_OURS: ClassVar = True
    node_id: NodeId
    attempt: int
    item: int | None = None


@value
class SettleNode(_OfNode):
    """Take over how the node's work ended, or that its time has come; before that it changes nothing.

    Shape: `tool_execution` is the execution of a tool that does the work, where it is no task or workflow.
    """

    tool_execution: str | None = None


@value
class FailNode(_OfNode):
    error: Text


ExecutionCommand = (
    ExecuteWorkflow
    | ApproveNode
    | RejectNode
    | RetryExecution
    | CancelExecution
    | AdvanceExecution
    | SettleNode
    | FailNode
)

# --- events

_WorkflowId = Annotated[str, Field(alias="workflowId")]
_ExecutionId = Annotated[str, Field(alias="executionId")]
_NodeId = Annotated[str, Field(alias="nodeId")]
_NodeName = Annotated[str, Field(alias="nodeName")]
_NodeType = Annotated[str, Field(alias="nodeType")]


@value
class _OfRun(Event):
    workflow_id: _WorkflowId
    execution_id: _ExecutionId
    timestamp: datetime


@value
class WorkflowStarted(_OfRun):
    """Shape: `graph` and `input` are JSON; `parent` is the node of another execution that waits for this one."""

    TYPE: ClassVar = "workflow.started"
    name: str
    version: int
    nodes: int
    graph: str
    input: str
    parent: str | None
    depth: int


@value
class _OfNodeRun(_OfRun):
    """Shape: `attempt` counts from 1; `item` is the index of an item, where the event is about one of a foreach."""

    node_id: _NodeId
    node_name: _NodeName
    node_type: _NodeType
    attempt: int
    item: int | None


@value
class NodeStarted(_OfNodeRun):
    """Shape: `input` is JSON. With `kind` a task is wanted, with `workflow` an execution of that one.

    What is not done by `due_at` is not waited for any longer.
    """

    TYPE: ClassVar = "workflow.node.started"
    input: str
    kind: str | None
    workflow: str | None
    depth: int
    timeout_s: int
    heartbeat_s: int | None
    attempts: int
    backoff_s: int
    due_at: datetime | None


@value
class NodeWaiting(_OfNodeRun):
    """Shape: `reason` is time or approval, `role` who may approve; `until` is when the time has come or is over."""

    TYPE: ClassVar = "workflow.node.waiting"
    reason: str
    role: str | None
    until: datetime | None


@value
class _NodeEnded(_OfNodeRun):
    """Shape: `next` are the nodes to which an edge is taken."""

    next: tuple[str, ...]
    duration_ms: int


@value
class NodeCompleted(_NodeEnded):
    """Shape: `output` is JSON."""

    TYPE: ClassVar = "workflow.node.completed"
    output: str


@value
class NodeFailed(_NodeEnded):
    """Shape: a failure that no edge takes fails the execution in the end."""

    TYPE: ClassVar = "workflow.node.failed"
    error: str


@value
class TurnEnded(_OfRun):
    """The execution goes on in a transaction of its own; `ready` nodes are left."""

    TYPE: ClassVar = "workflow.turn.ended"
    ready: int


@value
class _RunEnded(_OfRun):
    duration_ms: int
    parent: str | None


@value
class WorkflowCompleted(_RunEnded):
    """Shape: `output` is a JSON object with the outputs of the nodes from which no edge leads."""

    TYPE: ClassVar = "workflow.completed"
    output: str


@value
class WorkflowFailed(_RunEnded):
    TYPE: ClassVar = "workflow.failed"
    error: str
    nodes: tuple[str, ...]


@value
class WorkflowCancelled(_RunEnded):
    TYPE: ClassVar = "workflow.cancelled"
    reason: str


@value
class WorkflowRetried(_OfRun):
    TYPE: ClassVar = "workflow.retried"
    nodes: tuple[str, ...]


ExecutionEvent = (
    WorkflowStarted
    | NodeStarted
    | NodeWaiting
    | NodeCompleted
    | NodeFailed
    | TurnEnded
    | WorkflowCompleted
    | WorkflowFailed
    | WorkflowCancelled
    | WorkflowRetried
)

COMMANDS = classes_of(ExecutionCommand)
EVENTS = classes_of(ExecutionEvent)
