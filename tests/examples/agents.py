"""One valid example of every command and event of models, agents, their runs and conversations."""

from collections.abc import Mapping
from typing import Any

from domain.automation import agent, agent_execution, conversation, model
from tests.examples.moments import RECORDED_AT

_MODEL: Mapping[str, Any] = {
    "name": "Small and quick",
    "provider_key": "openai",
    "model": "gpt-4o-mini",
    "max_tokens": 1_024,
    "temperature": 0.2,
}
REGISTER_MODEL = model.RegisterModel(model_id="small", **_MODEL)
UPDATE_MODEL = model.UpdateModel(model_id="small", **{**_MODEL, "model": "gpt-4.1-mini", "temperature": None})
RETIRE_MODEL = model.RetireModel(model_id="small", reason="another one is better")

MODEL_REGISTERED = model.ModelRegistered(**_MODEL)
MODEL_UPDATED = model.ModelUpdated(**{**_MODEL, "model": "gpt-4.1-mini", "temperature": None})
MODEL_RETIRED = model.ModelRetired(reason="another one is better")

_AGENT: Mapping[str, Any] = {
    "name": "First look",
    "prompt": "Find out what is wrong with the device.",
    "model_id": "small",
    "tools": ("ping",),
    "policy_id": "careful",
    "max_steps": 5,
}
CREATE_AGENT = agent.CreateAgent(agent_id="first-look", **_AGENT)
UPDATE_AGENT = agent.UpdateAgent(agent_id="first-look", **{**_AGENT, "policy_id": None, "max_steps": 3})
RETIRE_AGENT = agent.RetireAgent(agent_id="first-look", reason="people look themselves")

AGENT_CREATED = agent.AgentCreated(version=1, **_AGENT)
AGENT_UPDATED = agent.AgentUpdated(version=2, **{**_AGENT, "policy_id": None, "max_steps": 3})
AGENT_RETIRED = agent.AgentRetired(reason="people look themselves")

EXECUTE_AGENT = agent_execution.ExecuteAgent(execution_id="r1", agent_id="first-look", input={"device": "web-1"})
APPROVE_ACTION = agent_execution.ApproveAction(execution_id="r1", action_id="1-1", note="go on")
REJECT_ACTION = agent_execution.RejectAction(execution_id="r1", action_id="1-1", reason="not today")
CANCEL_AGENT_EXECUTION = agent_execution.CancelAgentExecution(execution_id="r1", reason="not needed any more")
PREPARE_AGENT_EXECUTION = agent_execution.PrepareAgentExecution(execution_id="r1", model_id="small", tools=("ping",))
TAKE_ANSWER = agent_execution.TakeAnswer(execution_id="r1", step=1)
EVALUATE_ACTION = agent_execution.EvaluateAction(execution_id="r1", action_id="1-1", policy_id="careful")
SETTLE_ACTION = agent_execution.SettleAction(execution_id="r1", action_id="1-1", output='{"ok":false}')
RETRY_ACTION = agent_execution.RetryAction(execution_id="r1", action_id="1-1")
FAIL_AGENT_EXECUTION = agent_execution.FailAgentExecution(execution_id="r1", error="the tenant is SUSPENDED")

_RUN: Mapping[str, Any] = {"execution_id": "r1", "agent_id": "first-look", "timestamp": RECORDED_AT}
_ACTION: Mapping[str, Any] = {**_RUN, "action_id": "1-1", "tool_id": "ping"}
_OVER: Mapping[str, Any] = {
    **_RUN,
    "parent": None,
    "steps": 2,
    "input_tokens": 220,
    "output_tokens": 31,
    "duration_ms": 1_500,
}

