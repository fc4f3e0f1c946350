"""What the server does when the machine, the disk or the operator does not do as it would like."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from infra.data_dir import FORMAT, operator_key, running_server
from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import StreamId, Topic
from tests.infra.server_process import ServerProcess, factline
from tests.waiting import eventually

pytestmark = pytest.mark.full

MIB = 1024 * 1024
HAPPENED_AT = "2026-01-31T08:30:00Z"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that the tests of this module only talk to."""
    with ServerProcess(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


def register(client: httpx.Client, device: str) -> httpx.Response:
    body = {"device_id": device, "hostname": f"{device}.example"}
    return client.post(
        "/v1/commands/fleet/RegisterDevice", json=body, headers={"Idempotency-Key": f"register-{device}"}
    )


def log_lines(client: httpx.Client, batch: str, rows: int = 20) -> httpx.Response:
    facts = [
        {
            "type": "log.recorded",
            "device_id": "web-1",
            "happened_at": HAPPENED_AT,
            "id": f"{batch}-{row}",
            "data": {"severity": "info", "summary": "x" * 900},
        }
        for row in range(rows)
    ]
    return client.post("/v1/telemetry", json=facts)


# --- starting --------------------------------------------------------------------------------------------------------


def test_directory_of_a_newer_version_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    written = json.dumps({"format": FORMAT + 1})
    (tmp_path / "factline.json").write_text(written)
    ended = factline("serve", "--data-dir", str(tmp_path), "--port", "0")
    assert ended.returncode == 2
    assert f"has format {FORMAT + 1}, written by a newer version" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "factline.json").read_text() == written
    assert not (tmp_path / "events.sqlite").exists()


def test_second_server_on_a_directory_names_the_first(server: ServerProcess) -> None:
    ended = factline("serve", "--data-dir", str(server.data_dir), "--port", "0")
    assert ended.returncode == 2
    assert f"in use by the server at {server.address} (pid {server.process.pid})" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    ended = factline("serve", "--data-dir", str(tmp_path / "data"))
    assert ended.returncode == 2
    assert "is a file" in ended.stderr


def test_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with _read_only(tmp_path):
        ended = factline("serve", "--data-dir", str(tmp_path), "--port", "0")
    assert ended.returncode == 2
    assert f"data directory {tmp_path} cannot be used" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_damaged_log_is_named_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "factline.json").write_text(json.dumps({"format": FORMAT}))
    (tmp_path / "events.sqlite").write_text("this is not a database")
    ended = factline("serve", "--data-dir", str(tmp_path), "--port", "0")
    assert ended.returncode == 2
    assert f"the log in {tmp_path} cannot be opened" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "events.sqlite").read_text() == "this is not a database"


