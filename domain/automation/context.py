"""The automation context consists of workflows, their executions, and secrets of services outside."""

from domain.automation.decide_execution import EXECUTION
from domain.automation.processes import WORKFLOW_NODE, WORKFLOW_TURN
from domain.automation.provider_key import PROVIDER_KEY
from domain.automation.workflow import WORKFLOW
from domain.context import Context

CONTEXT = Context(
    name="automation", deciders=(WORKFLOW, EXECUTION, PROVIDER_KEY), processes=(WORKFLOW_NODE, WORKFLOW_TURN)
)
