"""One valid example of every command, event and fact of the operations context."""

from datetime import timedelta

from domain.operations import agent_release, agent_rollout, retry, served, task
from tests.examples.fleet import PROGRAM
from tests.examples.moments import RECORDED_AT

REQUEST_TASK = task.RequestTask(
    task_id="check-web-1", kind="http.check", input={"url": "https://web-1.example"}, heartbeat_s=60
)
CLAIM_TASK = task.ClaimTask(task_id="check-web-1", worker="worker-1")
HEARTBEAT_TASK = task.HeartbeatTask(task_id="check-web-1", attempt=1)
COMPLETE_TASK = task.CompleteTask(task_id="check-web-1", attempt=1, output={"status": 200})
FAIL_TASK = task.FailTask(task_id="check-web-1", attempt=1, error="connection refused")
POSTPONE_TASK = task.PostponeTask(
    task_id="check-web-1", attempt=1, reason="web-1.example:443 is not asked for now", retry_after_s=30
)
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
TASK_POSTPONED = task.TaskPostponed(
    attempt=1,
    reason="web-1.example:443 is not asked for now",
    retry_at=RECORDED_AT + timedelta(seconds=30),
    postponed=1,
    since=RECORDED_AT,
)
TASK_TIMED_OUT = task.TaskTimedOut(attempt=1, retry_at=None)
TASK_CANCELLED = task.TaskCancelled(reason="not needed any more")

RETRY_PROCESS = retry.RetryProcess(process="lead_to_cash-lead-1")
PROCESS_RETRY_REQUESTED = retry.ProcessRetryRequested(process="lead_to_cash-lead-1", events=2)

PUBLISH_AGENT_RELEASE = agent_release.PublishAgentRelease(
    release_id="agent-1.5", version="1.5.0", digest=PROGRAM, device_ids=("42", "43"), waves=(50, 100)
)
HALT_AGENT_RELEASE = agent_release.HaltAgentRelease(release_id="agent-1.5", reason="it uses too much memory")
RESUME_AGENT_RELEASE = agent_release.ResumeAgentRelease(release_id="agent-1.5", reason="43 was away")
END_AGENT_WAVE = agent_release.EndAgentWave(release_id="agent-1.5", wave=1, device_ids=("43",))

AGENT_RELEASE_PUBLISHED = agent_release.AgentReleasePublished(
    version="1.5.0", digest=PROGRAM, device_ids=("43", "42"), waves=(50, 100), wait_s=3_600, max_failed_percent=10
)
AGENT_WAVE_STARTED = agent_release.AgentWaveStarted(
    wave=1,
    of=2,
    version="1.5.0",
    digest=PROGRAM,
    device_ids=("43",),
    offered=1,
    ends_at=RECORDED_AT + timedelta(hours=1),
)
AGENT_WAVE_ENDED = agent_release.AgentWaveEnded(
    wave=1, wave_updated=0, wave_failed=1, updated=0, failed_device_ids=("43",)
)
AGENT_RELEASE_HALTED = agent_release.AgentReleaseHalted(reason="it uses too much memory", device_ids=("43",))
AGENT_RELEASE_RESUMED = agent_release.AgentReleaseResumed(reason="43 was away")
AGENT_RELEASE_ROLLED_OUT = agent_release.AgentReleaseRolledOut(updated=1, failed=1)
AGENT_ROLLOUT_NOTED = agent_rollout.AgentRolloutNoted(wave=1, device_ids=("43",))

SERVED = served.ApiRequestServed(key_id="k1", route="GET /v1/devices/{id}", status=200, requests=3, ms=12)
SERVED_RECORD = served.ServedRecord(
    served=(
        served.ServedRequests(after_us=0, key_id="k1", route="GET /v1/devices/{id}", status=200, requests=3, ms=12),
        served.ServedRequests(after_us=5, key_id="k2", route="POST /v1/telemetry", status=429, requests=1, ms=0),
    )
)