AGENT_EXECUTION_STARTED = agent_execution.AgentExecutionStarted(
    **_RUN,
    agent_name="First look",
    agent_version=1,
    prompt="Find out what is wrong with the device.",
    model_id="small",
    tools=("ping",),
    policy_id="careful",
    max_steps=5,
    input='{"device":"web-1"}',
    parent=None,
    history=None,
)
AGENT_EXECUTION_PREPARED = agent_execution.AgentExecutionPrepared(
    **_RUN,
    model="gpt-4o-mini",
    provider_key="openai",
    max_tokens=1_024,
    temperature=0.2,
    tools=(
        '[{"description":"Ping","name":"ping","parameters":{"properties":{"host":{"type":"string"}},"type":"object"},'
        '"tool_id":"ping"}]'
    ),
)
AGENT_EXECUTION_ASKED = agent_execution.AgentExecutionAsked(
    **_RUN,
    step=1,
    input=(
        '{"max_tokens":1024,"messages":[{"content":"Find out what is wrong with the device.","role":"system"},'
        '{"content":"{\\"device\\":\\"web-1\\"}","role":"user"}],"model":"gpt-4o-mini","provider_key":"openai",'
        '"temperature":0.2,"tools":[{"description":"Ping","name":"ping","parameters":{"properties":{"host":'
        '{"type":"string"}},"type":"object"}}]}'
    ),
)
AGENT_EXECUTION_ANSWERED = agent_execution.AgentExecutionAnswered(
    **_RUN,
    step=1,
    text="I look whether it answers.",
    tool_calls='[{"arguments":{"host":"web-1"},"id":"call_1","name":"ping"}]',
    finish_reason="tool_calls",
    input_tokens=100,
    output_tokens=20,
)
ACTION_PROPOSED = agent_execution.ActionProposed(
    **_ACTION, step=1, call_id="call_1", parameters='{"host":"web-1"}', policy_id="careful"
)
POLICY_EVALUATED = agent_execution.PolicyEvaluated(
    **_ACTION, policy="careful", decision="ask", rule=0, role="ADMIN", reason="it is a busy host"
)
ACTION_APPROVED = agent_execution.ActionApproved(**_ACTION, parameters='{"host":"web-1"}', by="person", note="go on")
ACTION_REJECTED = agent_execution.ActionRejected(**_ACTION, by="person", reason="not today")
ACTION_RETRIED = agent_execution.ActionRetried(**_ACTION, parameters='{"host":"web-1"}')
ACTION_EXECUTED = agent_execution.ActionExecuted(**_ACTION, output='{"ok":false}')
ACTION_FAILED = agent_execution.ActionFailed(**_ACTION, error="no route to the host")
AGENT_EXECUTION_COMPLETED = agent_execution.AgentExecutionCompleted(**_OVER, output="It does not answer.")
AGENT_EXECUTION_FAILED = agent_execution.AgentExecutionFailed(
    **_OVER, error="the model did not answer in step 1: no model is configured"
)
AGENT_EXECUTION_CANCELLED = agent_execution.AgentExecutionCancelled(**_OVER, reason="not needed any more")

START_CONVERSATION = conversation.StartConversation(
    conversation_id="c1", agent_id="first-look", title="The shop is silent"
)
ADD_MESSAGE = conversation.AddMessage(conversation_id="c1", text="Is web-1 there?")
STOP_ANSWER = conversation.StopAnswer(conversation_id="c1", reason="it takes too long")
RENAME_CONVERSATION = conversation.RenameConversation(conversation_id="c1", title="web-1 is silent")
ARCHIVE_CONVERSATION = conversation.ArchiveConversation(conversation_id="c1", reason="it is mended")
TAKE_CONVERSATION_ANSWER = conversation.TakeConversationAnswer(conversation_id="c1", number=1, execution_id="r1")
FAIL_CONVERSATION_ANSWER = conversation.FailConversationAnswer(
    conversation_id="c1", number=1, error="agent first-look is retired"
)

CONVERSATION_STARTED = conversation.ConversationStarted(agent_id="first-look", title="The shop is silent")
MESSAGE_ADDED = conversation.MessageAdded(
    number=1, author="user-ann", text="Is web-1 there?", agent_id="first-look", started_by="ann"
)
CONVERSATION_ANSWERED = conversation.ConversationAnswered(
    number=2,
    author="user-ann",
    text="It does not answer.",
    execution_id="r1",
    input_tokens=220,
    output_tokens=31,
    started_by="ann",
)
ANSWER_FAILED = conversation.AnswerFailed(number=1, error="agent first-look is retired", started_by="ann")
CONVERSATION_RENAMED = conversation.ConversationRenamed(title="web-1 is silent")
CONVERSATION_ARCHIVED = conversation.ConversationArchived(reason="it is mended")
