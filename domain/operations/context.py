"""The operations context consists of the tasks that workers outside do."""

from domain.context import Context
from domain.operations.processes import TASK_LEASE
from domain.operations.task import TASK

CONTEXT = Context(name="operations", deciders=(TASK,), processes=(TASK_LEASE,))
