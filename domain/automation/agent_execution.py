"""These are the commands and the events of an agent's run."""

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import StringConstraints

from domain.automation.execution import ExecutionId
from domain.message import Command, Event, classes_of, value
from schemas.envelope import StreamId
from schemas.json_text import Json
from schemas.values import Id, Text

ActionId = Annotated[str, StringConstraints(max_length=16, pattern=r"^[0-9]+-[0-9]+$")]
"""The step, and which one of the actions that the model asked for in it: `2-1`."""

POLICY, PERSON, RUN = "policy", "person", "run"
"""Who approved or rejected an action: the run itself rejects what is open when it ends."""


def agent_execution_stream(execution_id: str) -> StreamId:
    return StreamId(f"agent_execution-{execution_id}")


def chat_task_id(execution_id: str, step: int) -> str:
    """Return the id of the task in which the model answers in this step."""
    return f"{execution_id}~{step}"


def action_token(execution_id: str, action_id: str) -> str:
    """Return the name of an action among those of all runs, which is the id of its tool's execution too."""
    return f"{execution_id}~{action_id}"


# --- commands


@value
class _OfAgentExecution(Command):
    execution_id: ExecutionId

    @property
    def stream(self) -> StreamId:
        return agent_execution_stream(self.execution_id)


@value
class ExecuteAgent(_OfAgentExecution):
    """Begin a run of the agent's newest version, which it keeps.

    Shape: `input` is what the model is told after the prompt, a text or any JSON. `parent` is given by the engine, for
    whoever waits for the end, and so is `conversation_id`, whose last message is the input then.
    """

    agent_id: Id
    input: Json = None
    parent: str | None = None
    conversation_id: str | None = None


@value
class ApproveAction(_OfAgentExecution):
    """Let the agent do what it proposes."""

    action_id: ActionId
    note: Text = ""


@value
class RejectAction(_OfAgentExecution):
    """Do not let the agent do what it proposes; the model is told the reason."""

    action_id: ActionId
    reason: Text


@value
class CancelAgentExecution(_OfAgentExecution):
    reason: Text = ""


@value
class PrepareAgentExecution(_OfAgentExecution):
    """Take over what the model and the tools say now, and ask the model for the first time."""

    IS_OURS: ClassVar = True
    model_id: str
    tools: tuple[str, ...]


@value
class TakeAnswer(_OfAgentExecution):
    """Take over how the step's task ended; before that it changes nothing."""

    IS_OURS: ClassVar = True
    step: int


@value
class EvaluateAction(_OfAgentExecution):
    """Let the policy decide on what the agent proposes."""

    IS_OURS: ClassVar = True
    action_id: ActionId
    policy_id: str | None


@value
class SettleAction(_OfAgentExecution):
    """Take over how the tool's execution ended. Shape: `output` is JSON, None where there is an error."""

    IS_OURS: ClassVar = True
    action_id: ActionId
    output: str | None = None
    error: str = ""


@value
class RetryAction(_OfAgentExecution):
    """Ask once more for a tool that was used too often in a minute."""

    IS_OURS: ClassVar = True
    action_id: ActionId


@value
class FailAgentExecution(_OfAgentExecution):
    IS_OURS: ClassVar = True
    error: Text


AgentExecutionCommand = (
    ExecuteAgent
    | ApproveAction
    | RejectAction
    | CancelAgentExecution
    | PrepareAgentExecution
    | TakeAnswer
    | EvaluateAction
    | SettleAction
    | RetryAction
    | FailAgentExecution
)

# --- events


@value
class _OfRun(Event):
    execution_id: str
    agent_id: str
    timestamp: datetime


@value
class AgentExecutionStarted(_OfRun):
    """Shape: it has all that the agent was then. `input` is JSON; `parent` is who waits for the end.

    `history` is what was said before the input in a conversation, a JSON list of {role, content}; None without one.
    """

    TYPE: ClassVar = "agent.execution.started"
    VERSION: ClassVar = 2
    agent_name: str
    agent_version: int
    prompt: str
    model_id: str
    tools: tuple[str, ...]
    policy_id: str | None
    max_steps: int
    input: str
    parent: str | None
    history: str | None


@value
class AgentExecutionPrepared(_OfRun):
    """Shape: `tools` is a JSON list with the id, the name for the model, description and parameters of each."""

    TYPE: ClassVar = "agent.execution.prepared"
    model: str
    provider_key: str | None
    max_tokens: int
    temperature: float | None
    tools: str


@value
class AgentExecutionAsked(_OfRun):
    """The model is wanted. Shape: `input` is JSON, that of a task of the kind chat.complete."""

    TYPE: ClassVar = "agent.execution.asked"
    step: int
    input: str


@value
class AgentExecutionAnswered(_OfRun):
    """Shape: `tool_calls` is a JSON list of {id, name, arguments}."""

    TYPE: ClassVar = "agent.execution.answered"
    step: int
    text: str
    tool_calls: str
    finish_reason: str | None
    input_tokens: int
    output_tokens: int


@value
class _OfAction(_OfRun):
    action_id: str
    tool_id: str


@value
class ActionProposed(_OfAction):
    """Shape: `call_id` is the provider's; `parameters` is JSON."""

    TYPE: ClassVar = "agent.action.proposed"
    step: int
    call_id: str
    parameters: str
    policy_id: str | None


@value
class PolicyEvaluated(_OfAction):
    """Shape: `decision` is allow, deny or ask; `rule` is the place of the rule that decided, None where none did.

    `role` is who is asked, None for anybody who may approve.
    """

    TYPE: ClassVar = "policy.evaluated"
    policy: str | None
    decision: str
    rule: int | None
    role: str | None
    reason: str


@value
class ActionApproved(_OfAction):
    """Shape: `by` is policy or person."""

    TYPE: ClassVar = "agent.action.approved"
    parameters: str
    by: str
    note: str


@value
class ActionRejected(_OfAction):
    """Shape: `by` is policy, person, or run where the run ended before anybody decided."""

    TYPE: ClassVar = "agent.action.rejected"
    by: str
    reason: str


@value
class ActionRetried(_OfAction):
    TYPE: ClassVar = "agent.action.retried"
    parameters: str


@value
class ActionExecuted(_OfAction):
    """Shape: `output` is JSON."""

    TYPE: ClassVar = "agent.action.executed"
    output: str


@value
class ActionFailed(_OfAction):
    TYPE: ClassVar = "agent.action.failed"
    error: str


@value
class _RunEnded(_OfRun):
    parent: str | None
    steps: int
    input_tokens: int
    output_tokens: int
    duration_ms: int


@value
class AgentExecutionCompleted(_RunEnded):
    """Shape: `output` is the model's last text."""

    TYPE: ClassVar = "agent.execution.completed"
    output: str


@value
class AgentExecutionFailed(_RunEnded):
    TYPE: ClassVar = "agent.execution.failed"
    error: str


@value
class AgentExecutionCancelled(_RunEnded):
    TYPE: ClassVar = "agent.execution.cancelled"
    reason: str


AgentExecutionEvent = (
    AgentExecutionStarted
    | AgentExecutionPrepared
    | AgentExecutionAsked
    | AgentExecutionAnswered
    | ActionProposed
    | PolicyEvaluated
    | ActionApproved
    | ActionRejected
    | ActionRetried
    | ActionExecuted
    | ActionFailed
    | AgentExecutionCompleted
    | AgentExecutionFailed
    | AgentExecutionCancelled
)

COMMANDS = classes_of(AgentExecutionCommand)
EVENTS = classes_of(AgentExecutionEvent)
