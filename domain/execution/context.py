"""The execution context consists of scripts, the schedules that run them, and what devices executed."""

from domain.context import Context
from domain.execution.command_execution import COMMAND_EXECUTION
from domain.execution.processes import EXECUTION_WATCHDOG, SCHEDULE_RUNNER
from domain.execution.schedule import SCHEDULE
from domain.execution.script import SCRIPT

CONTEXT = Context(
    name="execution",
    deciders=(SCRIPT, SCHEDULE, COMMAND_EXECUTION),
    processes=(SCHEDULE_RUNNER, EXECUTION_WATCHDOG),
)
