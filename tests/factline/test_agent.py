"""A device agent runs what its owner has allowed, on a real server's word, and nothing else."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result

from factline.agent import LOST, STOPPED, Agent
from factline.client import Client, Forbidden, ServerGone
from infra.cli.main import cli
from tests.conformance import Target
from tests.factline.test_scripts import is_gone
from tests.waiting import eventually

pytestmark = pytest.mark.full

IS_ROOT = os.geteuid() == 0
UNPRIVILEGED = ("--user", "nobody") if IS_ROOT else ()
NUMBERS = count(1)
ALLOWED = "echo hello; echo there >&2; exit 3\n"


def digest(body: str) -> str:
    return sha256(body.encode()).hexdigest()


class Device:
    """A device of a running server, and what it is asked."""

    def __init__(self, server: Target, client: Client) -> None:
        self.server, self.client, self.id = server, client, f"agent-{next(NUMBERS)}"
        client.command("fleet", "RegisterDevice", {"device_id": self.id, "hostname": self.id})

    def ask(self, body: str, *, name: str = "x", **more: Any) -> str:
        id_ = f"{self.id}~{name}"
        asked = {"execution_id": id_, "device_id": self.id, "shell": "bash", "body": body, **more}
        reply = self.client.command("execution", "RunCommand", asked)
        self.client.get("/v1/command_executions", consistent_with=reply.token)
        return id_

    def agent(self, *allowed: str, **more: Any) -> Agent:
        return Agent(self.client, self.id, [digest(body) for body in allowed], poll_s=0.1, **more)

    def shown(self, id_: str, **wanted: Any) -> Mapping[str, Any]:
        """Return an execution when it is as it is wanted."""

        def found() -> Mapping[str, Any] | None:
            [row] = self.client.get(f"/v1/command_executions/{id_}")["rows"]
            return row if wanted.items() <= row.items() else None

        row: Mapping[str, Any] = eventually(found)
        return row


@pytest.fixture
def device(server: Target) -> Iterator[Device]:
    with Client(server.url, server.tenant_key) as client:
        yield Device(server, client)


@contextmanager
def working(agent: Agent) -> Iterator[None]:
    thread = Thread(target=agent.work)
    thread.start()
    try:
        yield
    finally:
        agent.stop()
        thread.join()


def test_allowed_script_is_run_and_its_result_reported_once(device: Device) -> None:
    id_ = device.ask(ALLOWED)
    agent = device.agent(ALLOWED)
    agent.turn()
    row = device.shown(id_, status="COMPLETED")
    assert (row["exit_code"], row["stdout"], row["truncated"]) == (3, "hello\nthere\n", False)
    agent.turn()
    history = [event["type"] for event in device.client.rows(f"/v1/audit/streams/command_execution-{id_}")]
    assert history == ["command.dispatched", "command.started", "command.completed"]


def test_script_of_a_schedule_is_allowed_by_its_text(device: Device) -> None:
    script = {"script_id": f"{device.id}-s", "name": "one", "shell": "bash", "body": ALLOWED}
    device.client.command("execution", "CreateScript", script)
    run = {"execution_id": f"{device.id}~s", "device_id": device.id, "script_id": script["script_id"]}
    reply = device.client.command("execution", "RunScript", run)
    device.client.get("/v1/command_executions", consistent_with=reply.token)
    device.agent(ALLOWED).turn()
    device.shown(run["execution_id"], status="COMPLETED", exit_code=3)


def test_script_whose_digest_is_not_allowed_is_refused_and_not_run(device: Device, tmp_path: Path) -> None:
    body = f"touch {tmp_path}/ran"
    id_ = device.ask(body)
    device.agent(ALLOWED).turn()
    error = device.shown(id_, status="FAILED")["error"]
    assert error == f"the script with the digest {digest(body)} is not allowed on this device"
    assert not (tmp_path / "ran").exists()


def test_allowed_text_is_not_run_by_another_program(device: Device) -> None:
    id_ = device.ask(ALLOWED, shell="python")
    device.agent(ALLOWED).turn()
    assert device.shown(id_, status="FAILED")["error"].startswith("python is no shell")


def test_limits_of_the_device_hold_whatever_the_server_says(device: Device) -> None:
    long, loud = "sleep 300", "yes | head -n 200000"
    ids = device.ask(long, name="long", timeout_s=3_600), device.ask(loud, name="loud")
    device.agent(long, loud, limit_s=1).turn()
    assert device.shown(ids[0], status="FAILED")["error"] == "ended after 1 s, its time limit"
    row = device.shown(ids[1], status="COMPLETED")
    assert (row["truncated"], len(row["stdout"])) == (True, 65_536)


def test_cancelled_command_is_not_run(device: Device, tmp_path: Path) -> None:
    body = f"touch {tmp_path}/ran"
    id_ = device.ask(body)
    listed = device.client.get("/v1/command_executions", device_id=device.id)["rows"]
    device.client.command("execution", "CancelExecution", {"execution_id": id_})
    agent = device.agent(body)
    # as it was listed before
    agent._execute(listed[0])
    assert not (tmp_path / "ran").exists()
    device.shown(id_, status="CANCELLED")


def test_agent_that_is_stopped_ends_its_script_and_says_so(device: Device, tmp_path: Path) -> None:
    body = f"echo $$ > {tmp_path}/pid; sleep 300"
    id_ = device.ask(body)
    with working(device.agent(body)):
        eventually((tmp_path / "pid").exists)
    assert device.shown(id_, status="FAILED")["error"] == STOPPED
    assert eventually(lambda: is_gone(tmp_path / "pid"))


def test_agent_waits_for_a_server_that_is_away(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    id_ = device.ask(ALLOWED)
    away, agent = iter([True, True]), device.agent(ALLOWED)
    rows: Callable[..., Any] = device.client.rows

    def sometimes(*path: Any, **more: Any) -> Any:
        if next(away, False):
            raise ServerGone("away")
        return rows(*path, **more)

    monkeypatch.setattr(device.client, "rows", sometimes)
    with working(agent):
        device.shown(id_, status="COMPLETED")


def test_key_without_the_right_ends_the_agent(device: Device) -> None:
    key = device.client.post("/v1/keys", {"name": "narrow", "scopes": ["devices:read"]})["api_key"]
    with Client(device.server.url, key) as narrow, pytest.raises(Forbidden):
        Agent(narrow, device.id, [digest(ALLOWED)]).work()


def test_task_of_a_workflow_is_done_with_an_allowed_script(device: Device) -> None:
    kind = f"device.n{device.id.removeprefix('agent-')}"
    task = {"kind": kind, "heartbeat_s": 60}
    for name, body in (("good", ALLOWED), ("bad", "echo bad")):
        asked = {"task_id": f"{device.id}~{name}", "input": {"shell": "bash", "body": body}, **task}
        reply = device.client.command("operations", "RequestTask", asked)
    device.client.get("/v1/tasks", consistent_with=reply.token)
    with working(device.agent(ALLOWED, task_kind=kind)):

        def done() -> list[Mapping[str, Any]]:
            rows: list[Mapping[str, Any]] = list(device.client.rows("/v1/tasks", kind=kind))
            return rows if {row["status"] for row in rows} == {"COMPLETED", "FAILED"} else []

        found = {row["id"].rpartition("~")[2]: row for row in eventually(done)}
    assert '"exit_code":3' in found["good"]["output"]
    assert "is not allowed on this device" in found["bad"]["error"]


def test_device_says_which_version_its_agent_is_and_what_it_is_offered(device: Device) -> None:
    release = {"release_id": device.id, "version": "9.9.9", "digest": "5f" * 32, "device_ids": [device.id]}
    reply = device.client.command("operations", "PublishAgentRelease", release)
    with working(device.agent(ALLOWED, version="1.2.3")):

        def row() -> Mapping[str, Any] | None:
            [row] = device.client.get(f"/v1/devices/{device.id}", consistent_with=reply.token)["rows"]
            return row if row.get("agent_version") == "1.2.3" else None

        found = eventually(row)
    assert (found["offered_agent_version"], found["offered_agent_digest"]) == ("9.9.9", "5f" * 32)
    [release] = device.client.get(f"/v1/agent_releases/{device.id}")["rows"]
    assert (release["status"], release["wave"], release["waves"], release["offered"]) == ("ROLLING_OUT", 1, 1, 1)


# --- the command


def test_agent_that_is_killed_takes_its_script_along_and_the_next_one_says_so(device: Device) -> None:
    with TemporaryDirectory() as folder:
        # whoever the agent becomes must write there
        Path(folder).chmod(0o777)
        pid, allowed = Path(folder) / "pid", Path(folder) / "allowed"
        body = f"echo $$ > {pid}; id -u > {folder}/user; sleep 300"
        allowed.write_text(f"# what may run\n{digest(body)}  stay.sh\n")
        allowed.chmod(0o644)
        id_ = device.ask(body)
        command = [sys.executable, "-m", "infra.cli.main", "agent", "--device", device.id, "--poll", "0.2"]
        environment = {
            **os.environ,
            "FACTLINE_URL": device.server.url,
            "FACTLINE_API_KEY": device.server.tenant_key,
            "FACTLINE_CONFIG": "/nonexistent",
        }
        child = subprocess.Popen([*command, "--allow-file", str(allowed), *UNPRIVILEGED], env=environment)
        try:
            eventually(lambda: pid.exists() and (Path(folder) / "user").exists() and pid.read_text())
            assert int(eventually((Path(folder) / "user").read_text)) != 0
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
        assert eventually(lambda: is_gone(pid))
        pid.unlink()
        device.shown(id_, status="RUNNING")
        with working(device.agent(body)):
            assert device.shown(id_, status="FAILED")["error"] == LOST
        assert not pid.exists()


def called(*arguments: str) -> Result:
    environment = {"FACTLINE_URL": "http://127.0.0.1:9", "FACTLINE_API_KEY": "ak_1.sk_1", "FACTLINE_CONFIG": "/nowhere"}
    return CliRunner().invoke(cli, ["agent", "--device", "web-1", *arguments], env=environment)


def test_nothing_is_run_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    some = ("--allow", digest(ALLOWED))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "scripts are not run as root" in called(*some).stderr
    assert "root is root; name an unprivileged user" in called(*some, "--user", "root").stderr
    assert "there is no user nobody-here" in called(*some, "--user", "nobody-here").stderr
    monkeypatch.setattr(os, "geteuid", lambda: 4_711)
    assert "only root can become nobody" in called(*some, "--user", "nobody").stderr


def test_what_is_allowed_is_said_in_digests_that_only_the_owner_can_write(tmp_path: Path) -> None:
    assert "no script is allowed" in called().stderr
    assert "is no SHA-256" in called("--allow", "disk.sh").stderr
    allowed = tmp_path / "allowed"
    assert "cannot be read" in called("--allow-file", str(allowed)).stderr
    allowed.write_text("")
    allowed.chmod(0o664)
    assert "others than its owner may write to" in called("--allow-file", str(allowed)).stderr
    allowed.chmod(0o644)
    assert "no script is allowed" in called("--allow-file", str(allowed)).stderr
