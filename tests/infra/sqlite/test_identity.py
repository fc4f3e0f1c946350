"""A part of the log that is missing, damaged or of another log is never taken for a first start."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from infra.data_dir import KEYS_FILE, LOG_FILES, MASTER_KEY_FILE, DataDir, DataDirError
from infra.embedded import Embedded, _claim
from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import TenantId, Topic
from streams.ports import LogDamaged, LogIdentity


def made(folder: Path) -> Path:
    """Make a data directory with a first start in it."""
    with Embedded.open(folder) as embedded:
        assert embedded.first_start()
    return folder


def damage(path: Path) -> None:
    """Overwrite every page but the first."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))


@pytest.mark.parametrize("name", LOG_FILES)
def test_missing_file_stops_the_start_and_nothing_is_made_in_its_place(tmp_path: Path, name: str) -> None:
    folder, key = made(tmp_path / "data"), (tmp_path / "data" / "operator.key").read_text()
    (folder / name).rename(tmp_path / name)
    for _ in range(2):
        with pytest.raises(DataDirError, match=rf"{name} is missing; put it back, or restore a backup"):
            Embedded.open(folder)
    assert not (folder / name).exists()
    assert (folder / "operator.key").read_text() == key
    (tmp_path / name).rename(folder / name)
    with Embedded.open(folder) as embedded:
        assert embedded.first_start() is None


@pytest.mark.parametrize("name", LOG_FILES)
def test_file_of_another_log_is_refused_by_name(tmp_path: Path, name: str) -> None:
    folder, other = made(tmp_path / "data"), made(tmp_path / "other")
    shutil.copy(other / name, folder / name)
    with pytest.raises(DataDirError, match=rf"{name} belongs to the log .*, and not to this one"):
        Embedded.open(folder)


@pytest.mark.parametrize("spoil", [damage, lambda path: path.write_bytes(b"not a database" * 400)])
def test_damaged_file_is_found_at_the_start(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    folder = made(tmp_path / "data")
    spoil(folder / "events.sqlite")
    with pytest.raises(DataDirError, match=r"events\.sqlite is damaged|the log is damaged"):
        Embedded.open(folder)


def test_damage_under_a_running_server_is_no_outage_that_passes(tmp_path: Path) -> None:
    folder = made(tmp_path / "data")
    with Embedded.open(folder) as embedded:
        health = embedded.views.operations.health
        damage(folder / "events.sqlite")
        # the connection that is open has these few pages in memory: while it is taken, another one reads the file
        with embedded.log._events.transaction(commit=False):
            with pytest.raises(LogDamaged, match="restore a backup"):
                embedded.log.read(Topic.EVENTS, 0, after=0, limit=10)
            assert "damaged" in health()["log"]


def test_views_of_another_log_are_refused_and_made_anew_once_they_are_removed(tmp_path: Path) -> None:
    folder, other = made(tmp_path / "data"), made(tmp_path / "other")
    for place in (folder, other):
        with Embedded.open(place) as embedded:
            embedded.views.catch_up()
    shutil.copy(other / "views" / "documents.sqlite", folder / "views" / "documents.sqlite")
    with Embedded.open(folder) as embedded, pytest.raises(DataDirError, match=r"remove the folder .*views"):
        _ = embedded.views
    shutil.rmtree(folder / "views")
    with Embedded.open(folder) as embedded:
        embedded.views.catch_up()
        assert embedded.views.documents.get("tenants", TenantId("demo"), "demo")


def test_folder_of_an_earlier_version_gets_an_identity_and_keeps_its_positions(tmp_path: Path) -> None:
    folder = made(tmp_path / "data")
    with closing(SqliteEventLog(folder)) as log:
        before = log.read(Topic.EVENTS, 0, after=0, limit=100)
    with closing(sqlite3.connect(folder / "events.sqlite", isolation_level=None)) as db:
        db.execute("DROP TABLE belongs_to")
        db.execute("ALTER TABLE stored_events RENAME TO newer")
        db.execute(
            "CREATE TABLE stored_events (originator_id TEXT, originator_version INTEGER, topic TEXT, state BLOB,"
            " PRIMARY KEY (originator_id, originator_version))"
        )
        db.execute(
            "INSERT INTO stored_events SELECT originator_id, originator_version, topic, state FROM newer ORDER BY rowid"
        )
        db.execute("DROP TABLE newer")
    with closing(sqlite3.connect(folder / "telemetry.sqlite", isolation_level=None)) as db:
        db.execute("DROP TABLE belongs_to")
    for name in (KEYS_FILE, MASTER_KEY_FILE):
        (folder / name).unlink()
    (folder / "factline.json").write_text('{"format": 1}')
    with Embedded.open(folder) as embedded:
        assert embedded.log.read(Topic.EVENTS, 0, after=0, limit=100) == before
        assert embedded.first_start() is None
    with DataDir(folder) as opened:
        assert opened.log().made


def test_vacuum_leaves_every_position_as_it_was(tmp_path: Path) -> None:
    folder = made(tmp_path / "data")
    with closing(sqlite3.connect(folder / "events.sqlite", isolation_level=None)) as db:
        # a hole, as no writer of ours makes one: SQLite closes it where numbers are its own
        db.execute("UPDATE stored_events SET rowid = rowid + 10 WHERE rowid > 2")
        db.execute("VACUUM")
        assert [row[0] for row in db.execute("SELECT rowid FROM stored_events ORDER BY 1")] == [1, 2, 13, 14]


def test_views_of_analytics_are_of_one_log_too(tmp_path: Path) -> None:
    folder, log = tmp_path / "analytics", LogIdentity("a log", 1)
    _claim(folder, log)
    folder.mkdir()
    _claim(folder, log)
    for other in (LogIdentity("a log", 2), LogIdentity("another", 1)):
        with pytest.raises(LogDamaged, match="views of analytics are of the log a log/1, not of"):
            _claim(folder, other)
    folder.rmdir()
    _claim(folder, LogIdentity("a log", 2))
