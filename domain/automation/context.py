"""The automation context: workflows, agents, their runs and conversations, tools, policies, models, collections."""

from domain.automation.agent import AGENT
from domain.automation.agent_processes import AGENT_RUN
from domain.automation.conversation import CONVERSATION
from domain.automation.conversation_processes import CONVERSATION_ANSWER
from domain.automation.decide_agent_execution import AGENT_EXECUTION
from domain.automation.decide_execution import EXECUTION
from domain.automation.decide_tool import TOOL
from domain.automation.decide_vector_collection import VECTOR_COLLECTION
from domain.automation.model import MODEL
from domain.automation.policy import POLICY
from domain.automation.processes import WORKFLOW_NODE, WORKFLOW_TURN
from domain.automation.provider_key import PROVIDER_KEY
from domain.automation.tool_processes import TOOL_RUN
from domain.automation.vector_processes import VECTOR_CHANGE
from domain.automation.workflow import WORKFLOW
from domain.context import Context

CONTEXT = Context(
    name="automation",
    deciders=(
        WORKFLOW,
        EXECUTION,
        PROVIDER_KEY,
        TOOL,
        POLICY,
        MODEL,
        AGENT,
        AGENT_EXECUTION,
        CONVERSATION,
        VECTOR_COLLECTION,
    ),
    processes=(WORKFLOW_NODE, WORKFLOW_TURN, TOOL_RUN, AGENT_RUN, CONVERSATION_ANSWER, VECTOR_CHANGE),
)
