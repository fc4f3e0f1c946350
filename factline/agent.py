"""A device agent runs the scripts that a server asks of its device, if the device's owner has allowed them.

A script is allowed by the SHA-256 of its text, which is computed here: whoever can write to the server can ask for
nothing that the owner has not read.
"""

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from hashlib import sha256
from time import monotonic
from typing import Any

from factline.client import Client, Conflict, Expired, Invalid, ServerGone, ServerRefused, TooManyRequests
from factline.scripts import Ran, run

_LOG = logging.getLogger(__name__)

_LONGEST_PAUSE_S = 60.0
_LATER = (ServerGone, TooManyRequests, Expired)
"""What may go well the next time."""

_BEATS = 3  # heartbeats in the time that a task allows between two

STOPPED = "the agent was stopped while this ran"
LOST = "the agent ended while this ran; whether it came to its end is not known"


class Agent:
    """Does what waits for one device, one after the other; a device has one agent.

    Shape: `allowed` are digests of scripts, 64 hexadecimal digits each; nothing else is run, in none but these `shells`
    and no longer than `limit_s`. Beside commands for the device it does tasks of `task_kind`, whose input is `{"shell":
    …, "body": …}`, where one is given. A `version` is reported as the device's `agent_version`. The key needs the
    scopes `scripts:read` and `execution:write`, `tasks:write` for tasks, and `fleet:write` for the version.
    """

    def __init__(
        self,
        client: Client,
        device_id: str,
        allowed: Collection[str],
        *,
        shells: Collection[str] = ("bash",),
        limit_s: float = 600.0,
        poll_s: float = 5.0,
        task_kind: str | None = None,
        version: str | None = None,
    ) -> None:
        self._client = client
        self._device_id = device_id
        self._allowed = frozenset(digest.lower() for digest in allowed)
        self._shells = frozenset(shells)
        self._limit_s = limit_s
        self._poll_s = poll_s
        self._task_kind = task_kind
        self._version = version
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Let `work` return; a script that runs is ended, and that is reported."""
        self._stopping.set()

    def work(self) -> None:
        """Work until `stop` is called. Raises: ServerRefused, the key may not do this."""
        settled = False
        pause_s = self._poll_s
        while not self._stopping.is_set():
            try:
                if not settled:
                    self.settle()
                    settled = True
                self.turn()
            except _LATER as error:
                pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)
                _LOG.warning("the server gives no work now: %s", error)
            else:
                pause_s = self._poll_s
            self._stopping.wait(pause_s)

    def settle(self) -> None:
        """Report the version, and what an earlier agent of this device began and did not end: it is not run again."""
        if self._version is not None:
            said = {"device_id": self._device_id, "agent_version": self._version}
            self._client.command("fleet", "UpdateDevice", said)
        for row in self._client.rows("/v1/command_executions", device_id=self._device_id, status="RUNNING"):
            self._report(row["id"], {"error": LOST})

    def turn(self) -> None:
        """Do what waits now."""
        asked: dict[str, Any] = {"device_id": self._device_id, "status": "PENDING", "sort": "dispatched_at"}
        for row in list(self._client.rows("/v1/command_executions", **asked)):
            if self._stopping.is_set():
                return
            self._execute(row)
        if self._task_kind is not None:
            claim = {"kinds": [self._task_kind], "worker": self._device_id, "max": 1, "wait_s": 0}
            while not self._stopping.is_set() and (tasks := self._client.post("/v1/tasks/claim", claim)["rows"]):
                self._do(tasks[0])

    def _execute(self, row: Mapping[str, Any]) -> None:
        execution_id = row["id"]
        refusal = self._refusal(row["shell"], row["body"])
        if refusal is not None:
            _LOG.warning("%s: %s", execution_id, refusal)
            self._report(execution_id, {"error": refusal})
            return
        try:
            begun = self._client.command("execution", "StartExecution", {"execution_id": execution_id})
        except Conflict as error:
            _LOG.warning("%s is not run: %s", execution_id, error)
            return
        if not begun.events:
            # it was cancelled, or is over, since it was listed
            return
        ran = self._run(execution_id, row["shell"], row["body"], row["timeout_s"], self._stop_reason)
        result: dict[str, Any] = {"duration_ms": ran.duration_ms}
        if ran.error is None:
            result |= {"exit_code": ran.exit_code, "stdout": ran.output, "truncated": ran.truncated}
        else:
            result |= {"error": ran.error}
        self._report(execution_id, result)

    def _report(self, execution_id: str, result: Mapping[str, Any]) -> None:
        try:
            body = {"execution_id": execution_id, **result}
            self._until_taken(lambda: self._client.command("execution", "ReportResult", body))
        except Conflict as error:
            _LOG.warning("the result of %s is of no use: %s", execution_id, error)

    def _do(self, task: Mapping[str, Any]) -> None:
        path, attempt = f"/v1/tasks/{task['task_id']}", {"attempt": task["attempt"]}
        asked = task["input"] if isinstance(task["input"], dict) else {}
        shell, body = asked.get("shell", "bash"), asked.get("body", "")
        refusal = self._refusal(shell, body)
        end: str
        if refusal is not None:
            _LOG.warning("%s: %s", task["task_id"], refusal)
            end, said = "fail", {"error": refusal, "retryable": False}
        else:
            beat = self._beats(path, attempt, task["heartbeat_s"])
            ran = self._run(task["task_id"], shell, body, task["timeout_s"], beat)
            if ran.error is None:
                output = {"exit_code": ran.exit_code, "stdout": ran.output, "truncated": ran.truncated}
                end, said = "complete", {"output": output}
            else:
                end, said = "fail", {"error": ran.error, "retryable": False}
        key = f"{task['task_id']}/{task['attempt']}/{end}"[-128:]
        try:
            self._until_taken(lambda: self._client.post(f"{path}/{end}", {**attempt, **said}, idempotency_key=key))
        except (Conflict, Invalid) as error:
            _LOG.warning("the answer to task %s is of no use: %s", task["task_id"], error)

    def _refusal(self, shell: Any, body: Any) -> str | None:
        """Return why a script is not run, None where it may be."""
        if not isinstance(body, str) or not isinstance(shell, str) or shell not in self._shells:
            return f"{shell} is no shell that this device runs scripts with: {', '.join(sorted(self._shells))}"
        digest = sha256(body.encode()).hexdigest()
        return None if digest in self._allowed else f"the script with the digest {digest} is not allowed on this device"

    def _run(self, name: str, shell: str, body: str, timeout_s: float, meanwhile: Callable[[], str | None]) -> Ran:
        _LOG.info("%s begins", name)
        ran = run(shell, body, limit_s=min(timeout_s, self._limit_s), meanwhile=meanwhile)
        _LOG.info("%s: %s, %d ms", name, ran.error or f"exit code {ran.exit_code}", ran.duration_ms)
        return ran

    def _stop_reason(self) -> str | None:
        return STOPPED if self._stopping.is_set() else None

    def _beats(self, path: str, attempt: Mapping[str, Any], heartbeat_s: int | None) -> Callable[[], str | None]:
        """Return what is to be asked while a task is done: it sends heartbeats, and ends what was taken away."""
        last = monotonic()

        def beat() -> str | None:
            nonlocal last
            if heartbeat_s is not None and monotonic() - last > heartbeat_s / _BEATS:
                last = monotonic()
                try:
                    self._client.post(f"{path}/heartbeat", attempt, patience_s=0)
                except _LATER:
                    pass  # the next one may come through
                except ServerRefused as error:
                    return f"the task was taken away: {error}"
            return self._stop_reason()

        return beat

    def _until_taken(self, say: Callable[[], Any]) -> None:
        """Say how something ended until the server has heard it, or this agent is stopped and nobody listens."""
        while True:
            try:
                say()
            except _LATER as error:
                _LOG.warning("a result cannot be reported now: %s", error)
                if self._stopping.wait(self._poll_s):
                    return
            else:
                return
