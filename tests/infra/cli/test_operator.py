"""`factline projections`, `verify`, `dead-letters` and `tenants`, on a directory and through its server."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest

from infra.data_dir import DataDir
from tests.infra.server_process import ServerProcess, factline
from tests.waiting import eventually

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that a server has used and left."""
    folder = tmp_path_factory.mktemp("stopped") / "data"
    with ServerProcess(folder) as server, server.client() as client:
        body = {"device_id": "web-1", "hostname": "web-1.example"}
        assert client.post("/v1/commands/fleet/RegisterDevice", json=body).status_code == 200
        server.stop()
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("running") / "data") as server:
        yield server


def run(folder: Path, *arguments: str, status: int = 0) -> str:
    ended = factline(*arguments, "--data-dir", str(folder))
    assert ended.returncode == status, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.full
def test_operator_works_on_a_directory_without_a_server(stopped: Path) -> None:
    assert re.search(r"devices +documents +devices_v1 +1 +live +0", run(stopped, "projections", "list"))
    assert "devices is now answered from devices_v2" in run(stopped, "projections", "rebuild", "devices")
    assert re.search(r"devices +documents +devices_v2 +1, 2 +live +0", run(stopped, "projections", "list"))
    assert "devices is now answered from devices_v1" in run(stopped, "projections", "switch", "devices", "1")
    assert "devices_v1 is live: switch to another" in run(stopped, "projections", "drop", "devices", "1", status=2)
    assert "devices is now answered from devices_v2" in run(stopped, "projections", "switch", "devices", "2")
    assert "devices_v1 is gone" in run(stopped, "projections", "drop", "devices", "1")
    assert "devices_v2: 2 rows, no difference" in run(stopped, "verify", "devices")
    assert "no difference" in run(stopped, "verify", "audit_trail")
    assert re.search(r"\d+ of them were counted and not read", run(stopped, "verify", "audit_trail"))
    assert "counted" not in run(stopped, "verify", "audit_trail", "--full")
    assert "nothing is parked" in run(stopped, "dead-letters", "list")
    assert "0 taken, 0 still parked" in run(stopped, "dead-letters", "retry", "devices")
    assert "0 discarded" in run(stopped, "dead-letters", "discard", "devices", "--yes")
    assert run(stopped, "tenants", "add", "acme", "--name", "Acme Ltd").startswith("ak_")
    assert "tenant acme is registered already" in run(stopped, "tenants", "add", "acme", status=2)
    assert "acme is suspended" in run(stopped, "tenants", "suspend", "acme", "--reason", "unpaid")
    assert "nothing was done" in run(stopped, "tenants", "suspend", "acme")
    assert "tenant is SUSPENDED" in run(stopped, "tenants", "key", "acme", status=2)
    assert "acme is active again" in run(stopped, "tenants", "reactivate", "acme")
    assert run(stopped, "tenants", "key", "acme").startswith("ak_")
    assert "acme has this quota now" in run(stopped, "tenants", "quota", "acme", "--events", "100", "--minute", "60")
    assert "nothing was done" in run(stopped, "tenants", "quota", "acme", "--minute", "60", "--events", "100")
    assert "tenant is not known here" in run(stopped, "tenants", "suspend", "nobody", status=2)


@pytest.mark.full
def test_operator_works_through_the_server_that_has_the_directory(server: ServerProcess) -> None:
    folder = server.data_dir
    assert re.search(r"devices +documents +devices_v1 +1 +live", run(folder, "projections", "list"))
    rebuild = ("projections", "rebuild", "devices", "--max-rate", "100000")
    assert "devices is now answered from devices_v2" in run(folder, *rebuild)
    assert "devices is now answered from devices_v1" in run(folder, "projections", "switch", "devices", "1")
    assert "there is no devices_v7" in run(folder, "projections", "switch", "devices", "7", status=2)
    assert "devices_v1 is live: switch to another" in run(folder, "projections", "drop", "devices", "1", status=2)
    assert "devices_v2 is gone" in run(folder, "projections", "drop", "devices", "2")
    assert "no difference" in run(folder, "verify", "devices", "invoice_facts", "--full")
    assert "nothing is parked" in run(folder, "dead-letters", "list")
    assert "0 taken, 0 still parked" in run(folder, "dead-letters", "retry", "devices")
    first = run(folder, "tenants", "add", "acme").strip()
    key = run(folder, "tenants", "key", "acme").strip()
    assert key != first
    with server.client(key) as client:
        body = {"device_id": "web-1", "hostname": "web-1.example"}
        for _ in range(100):
            answer = client.post("/v1/commands/fleet/RegisterDevice", json=body)
            if answer.status_code != 401:
                break
        assert answer.status_code == 200
        assert "acme has this quota now" in run(folder, "tenants", "quota", "acme", "--live", "3")
        eventually(lambda: "live_streams" in client.get("/v1/usage").json()["quotas"])
        assert "acme is suspended" in run(folder, "tenants", "suspend", "acme", "--reason", "unpaid")
        eventually(lambda: client.get("/v1/devices").status_code == 403)
        assert "the tenant is SUSPENDED" in client.get("/v1/devices").json()["detail"]
        assert "acme is active again" in run(folder, "tenants", "reactivate", "acme")
        began = monotonic()
        eventually(lambda: client.get("/v1/devices").status_code == 200)
        assert monotonic() - began < 2.5
    assert "tenant acme is registered already" in run(folder, "tenants", "add", "acme", status=2)


def test_unknown_projection_is_named_either_way(stopped: Path, server: ServerProcess) -> None:
    for folder, what in ((stopped, ("projections", "rebuild")), (server.data_dir, ("verify",))):
        assert "there is no projection 'nothing'" in run(folder, *what, "nothing", status=2)


def test_changed_row_is_found_and_shown(stopped: Path) -> None:
    file = stopped / "views" / "documents.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        [(table,)] = connection.execute("SELECT name || '_v' || build FROM views WHERE name = 'devices' AND live")
        changed = f"UPDATE {table} SET fields = replace(fields, 'web-1.example', 'web-2.example') WHERE id = 'web-1'"
        assert connection.execute(changed).rowcount == 1
    found = run(stopped, "verify", "devices", status=1)
    assert "1 differences" in found
    assert "web-1.example" in found
    assert "web-2.example" in found
    run(stopped, "projections", "rebuild", "devices")
    assert "no difference" in run(stopped, "verify", "devices")


def test_directory_without_data_is_refused_and_not_made(tmp_path: Path) -> None:
    assert "there is no factline data in" in run(tmp_path / "nothing", "verify", status=2)
    assert not (tmp_path / "nothing").exists()


def test_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with DataDir(tmp_path) as directory:
        directory.keep_operator_key("ak_1.sk_1")
        directory.announce("http://127.0.0.1:9")
        said = run(tmp_path, "verify", status=2)
    assert "http://127.0.0.1:9" in said
    assert "does not answer" in said


def test_directory_that_another_command_has_open_is_refused(tmp_path: Path) -> None:
    with DataDir(tmp_path):
        assert "in use by another process" in run(tmp_path, "verify", status=2)


def test_directory_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "factline.json").write_text(json.dumps({"format": 99}))
    assert "written by a newer version" in run(tmp_path, "projections", "list", status=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["factline.json", "lock"]
