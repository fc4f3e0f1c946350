"""One valid example of every command and event of the execution context."""

from datetime import timedelta

from domain.execution import command_execution, schedule, script
from tests.examples.moments import RECORDED_AT

BODY = "df -h"
DIGEST = script.digest_of(BODY)

CREATE_SCRIPT = script.CreateScript(script_id="disk", name="Free space", shell=script.Shell.BASH, body=BODY)
UPDATE_SCRIPT = script.UpdateScript(script_id="disk", timeout_s=60)

SCRIPT_CREATED = script.ScriptCreated(name="Free space", shell="bash", body=BODY, digest=DIGEST, timeout_s=480)
SCRIPT_UPDATED = script.ScriptUpdated(name="Free space", shell="bash", body=BODY, digest=DIGEST, timeout_s=60)

RUN_COMMAND = command_execution.RunCommand(
    execution_id="x1", device_id="42", shell=script.Shell.BASH, body=BODY, timeout_s=60
)
RUN_SCRIPT = command_execution.RunScript(execution_id="x1", device_id="42", script_id="disk")
START_EXECUTION = command_execution.StartExecution(execution_id="x1")
REPORT_RESULT = command_execution.ReportResult(execution_id="x1", exit_code=0, stdout="63%", duration_ms=120)
CANCEL_EXECUTION = command_execution.CancelExecution(execution_id="x1", reason="not needed")
TIME_OUT_EXECUTION = command_execution.TimeOutExecution(execution_id="x1")

DISPATCHED = command_execution.CommandDispatched(
    device_id="42", shell="bash", body=BODY, digest=DIGEST, timeout_s=60, script_id=None
)
COMMAND_STARTED = command_execution.CommandStarted(by="ann")
COMPLETED = command_execution.CommandCompleted(exit_code=0, stdout="63%", truncated=False, duration_ms=120)
COMMAND_FAILED = command_execution.CommandFailed(error="no such shell", duration_ms=0)
TIMED_OUT = command_execution.CommandTimedOut(was="PENDING")
CANCELLED = command_execution.CommandCancelled(reason="not needed")

SCHEDULE_SCRIPT = schedule.ScheduleScript(
    schedule_id="nightly", script_id="disk", device_ids=("42", "43"), cron="30 2 * * *", timezone="Europe/Berlin"
)
PAUSE_SCHEDULE = schedule.PauseSchedule(schedule_id="nightly", reason="holidays")
RESUME_SCHEDULE = schedule.ResumeSchedule(schedule_id="nightly")
REMOVE_SCHEDULE = schedule.RemoveSchedule(schedule_id="nightly", reason="replaced")
FIRE_SCHEDULE = schedule.FireSchedule(schedule_id="nightly")

# 2:30 of the next night in Berlin
NEXT_RUN = RECORDED_AT.replace(day=1, month=2, hour=1, minute=30, second=0, microsecond=0)
SCHEDULE_CREATED = schedule.ScheduleCreated(
    script_id="disk",
    device_ids=("42", "43"),
    cron="30 2 * * *",
    every_s=None,
    timezone="Europe/Berlin",
    timeout_s=None,
    next_run_at=NEXT_RUN,
)
SCHEDULE_FIRED = schedule.ScheduleFired(
    script_id="disk",
    device_ids=("42", "43"),
    timeout_s=None,
    due_at=NEXT_RUN,
    next_run_at=NEXT_RUN + timedelta(days=1),
)
SCHEDULE_PAUSED = schedule.SchedulePaused(reason="holidays")
SCHEDULE_RESUMED = schedule.ScheduleResumed(next_run_at=NEXT_RUN)
SCHEDULE_REMOVED = schedule.ScheduleRemoved(reason="replaced")
