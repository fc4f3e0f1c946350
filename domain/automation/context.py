"""The automation context consists of workflows and their executions."""

from domain.automation.decide_execution import EXECUTION
from domain.automation.processes import WORKFLOW_NODE, WORKFLOW_TURN
from domain.automation.workflow import WORKFLOW
from domain.context import Context

CONTEXT = Context(name="automation", deciders=(WORKFLOW, EXECUTION), processes=(WORKFLOW_NODE, WORKFLOW_TURN))
