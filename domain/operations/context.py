"""The operations context consists of the tasks that workers outside do, and of what the system records about itself."""

from domain.context import Context
from domain.operations.processes import TASK_LEASE
from domain.operations.served import ApiRequestServed
from domain.operations.task import TASK

CONTEXT = Context(name="operations", deciders=(TASK,), facts=(ApiRequestServed,), processes=(TASK_LEASE,))
