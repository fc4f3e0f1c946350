"""The operations context: tasks of workers outside, agent releases, what is asked of processes and what is served."""

from domain.context import Context
from domain.operations.agent_release import AGENT_RELEASE
from domain.operations.agent_rollout import AGENT_ROLLOUT
from domain.operations.processes import TASK_LEASE
from domain.operations.retry import RETRIES
from domain.operations.served import ApiRequestServed
from domain.operations.task import TASK

CONTEXT = Context(
    name="operations",
    deciders=(TASK, RETRIES, AGENT_RELEASE),
    facts=(ApiRequestServed,),
    processes=(TASK_LEASE, AGENT_ROLLOUT),
)