def test_port_in_use_is_named_and_the_first_key_is_not_lost(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = factline("serve", "--data-dir", str(tmp_path / "data"), "--port", str(port))
    assert ended.returncode == 2
    assert f"port {port} cannot be used" in ended.stderr
    assert "Traceback" not in ended.stderr
    with ServerProcess(tmp_path / "data") as server, server.client() as client:
        assert client.get("/v1/devices").status_code == 200


def test_key_that_the_first_start_shows_is_good_at_once(tmp_path: Path) -> None:
    with _spawned(tmp_path / "data") as server:
        server.read_greeting()
        # the very first request that it answers
        with server.client() as client:
            assert client.get("/v1/devices").status_code == 200


# --- stopping --------------------------------------------------------------------------------------------------------


def test_server_that_is_told_to_stop_ends_with_0_and_its_directory_is_free(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    for n, how in enumerate((signal.SIGTERM, signal.SIGINT)):
        with server, server.client() as client:
            assert register(client, f"web-{n}").status_code == 200
            assert server.stop(how) == 0
        assert running_server(server.data_dir) is None
        assert "Traceback" not in server.errors
    with closing(SqliteEventLog(server.data_dir)) as log:
        streams = [entry.stream for entry in log.read(Topic.EVENTS, 0, after=0, limit=1000)]
    assert {"device-web-0", "device-web-1"} <= set(streams)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_server_that_is_told_to_stop_while_it_starts_ends_with_0(tmp_path: Path, how: signal.Signals) -> None:
    with _spawned(tmp_path / "data") as server:
        eventually((tmp_path / "data" / "events.sqlite").exists)
        assert server.stop(how) == 0
        assert "Traceback" not in server.errors


def test_live_streams_do_not_keep_a_server_from_stopping(tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path / "data") as server,
        server.client() as client,
        client.stream("GET", "/v1/live") as live,
    ):
        assert live.status_code == 200
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 10


# --- views -----------------------------------------------------------------------------------------------------------


def test_views_that_are_gone_are_made_from_the_log_by_the_next_start(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    with server, server.client() as client:
        last = register(client, "web-1").headers["X-Position"]
        server.stop()
    shutil.rmtree(server.data_dir / "views")
    with server, server.client() as client:
        # the key itself is a row of a view
        eventually(lambda: client.get("/v1/devices").status_code == 200)
        found = client.get("/v1/devices/web-1", headers={"X-Consistent-With": last})
        assert found.json()["rows"][0]["hostname"] == "web-1.example"
        server.stop()
    (server.data_dir / "views" / "documents.sqlite").write_text("this is not a database")
    ended = factline("serve", "--data-dir", str(server.data_dir), "--port", "0")
    assert ended.returncode == 2
    assert f"remove the folder {server.data_dir / 'views'}, the next start makes it from the log" in ended.stderr
    assert "Traceback" not in ended.stderr


# --- keys ------------------------------------------------------------------------------------------------------------


def test_revoked_key_opens_nothing_after_a_second(server: ServerProcess) -> None:
    key_id = server.api_key.removeprefix("ak_").partition(".sk_")[0]
    operator = operator_key(server.data_dir)
    assert operator is not None
    with server.client(operator) as client:
        made = client.post("/v1/tenants", json={"tenant_id": "briefly", "name": "Briefly"})
        assert made.status_code == 201
    key = made.json()["api_key"]
    with server.client(key) as client:
        eventually(lambda: client.get("/v1/devices").status_code == 200)
        assert register(client, "web-1").status_code == 200
        body = {"key_id": key.removeprefix("ak_").partition(".sk_")[0], "reason": "leaked"}
        assert client.post("/v1/commands/identity/RevokeApiKey", json=body).status_code == 200
        began = time.monotonic()
        eventually(lambda: register(client, "web-2").status_code == 401)
        # a second of memory, and what the projector needs
        assert time.monotonic() - began < 2.5
        assert client.get("/v1/devices").status_code == 401
        assert log_lines(client, "late").status_code == 401
    with server.client(f"ak_{key_id}.sk_wrong") as client:
        answer = register(client, "web-3")
        assert answer.status_code == 401
        assert answer.headers["Content-Type"] == "application/problem+json"


# --- bodies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/commands", "/v1/telemetry", "/v1/commands/fleet/RegisterDevice", "/v1/tenants"])
def test_body_of_100_mb_is_answered_413_and_not_kept(server: ServerProcess, path: str) -> None:
    process = psutil.Process(server.process.pid)
    with server.client(operator_key(server.data_dir)) as client:
        before = process.memory_info().rss
        answer = client.post(path, content=(b"x" * MIB for _ in range(100)))
        assert answer.status_code == 413
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert "larger than 16 MiB" in answer.json()["detail"]
        assert process.memory_info().rss - before < 64 * MIB


def test_bodies_that_many_callers_send_at_once_are_bounded_together(server: ServerProcess) -> None:
    """Twenty bodies that begin, and do not end, would take 300 MB."""
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    go_on = threading.Event()
    statuses: list[int] = []

    def slowly() -> Iterator[bytes]:
        yield b'["' + b"x" * (15 * MIB)
        go_on.wait(30)
        yield b'"]'

    def send() -> None:
        with server.client() as client:
            statuses.append(client.post("/v1/telemetry", content=slowly()).status_code)

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    held = process.memory_info().rss - before
    go_on.set()
    for thread in threads:
        thread.join()
    assert held < 250 * MIB
    # nothing of such a body is a fact
    assert set(statuses) == {422, 503}
    with server.client() as client:
        assert log_lines(client, "afterwards").status_code == 200


# --- a full disk -----------------------------------------------------------------------------------------------------


@pytest.mark.full
def test_full_disk_refuses_writes_loses_nothing_and_heals_by_itself(tmp_path: Path) -> None:
    with _small_disk(tmp_path / "disk", size_mib=32) as disk:
        server = ServerProcess(disk / "data", errors=tmp_path / "stderr")
        with server, server.client() as client:
            ballast = _fill(disk, leave_kib=1_500)
            kept = _write_until_full(client)
            # what is there can still be read
            assert client.get("/v1/devices").status_code == 200
            assert client.get("/v1/audit/events").status_code == 200
            ballast.unlink()
            after = register(client, "after")
            assert after.status_code == 200
            assert log_lines(client, "after").status_code == 200
            kept.append(StreamId("device-after"))
            eventually(lambda: client.get("/v1/ops/health").status_code == 200)
            again = register(client, kept[0].removeprefix("device-"))
            assert (again.status_code, again.json()["repeated"]) == (200, True)
            assert server.stop() == 0
        assert "Traceback" not in server.errors
        with closing(SqliteEventLog(server.data_dir)) as log:
            found = [entry.stream for entry in log.read(Topic.EVENTS, 0, after=0, limit=100_000)]
        assert [stream for stream in kept if found.count(stream) != 1] == []
        with server:
            verified = factline("verify", "--data-dir", str(server.data_dir))
            assert verified.returncode == 0, verified.stdout


@pytest.mark.full
def test_server_that_was_killed_starts_on_a_full_disk_and_answers(tmp_path: Path) -> None:
    with _small_disk(tmp_path / "disk", size_mib=32) as disk:
        server = ServerProcess(disk / "data", errors=tmp_path / "stderr")
        with server, server.client() as client:
            last = register(client, "web-1").headers["X-Position"]
            assert client.get("/v1/devices/web-1", headers={"X-Consistent-With": last}).status_code == 200
        ballast = _fill(disk, leave_kib=0)
        with server, server.client() as client:
            assert client.get("/v1/devices/web-1").status_code == 200
            _write_until_full(client)
            ballast.unlink()
            assert register(client, "web-2").status_code == 200


def _write_until_full(client: httpx.Client) -> list[StreamId]:
    """Return the streams of the commands that were answered 200."""
    kept: list[StreamId] = []
    full: dict[str, httpx.Response] = {}
    n = 0
    while len(full) < 2:
        n += 1
        assert n < 10_000
        for kind, answer in (("command", register(client, f"d-{n}")), ("facts", log_lines(client, f"b-{n}"))):
            if answer.status_code != 200:
                full[kind] = answer
            elif kind == "command":
                kept.append(StreamId(f"device-d-{n}"))
    for answer in full.values():
        assert answer.status_code == 507
        assert answer.headers["Retry-After"] == "30"
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["detail"] == "the disk under the log is full; free some space and send it again"
    return kept


def _fill(disk: Path, *, leave_kib: int) -> Path:
    ballast = disk / "ballast"
    left = os.statvfs(disk)
    with ballast.open("wb") as file:
        file.write(b"\0" * (left.f_bavail * left.f_frsize - leave_kib * 1024))
    return ballast


@contextmanager
def _small_disk(at: Path, *, size_mib: int) -> Iterator[Path]:
    at.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(at))
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)


@contextmanager
def _read_only(at: Path) -> Iterator[None]:
    if os.geteuid() != 0:
        at.chmod(0o500)
        yield
        at.chmod(0o700)
        return
    # nothing is read-only for root but a disk
    _mount("-t", "tmpfs", "-o", "ro", "tmpfs", str(at))
    try:
        yield
    finally:
        subprocess.run(["umount", str(at)], check=True)


def _mount(*arguments: str) -> None:
    try:
        subprocess.run(["mount", *arguments], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may mount; tests/infra/sqlite/test_event_log.py has what needs no mount")


@contextmanager
def _spawned(data_dir: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(data_dir)
    server.spawn()
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()
