"""A backup of a running server, its loss, and what a restore brings back."""

import json
import threading
from pathlib import Path
from typing import Self

import httpx
import pytest

from infra.data_dir import DataDirError
from infra.sqlite.backup import back_up, restore
from schemas.envelope import Position
from tests.infra.server_process import ServerProcess, factline


class Load:
    """Registers devices and sends readings until it is stopped; keeps every answer."""

    def __init__(self, client: httpx.Client) -> None:
        self.positions: dict[str, Position] = {}
        self._client = client
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            device = f"d-{len(self.positions)}"
            body = {"device_id": device, "hostname": f"{device}.example"}
            answer = self._client.post("/v1/commands/fleet/RegisterDevice", json=body).json()
            self.positions[device] = Position.parse(answer["position"]["token"])
            at = "2026-01-31T08:30:00Z"
            data = {"metrics": {"cpu": 1.0}, "unit": ""}
            fact = {"type": "device.metrics.reported", "device_id": device, "happened_at": at, "data": data}
            self._client.post("/v1/telemetry", json=[fact]).raise_for_status()


@pytest.mark.full
def test_drill_a_server_under_load_is_backed_up_lost_and_restored(tmp_path: Path) -> None:
    data, copy, restored = tmp_path / "data", tmp_path / "backup", tmp_path / "restored"
    with ServerProcess(data) as server, server.client() as client, Load(client) as load:
        while len(load.positions) < 50:
            pass
        answered = dict(load.positions)
        done = factline("backup", str(copy), "--data-dir", str(data))
        assert done.returncode == 0, done.stderr
        while len(load.positions) < len(answered) + 20:
            pass
        key = server.api_key
        load._stop.set()
        load._thread.join()
        server.kill()
    assert not [path for place in (data, copy) for path in place.rglob("*") if path.stat().st_mode & 0o077]
    covered = json.loads((copy / "backup.json").read_text())["events"]
    done = factline("restore", str(copy), "--data-dir", str(restored))
    assert done.returncode == 0, done.stderr
    verified = factline("verify", "--data-dir", str(restored))
    assert verified.returncode == 0, verified.stdout
    assert "no difference" in verified.stdout
    with ServerProcess(restored) as server, server.client(key) as client:
        for device, position in load.positions.items():
            found = client.get(f"/v1/audit/streams/device-{device}").status_code
            assert found == (200 if position.position <= covered else 404), device
        body = {"device_id": "after", "hostname": "after.example"}
        assert client.post("/v1/commands/fleet/RegisterDevice", json=body).status_code == 200
    assert all(position.position <= covered for position in answered.values())


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    from infra.embedded import Embedded  # noqa: PLC0415 - the engine is loaded for these tests only

    with Embedded.open(tmp_path / "data") as embedded:
        embedded.first_start()
    back_up(tmp_path / "data", tmp_path / "backup")
    return tmp_path / "backup"


def test_two_restores_of_one_backup_are_two_logs(tmp_path: Path, backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = restore(backup, tmp_path / "one")
    monkeypatch.setattr("infra.sqlite.backup.time.time", lambda: first.identity.epoch + 1.5)
    second = restore(backup, tmp_path / "two")
    assert first.identity.id == second.identity.id
    assert 1 < first.identity.epoch < second.identity.epoch


def test_backup_that_was_changed_is_not_restored(tmp_path: Path, backup: Path) -> None:
    with (backup / "telemetry.sqlite").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(DataDirError, match=r"telemetry\.sqlite is not as it was backed up"):
        restore(backup, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_backup_that_was_cut_off_is_no_backup(tmp_path: Path, backup: Path) -> None:
    (backup / "backup.json").unlink()
    with pytest.raises(DataDirError, match="is no whole backup"):
        restore(backup, tmp_path / "restored")


def test_backup_of_before_names_no_profile_and_is_restored(tmp_path: Path, backup: Path) -> None:
    manifest = json.loads((backup / "backup.json").read_text())
    assert manifest.pop("profile") == "embedded"
    (backup / "backup.json").write_text(json.dumps(manifest))
    assert restore(backup, tmp_path / "restored").events == manifest["events"]


def test_manifest_that_does_not_say_all_is_told(tmp_path: Path, backup: Path) -> None:
    (backup / "backup.json").write_text('{"format": 1, "files": {}}')
    with pytest.raises(DataDirError, match="does not say events, facts, log, taken_at"):
        restore(backup, tmp_path / "restored")


def test_neither_overwrites_what_is_there(tmp_path: Path, backup: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(DataDirError, match="is not empty"):
        restore(backup, tmp_path / "full")
    with pytest.raises(DataDirError, match="is not empty"):
        back_up(tmp_path / "data", tmp_path / "full")


def test_folder_without_a_log_says_so(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataDirError, match="there is no factline log"):
        back_up(tmp_path / "nothing", tmp_path / "to")
