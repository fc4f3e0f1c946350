import json
import os
from errno import ENOSPC
from pathlib import Path

import pytest

from infra.data_dir import FORMAT, DataDir, DataDirError, DataDirInUse, cursor_secret, operator_key, running_server


def test_new_directory_gets_the_format_and_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data"
    with DataDir(path):
        assert json.loads((path / "factline.json").read_text()) == {"format": FORMAT}
        assert path.stat().st_mode & 0o777 == 0o700
    with DataDir(path):
        pass


def test_second_opening_names_the_running_server(tmp_path: Path) -> None:
    with DataDir(tmp_path) as first:
        with pytest.raises(DataDirInUse, match="in use by another process"):
            DataDir(tmp_path)
        first.announce("http://127.0.0.1:8080")
        with pytest.raises(DataDirInUse, match=rf"in use by the server at http://127.0.0.1:8080 \(pid {os.getpid()}\)"):
            DataDir(tmp_path)
    assert running_server(tmp_path) is None


def test_server_that_was_killed_is_not_named_to_others(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "pid": 1}))
    with DataDir(tmp_path), pytest.raises(DataDirInUse, match="in use by another process"):
        DataDir(tmp_path)


@pytest.mark.parametrize("found", [{"format": FORMAT + 1}, {"format": "2"}, {"format": None}, {}])
def test_directory_of_a_newer_version_is_refused_and_stays_free(tmp_path: Path, found: dict[str, object]) -> None:
    file = tmp_path / "factline.json"
    file.write_text(json.dumps(found))
    for _ in range(2):
        with pytest.raises(DataDirError, match="written by a newer version"):
            DataDir(tmp_path)
    assert json.loads(file.read_text()) == found


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "\ud800"])
def test_damaged_format_is_refused_and_not_replaced(tmp_path: Path, text: str) -> None:
    file = tmp_path / "factline.json"
    file.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(DataDirError, match=r"factline\.json is not"):
        DataDir(tmp_path)
    assert file.read_bytes() == text.encode(errors="surrogatepass")


@pytest.mark.parametrize("log", ["events.sqlite", "telemetry.sqlite"])
def test_log_without_its_format_is_refused(tmp_path: Path, log: str) -> None:
    (tmp_path / log).touch()
    with pytest.raises(DataDirError, match=r"has a log but no factline\.json; restore that file"):
        DataDir(tmp_path)


def test_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(DataDirError, match="cannot be used"):
        DataDir(tmp_path / "data")
    with pytest.raises(DataDirError, match="cannot be used"):
        DataDir(tmp_path / "data" / "below")


def test_operator_key_is_for_its_owner_only(tmp_path: Path) -> None:
    assert operator_key(tmp_path) is None
    with DataDir(tmp_path) as opened:
        opened.keep_operator_key("ak_1.sk_2")
    assert operator_key(tmp_path) == "ak_1.sk_2"
    assert (tmp_path / "operator.key").stat().st_mode & 0o777 == 0o600


def test_cursor_secret_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    secret = cursor_secret(tmp_path)
    assert len(secret) >= 32
    assert cursor_secret(tmp_path) == secret
    [file] = tmp_path.iterdir()
    assert file.stat().st_mode & 0o077 == 0


def test_on_a_full_disk_the_server_is_not_announced_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(number: int) -> None:
        raise OSError(ENOSPC, "No space left on device")

    with DataDir(tmp_path) as directory:
        monkeypatch.setattr("infra.data_dir.os.fsync", full)
        directory.announce("http://127.0.0.1:1")
        assert running_server(tmp_path) is None
    assert "the disk is full, so other commands do not find this server" in caplog.text
