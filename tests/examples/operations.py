"""One valid example of every command, event and fact of the operations context."""

from datetime import timedelta

from domain.operations import served, task
from tests.examples.moments import RECORDED_AT

REQUEST_TASK = task.RequestTask(
    task_id="check-web-1", kind="http.check", input={"url": "https://web-1.example"}, heartbeat_s=60
)
CLAIM_TASK = task.ClaimTask(task_id="check-web-1", worker="worker-1")
HEARTBEAT_TASK = task.HeartbeatTask(task_id="check-web-1", attempt=1)
COMPLETE_TASK = task.CompleteTask(task_id="check-web-1", attempt=1, output={"status": 200})
FAIL_TASK = task.FailTask(task_id="check-web-1", attempt=1, error="connection refused")
TIME_OUT_TASK = task.TimeOutTask(task_id="check-web-1")
CANCEL_TASK = task.CancelTask(task_id="check-web-1", reason="not needed any more")

TASK_REQUESTED = task.TaskRequested(
    kind="http.check",
    input='{"url":"https://web-1.example"}',
    timeout_s=300,
    heartbeat_s=60,
    attempts=3,
    backoff_s=5,
)
TASK_CLAIMED = task.TaskClaimed(
    worker="worker-1", attempt=1, claimed_at=RECORDED_AT, lease_until=RECORDED_AT + timedelta(seconds=60)
)
TASK_HEARTBEAT = task.TaskHeartbeat(attempt=1, lease_until=RECORDED_AT + timedelta(seconds=60))
TASK_MODEL_USED = task.TaskModelUsed(
    attempt=1, provider="openai", model="gpt-4o-mini", input_tokens=120, output_tokens=40
)
TASK_COMPLETED = task.TaskCompleted(attempt=1, output='{"status":200}')
TASK_FAILED = task.TaskFailed(
    attempt=1, error="connection refused", retryable=True, retry_at=RECORDED_AT + timedelta(seconds=5)
)
TASK_TIMED_OUT = task.TaskTimedOut(attempt=1, retry_at=None)
TASK_CANCELLED = task.TaskCancelled(reason="not needed any more")

SERVED = served.ApiRequestServed(key_id="k1", route="GET /v1/devices/{id}", status=200, requests=3, ms=12)
SERVED_RECORD = served.ServedRecord(
    served=(
        served.ServedRequests(after_us=0, key_id="k1", route="GET /v1/devices/{id}", status=200, requests=3, ms=12),
        served.ServedRequests(after_us=5, key_id="k2", route="POST /v1/telemetry", status=429, requests=1, ms=0),
    )
)
